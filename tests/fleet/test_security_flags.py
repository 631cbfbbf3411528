"""What a container may do, and as whom, seen from inside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.conftest import settled
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def web1(shared_lab: Lab, base_archive: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to web1, which has ``base:1``."""
    laptop = Laptop(shared_lab)
    laptop.environment |= {"JACKSTAY_HOST": "web1"}
    laptop.ok("load", "-i", base_archive)
    yield laptop
    host = shared_lab.hosts["web1"]
    empty(host)
    assert settled(host) == []


@pytest.fixture
def host(shared_lab: Lab) -> Host:
    """The host itself."""
    return shared_lab.hosts["web1"]


def inside(web1: Laptop, flags: str, script: str) -> str:
    return web1.ok("run", "--rm", *flags.split(), "base:1", "sh", "-c", script).stdout


def refused(web1: Laptop, flags: str) -> str:
    return web1.run("run", "--rm", *flags.split(), "base:1", "true").ended(125).stderr


COVERED = 'awk \'$2 ~ "^/(proc|sys/firmware)/?" && $2 != "/proc" { print $2 }\' /proc/mounts | sort -u'


def test_masked_and_read_only_paths(web1: Laptop) -> None:
    usual = inside(web1, "", COVERED).split()
    assert {"/proc/sys", "/proc/keys", "/proc/timer_list"} <= set(usual)
    assert (
        inside(web1, "", "cat /proc/timer_list; (echo x >/proc/sys/kernel/domainname) 2>/dev/null || echo no") == "no\n"
    )
    for flags in ("systempaths=unconfined", "unmask=ALL"):
        assert inside(web1, f"--security-opt {flags}", COVERED) == ""
    fewer = inside(web1, "--security-opt unmask=/proc/timer_list:/proc/s*", COVERED).split()
    assert set(usual) - set(fewer) >= {"/proc/sys", "/proc/timer_list"}
    assert "/proc/keys" in fewer
    more = "--privileged --security-opt mask=/etc/issue:/var/www"
    assert inside(web1, more, "cat /etc/issue; ls /var/www; cat /etc/issue.net") == "A line between two ships.\n"
    assert "invalid --security-opt: 'mask='" in refused(web1, "--security-opt mask=")

    web1.ok("create", "--name", "told", "--security-opt", "unmask=/proc/keys", "base:1")
    document = data(web1.ok("--json", "inspect", "told"))[0]["HostConfig"]
    assert "/proc/keys" not in document["MaskedPaths"]
    assert "/proc/timer_list" in document["MaskedPaths"]
    web1.ok("rm", "told")


def test_capabilities(web1: Laptop, host: Host) -> None:
    script = "awk '/^CapEff/ { print $2 }' /proc/self/status"
    every = int(host.exec(["awk", "/^CapBnd/ { print $2 }", "/proc/self/status"]).stdout, 16)
    assert int(inside(web1, "--cap-add ALL", script), 16) == every
    assert int(inside(web1, "--cap-add all --cap-drop mknod", script), 16) == every & ~(1 << 27)
    assert int(inside(web1, "--cap-add ALL -u 33", script), 16) == 0  # execve takes them from all but root
    assert "unknown capability 'FLY'" in refused(web1, "--cap-add FLY")


def test_a_seccomp_profile_of_ones_own(web1: Laptop, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(
        json.dumps(
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}],
            },
            indent=8,
        )
    )
    script = "awk '/^Seccomp:/ { print $2 }' /proc/self/status; mkdir /made 2>&1 | sed 's/.*: //'"
    for mark in ("=", ":"):
        assert inside(web1, f"--security-opt seccomp{mark}{profile}", script) == "2\nNo space left on device\n"
    assert inside(web1, "--security-opt seccomp=builtin", script) == "2\n"
    assert inside(web1, "--security-opt label=disable --security-opt apparmor=unconfined", script) == "2\n"
    for text, told in [
        ("{", "compacting json for seccomp profile"),
        ('{"defaultAction":"x"}', "action 'x' is not known"),
    ]:
        profile.write_text(text)
        assert told in web1.run("run", "--rm", "--security-opt", f"seccomp={profile}", "base:1", "true").stderr
    ran = web1.run("run", "--rm", "--security-opt", "seccomp=/no/such", "base:1", "true")
    assert "opening seccomp profile (/no/such) failed: No such file or directory" in ran.stderr


WHO = "id -u; id -g; id -G; echo $HOME"


@pytest.mark.parametrize(
    ("flags", "prints"),
    [
        ("-u www", "33\n33\n33\n/var/www\n"),
        ("-u 33", "33\n33\n33\n/var/www\n"),  # a number has the entry of its name
        ("-u 33:root", "33\n0\n0\n/var/www\n"),
        ("-u 2147483647", "2147483647\n0\n0\n/\n"),  # nobody's in the image
        ("-u 1234:www --group-add www --group-add 4321", "1234\n33\n33 4321\n/\n"),
        ("--group-add www", "0\n0\n0 33\n/root\n"),
        ("-u 33 -w /made/for/it", "33\n33\n33\n/var/www\n"),
    ],
)
def test_users(web1: Laptop, flags: str, prints: str) -> None:
    assert inside(web1, flags, WHO) == prints


def test_users_that_there_are_not(web1: Laptop) -> None:
    for flags, told in [
        ("-u nobody-here", "unable to find user nobody-here: no matching entries in passwd file"),
        ("-u root:none-here", "unable to find group none-here: no matching entries in group file"),
        ("--group-add none-here", "unable to find group none-here: no matching entries in group file"),
        ("-u 2147483648", "out of bounds: ids must be in range 0-2147483647"),
        ("-u 0:4294967296", "out of bounds: ids must be in range 0-2147483647"),
    ]:
        assert told in refused(web1, flags)


def test_a_working_folder_that_is_not_there(web1: Laptop) -> None:
    """It is made, and root's whoever the container runs as, as docker does."""
    assert inside(web1, "-u 33 -w /made/for/it", "pwd; stat -c '%u %g %a' . ..") == "/made/for/it\n0 0 755\n0 0 755\n"


def test_limits_above_the_agents_own(web1: Laptop, host: Host) -> None:
    pid = host.agent.find()
    assert pid is not None
    rows = Path(f"/proc/{pid.pid}/limits").read_text().splitlines()
    (hard,) = [line.split()[4] for line in rows if line.startswith("Max open files")]
    ran = web1.ok("run", "--rm", "--ulimit", "nofile=100:900000000", "base:1", "sh", "-c", "ulimit -n; ulimit -Hn")
    assert ran.lines == ["100", hard]
    assert f"ulimit nofile is {hard} at most on this host" in ran.stderr
