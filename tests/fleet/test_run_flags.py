"""Every flag of ``run``, typed on the command line and seen from inside the container, or by whom it is for.

A flag that no row here shows does not exist. Each row is one container with several flags at once.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jackstay.cli.container_flags import ContainerFlags
from tests.fleet.conftest import settled
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.images import architecture
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab

FILES = {
    "variables": "FROM_FILE=in a file \n# a comment\n\nTAKEN\nX=loses\n",
    "labels": "in.file=2\n",
    "given": "given\n",
}


def at(lab: Lab, name: str, *archives: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to one host, which has the images of *archives*."""
    laptop = Laptop(lab)
    laptop.environment |= {"JACKSTAY_HOST": name, "TAKEN": "from here"}
    for archive in archives:
        laptop.ok("load", "-i", archive)
    yield laptop
    host = lab.hosts[name]
    empty(host)
    assert settled(host) == []


@pytest.fixture(scope="module")
def web1(shared_lab: Lab, base_archive: Path, web_archive: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to web1, which runs crun and has both images."""
    yield from at(shared_lab, "web1", base_archive, web_archive)


@pytest.fixture(scope="module")
def web3(shared_lab: Lab, base_archive: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to web3, which runs runc and has ``base:1``."""
    yield from at(shared_lab, "web3", base_archive)


@pytest.fixture
def host(shared_lab: Lab) -> Host:
    """The host itself."""
    return shared_lab.hosts["web1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files for flags that name some; the lab's hosts see them at the same place."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "inner").mkdir()
    return tmp_path


@dataclass(frozen=True, slots=True)
class Row:
    """A command line, ``FOLDER`` standing for the folder of files; what the container prints, line by line."""

    flags: str
    script: str
    prints: str

    def options(self, folder: Path) -> list[str]:
        """The flags as typed; ``~`` stands for a blank."""
        return [word.replace("FOLDER", str(folder)).replace("~", " ") for word in self.flags.split()]


CGROUPS = """
cd /sys/fs/cgroup
if [ -e cgroup.controllers ]; then
    cat memory.max memory.low memory.swap.max cpu.max pids.max cpuset.cpus
    [ $(cat cpu.weight) -lt 100 ] && echo fewer shares
else
    cat memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes
    echo $(($(cat memory/memory.memsw.limit_in_bytes) - $(cat memory/memory.limit_in_bytes)))
    echo $(cat cpu/cpu.cfs_quota_us) $(cat cpu/cpu.cfs_period_us)
    cat pids/pids.max cpuset/cpuset.cpus
    [ $(cat cpu/cpu.shares) -lt 1024 ] && echo fewer shares
fi
"""
"""A hybrid machine has the controllers in v1, a modern one in v2."""

MORE_CGROUPS = """
cd /sys/fs/cgroup
if [ -e cgroup.controllers ]; then
    cat cpu.max cpuset.mems
else
    echo $(cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us)
    cat cpuset/cpuset.mems
fi
"""

LIMITS = (
    Row(
        "--memory 64m --memory-reservation 32m --memory-swap 96m --cpus 0.5 --cpu-shares 512 --pids-limit 55 "
        "--cpuset-cpus 0",
        CGROUPS + "awk '/Cpus_allowed_list/ { print $2 }' /proc/self/status",
        f"{64 << 20}\n{32 << 20}\n{32 << 20}\n50000 100000\n55\n0\nfewer shares\n0\n",
    ),
    Row("--cpu-period 50000 --cpu-quota 20000 --cpuset-mems 0", MORE_CGROUPS, "20000 50000\n0\n"),
)
"""What ``update`` takes, too."""

SAFETY = "awk '/^(CapEff|NoNewPrivs|Seccomp):/ { print $2 }' /proc/self/status"

ROWS = [
    Row("", SAFETY, "00000000a80425fb\n0\n2\n"),
    Row(
        "-e X=a~b --env EMPTY= -e TAKEN -e NOT_HERE --env-file FOLDER/variables -w /made/for/it",
        'echo "$X|$EMPTY|${TAKEN}|${NOT_HERE-unset}|$FROM_FILE|"; pwd',
        "a b||from here|unset|in a file |\n/made/for/it\n",
    ),
    Row("-u www --group-add 777", "id -u; id -g; id -G", "33\n33\n33 777\n"),
    Row("--user 1234:5", "id -u; id -g", "1234\n5\n"),
    Row(
        "--hostname box --add-host db:192.0.2.7 --add-host gw=host-gateway "
        "--dns 192.0.2.53 --dns 192.0.2.54 --dns-search example.org --dns-option ndots:3 --dns-option timeout:1",
        "hostname; awk '$2 == \"db\" || $2 == \"gw\" { print $1 }' /etc/hosts; cat /etc/resolv.conf",
        "box\n192.0.2.7\n10.88.0.1\nnameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch example.org\n"
        "options ndots:3 timeout:1\n",
    ),
    *LIMITS,
    Row("--cap-drop all --cap-add net_admin --cap-add CAP_CHOWN", SAFETY, "0000000000001001\n0\n2\n"),
    Row("--cap-drop MKNOD", "mknod /x c 1 3 2>/dev/null || echo refused", "refused\n"),
    Row(
        "--security-opt no-new-privileges --security-opt seccomp=unconfined",
        SAFETY,
        "00000000a80425fb\n1\n0\n",
    ),
    Row(
        "--privileged=true --read-only=false",
        "mount -t tmpfs none /mnt 2>/dev/null || { mkdir /mnt; mount -t tmpfs none /mnt; } && echo mounted; "
        "[ -w /proc/sys/kernel/domainname ] && [ -e /dev/kmsg ] && echo all devices",
        "mounted\nall devices\n",
    ),
    Row(
        "--read-only --tmpfs /t:size=1m,mode=700 --shm-size 5m",
        "echo x 2>/dev/null >/x || echo refused; echo x >/t/x; stat -c %a /t; "
        "for at in /t /dev/shm; do df -k $at | awk 'NR == 2 { print $1, $2 }'; done",
        "refused\n700\ntmpfs 1024\nshm 5120\n",
    ),
    Row(
        "--ulimit nofile=100:200 --ulimit core=0 --sysctl net.ipv4.ip_forward=1 --sysctl kernel.shmmax=123456 "
        "--oom-score-adj 500",
        "ulimit -n; ulimit -Hn; ulimit -c; cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax "
        "/proc/self/oom_score_adj",
        "100\n200\n0\n1\n123456\n500\n",
    ),
    Row(
        "--ip 10.88.7.7 --mac-address 02:11:22:33:44:55",
        "cat /sys/class/net/eth0/address; ip -4 -o addr show eth0 | awk '{ print $4 }'",
        "02:11:22:33:44:55\n10.88.7.7/16\n",
    ),
    Row("--pid host", "ps | awk '/sshd/ && !/awk/ { print \"sshd\"; exit }'", "sshd\n"),
    Row(
        "--device /dev/full:/dev/brim:rw --device /dev/loop-control:/loops:r --device /dev/net:/dev/nets",
        "echo x 2>/dev/null >/dev/brim || echo brimful; : </loops && echo opened; "
        "(: >/loops) 2>/dev/null || echo refused; stat -c %t:%T /dev/brim /dev/nets/tun",
        "brimful\nopened\nrefused\n1:7\na:c8\n",
    ),
    Row(
        "--device-cgroup-rule c~10:237~rm",
        "mknod /loops c 10 237; : </loops && echo opened; (: >/loops) 2>/dev/null || echo refused",
        "opened\nrefused\n",
    ),
    Row(f"--on 1 --platform linux/{architecture()}", "echo ran", "ran\n"),
    Row("--cgroupns private", "readlink /proc/self/ns/cgroup | cut -d: -f1", "cgroup\n"),
    Row("--restart no --ipc none", "ls -d /dev/shm 2>/dev/null || echo none", "none\n"),
    Row("--network none", "ls /sys/class/net", "lo\n"),
    Row(
        "--net host --add-host gw:host-gateway",
        "ls -d /sys/class/net/jackstay0; awk '$2 == \"gw\" { print $1 }' /etc/hosts",
        "/sys/class/net/jackstay0\n127.0.0.1\n",
    ),
    Row(
        "-v named:/named -v named:/again:ro -v /anonymous -v FOLDER/inner:/bound:cached -v FOLDER/inner:/looked:ro,Z "
        "-v FOLDER/given:/file:ro -v FOLDER/made/by/it:/new",
        "echo 1 >/named/a; cat /again/a; echo 2 >/bound/b; cat /looked/b; echo 3 >/anonymous/c; cat /file; "
        "for at in /again /looked; do echo x 2>/dev/null >$at/x || echo $at refused; done; "
        "echo x 2>/dev/null >/file || echo /file refused; ls /new",
        "1\n2\ngiven\n/again refused\n/looked refused\n/file refused\n",
    ),
    Row(
        "--mount type=bind,src=FOLDER/given,dst=/file,readonly --mount type=volume,source=named,target=/named "
        "--mount type=tmpfs,destination=/t,tmpfs-size=1m",
        "cat /file /named/a; echo x 2>/dev/null >/file || echo refused; df -k /t | awk 'NR == 2 { print $2 }'",
        "given\n1\nrefused\n1024\n",
    ),
]  # fmt: skip


every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.flags.split(" --", 1)[0] or "none")


@every_row
def test_seen_from_inside(web1: Laptop, folder: Path, row: Row) -> None:
    ran = web1.run("run", "--rm", *row.options(folder), "base:1", "sh", "-c", row.script)
    assert (ran.code, ran.stdout) == (0, row.prints), ran


@every_row
def test_seen_from_inside_by_runc(web3: Laptop, folder: Path, row: Row) -> None:
    ran = web3.run("run", "--rm", *row.options(folder), "base:1", "sh", "-c", row.script)
    assert (ran.code, ran.stdout) == (0, row.prints), ran


@pytest.mark.parametrize("row", LIMITS)
def test_limits_of_one_that_runs_already(web1: Laptop, web3: Laptop, folder: Path, row: Row) -> None:
    for laptop in (web1, web3):
        laptop.ok("run", "-d", "--name", "free", "base:1", "sleep", "86400")
        assert laptop.ok("exec", "free", "sh", "-c", row.script).stdout != row.prints
        assert laptop.ok("update", *row.options(folder), "free").stdout == "free\n"
        assert laptop.ok("exec", "free", "sh", "-c", row.script).stdout == row.prints
        laptop.ok("rm", "-f", "free")


def test_verbs_by_runc(web3: Laptop, folder: Path) -> None:
    """Those that need the runtime, or what it has made; on crun they have tests of their own."""
    script = "trap 'exit 3' TERM; touch /ready; while :; do sleep 0.05; done"
    web3.ok("run", "-d", "--name", "app", "-v", "kept:/kept", "base:1", "sh", "-c", script)
    web3.ok("pause", "app")
    assert web3.ok("ps", "--format", "{{.State}}").stdout == "paused\n"
    web3.ok("unpause", "app")
    web3.ok("exec", "app", "sh", "-c", "until [ -e /ready ]; do sleep 0.02; done")
    web3.ok("cp", folder / "given", "app:/kept/given")
    web3.ok("cp", "app:/kept/given", folder / "back")
    assert (folder / "back").read_text() == "given\n"
    assert "trap" in web3.ok("top", "app").stdout
    assert "0B / 0B" not in web3.ok("stats", "--no-stream", "--format", "{{.MemUsage}}", "app").stdout
    assert "A /ready" in web3.ok("diff", "app").lines
    web3.ok("commit", "app", "committed:1")
    web3.ok("restart", "-t", "0", "app")
    web3.ok("kill", "app")
    web3.run("wait", "app").ended(137)
    web3.ok("rm", "app")
    web3.ok("rmi", "committed:1")


def test_which_runtime_runs_them(web1: Laptop, web3: Laptop) -> None:
    for laptop, runtime in [(web1, "crun"), (web3, "runc")]:
        laptop.ok("create", "--name", "of", "base:1", "true")
        assert data(laptop.ok("--json", "inspect", "of"))[0]["HostConfig"]["Runtime"] == runtime
        laptop.ok("rm", "of")


def test_what_is_kept_of_its_output(web1: Laptop) -> None:
    flags = ("--log-driver", "json-file", "--log-opt", "max-size=1m", "--log-opt", "max-file=2")
    assert web1.ok("run", "--name", "kept", *flags, "base:1", "echo", "said").stdout == "said\n"
    assert web1.ok("logs", "kept").stdout == "said\n"
    web1.ok("rm", "kept")


def test_volumes_of_another_container(web1: Laptop) -> None:
    web1.ok("run", "--name", "owner", "-v", "owned:/owned", "base:1", "sh", "-c", "echo 1 >/owned/a")
    assert web1.ok("run", "--rm", "--volumes-from", "owner:ro", "base:1", "cat", "/owned/a").stdout == "1\n"
    web1.ok("rm", "owner")


NAMESPACES = "for kind in pid ipc uts; do readlink /proc/self/ns/$kind; done"


@pytest.mark.parametrize("flag", ["pid", "ipc", "uts"])
def test_namespaces_of_the_host(web1: Laptop, host: Host, flag: str) -> None:
    of_host = host.exec(["sh", "-c", NAMESPACES]).stdout.splitlines()
    ran = web1.ok("run", "--rm", f"--{flag}", "host", "base:1", "sh", "-c", NAMESPACES).lines
    assert [name.partition(":")[0] for name in set(of_host) & set(ran)] == [flag]
    refused = web1.run("run", "--rm", f"--{flag}", "mine", "base:1", "true").ended(125)
    assert f"--{flag}: invalid mode 'mine'" in refused.stderr


def test_memory_shared_with_the_host(web1: Laptop, host: Host) -> None:
    host.exec(["sh", "-c", "echo shared >/dev/shm/jackstay-test"])
    try:
        ran = web1.ok("run", "--rm", "--ipc", "host", "base:1", "cat", "/dev/shm/jackstay-test")
    finally:
        host.exec(["rm", "/dev/shm/jackstay-test"])
    assert ran.stdout == "shared\n"
    web1.run("run", "--rm", "base:1", "test", "-e", "/dev/shm/jackstay-test").ended(1)


def test_what_of_the_host_is_refused(web1: Laptop, host: Host) -> None:
    of_host = host.exec(["hostname"]).stdout
    assert web1.ok("run", "--rm", "--uts", "host", "base:1", "hostname").stdout == of_host
    for flags, told in [
        ("--uts host --hostname x", "conflicting options: hostname and the UTS mode"),
        ("--uts host --sysctl kernel.domainname=x", "'kernel.domainname' not allowed"),
        ("--device /dev/no-such", 'custom device "/dev/no-such": No such file or directory'),
        ("--device /etc/hostname", 'custom device "/etc/hostname": not a device'),
        ("--platform linux/s390x", f"wanted linux/s390x, actual: linux/{architecture()}"),
        ("--device example.org/thing=x", "unresolvable CDI devices example.org/thing=x"),
        ("--gpus all", "unresolvable CDI devices nvidia.com/gpu=all"),
        ("--userns mine", "--userns: invalid mode 'mine'"),
        ("--ipc host --sysctl kernel.shmmax=1", "'kernel.shmmax' not allowed"),
    ]:
        assert told in web1.run("run", "--rm", *flags.split(), "base:1", "true").ended(125).stderr


def test_processes_in_the_hosts_pid_namespace_end_with_the_container(web1: Laptop, host: Host) -> None:
    """No init of a namespace takes them along."""
    web1.ok("run", "-d", "--name", "shares", "--pid", "host", "base:1", "sh", "-c", "sleep 98765 & sleep 98764")
    assert host.exec(["pgrep", "-f", "^sleep 98765"]).returncode == 0
    web1.ok("rm", "-f", "shares")
    assert host.exec(["pgrep", "-f", "^sleep 98765"]).returncode == 1
    web1.ok("run", "--name", "ends", "--pid", "host", "base:1", "sh", "-c", "sleep 98763 & sleep 0.2")
    assert host.exec(["pgrep", "-f", "^sleep 98763"]).returncode == 1
    web1.ok("rm", "ends")


def test_disk_weight(web1: Laptop, host: Host) -> None:
    """Where the kernel cannot weigh, as in version 1 of cgroups with the scheduler bfq, a warning says so."""
    files = "cat /sys/fs/cgroup/io.bfq.weight /sys/fs/cgroup/io.weight /sys/fs/cgroup/blkio/blkio.weight 2>/dev/null"
    ran = web1.ok("run", "--rm", "--blkio-weight", "300", "base:1", "sh", "-c", f"{files}; true")
    if "Weight discarded" in ran.stderr:
        weights = "ls /sys/fs/cgroup/jackstay/io.weight /sys/fs/cgroup/blkio/jackstay/blkio.weight"
        assert host.exec(["sh", "-c", weights]).stdout == ""
    else:
        assert "300" in ran.stdout.split()
    assert "from 10 to 1000" in web1.run("run", "--rm", "--blkio-weight", "5", "base:1", "true").ended(125).stderr


def test_init(web1: Laptop) -> None:
    """It is the first process, passes the code on, and signals that a first process would not mind."""
    web1.ok("run", "-d", "--init", "--name", "begun", "base:1", "sleep", "86400")
    ran = web1.run("run", "--rm", "--init", "base:1", "sh", "-c", "cat /proc/1/comm; exit 7").ended(7)
    assert ran.stdout == "init\n"
    web1.ok("stop", "-t", "20", "begun")
    web1.run("wait", "begun").ended(143)
    web1.ok("rm", "begun")


@pytest.mark.parametrize(
    ("flags", "words", "printed"),
    [
        (["--entrypoint", "echo"], ["said"], "said\n"),
        (["--entrypoint", ""], ["echo", "plain"], "plain\n"),
        (["-i"], ["cat"], "typed\n"),
        ([], ["cat"], ""),
    ],
)
def test_entrypoint_and_standard_input(web1: Laptop, flags: list[str], words: list[str], printed: str) -> None:
    ran = web1.run("run", "--rm", *flags, "base:1", *words, input=b"typed\n").ok()
    assert ran.stdout == printed


@pytest.mark.parametrize("name", ["web1", "web3"])
def test_terminal(request: pytest.FixtureRequest, name: str) -> None:
    laptop: Laptop = request.getfixturevalue(name)
    with laptop.terminal("run", "-it", "--name", "typed-to", "base:1") as terminal:
        terminal.expect("/ # ")
        terminal.type("tty; stty size\n")
        terminal.expect(r"/dev/pts/0\r\n24 100\r\n")
        terminal.type("\x10\x11")  # Ctrl-P Ctrl-Q
        terminal.expect("typed-to|detached")
        assert terminal.wait() == 0
    assert data(laptop.ok("--json", "ps", "-f", "name=typed-to"))[0]["State"] == "running"
    with laptop.terminal("exec", "-it", "typed-to", "sh") as terminal:
        terminal.expect("/ # ")
        terminal.resize(31, 77)
        terminal.type("until stty size | grep '31 77'; do sleep 0.05; done; exit 4\n")
        terminal.expect(r"31 77\r\n")
        assert terminal.wait() == 4
    laptop.ok("rm", "-f", "typed-to")


def test_published_ports(web1: Laptop, host: Host) -> None:
    flags = [word for form in ("8080:80", "127.0.0.1:8081:80", "8082-8083:80-81", "80") for word in ("-p", form)]
    web1.ok("run", "-d", "--rm", "--name", "forms", *flags, "httpd:1.1")
    web1.ok("run", "-d", "--rm", "--name", "all", "-P", "--expose", "90-91/udp", "httpd:1.1")

    def page(address: str, port: int | str) -> str:
        return host.exec(["curl", "-s", "--noproxy", "*", "-m", "5", f"http://{address}:{port}/"]).stdout

    def ports(name: str) -> dict[str, set[str]]:
        found = data(web1.ok("--json", "inspect", name))[0]["NetworkSettings"]["Ports"]
        return {port: {binding["HostPort"] for binding in bindings} for port, bindings in found.items()}

    (chosen,) = ports("forms")["80/tcp"] - {"8080", "8081", "8082"}
    exposed = ports("all")
    assert {port: len(there) for port, there in exposed.items()} == {"80/tcp": 1, "90/udp": 1, "91/udp": 1}
    (every,) = exposed["80/tcp"]
    deadline = time.monotonic() + 10
    while not (page(host.address, 8080) and page(host.address, every)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for address, port in [
        (host.address, 8080),
        ("127.0.0.1", 8081),
        (host.address, 8082),
        (host.address, chosen),
        (host.address, every),
    ]:
        assert page(address, port) == "It works!\n", (address, port)
    assert page(host.address, 8081) == ""  # bound to the loopback only
    web1.ok("rm", "-f", "forms", "all")


UDP_ECHO = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
    mine.bind(("0.0.0.0", 53))
    print("ready", flush=True)
    while True:
        text, sender = mine.recvfrom(100)
        mine.sendto(text, sender)
"""


def test_a_published_udp_port(web1: Laptop, host: Host) -> None:
    program = ["-v", "/usr:/usr:ro", "-v", "/usr/lib:/lib:ro", "-v", "/usr/lib64:/lib64:ro"]  # the machine's Python
    python = ["/usr/bin/python3", "-c", UDP_ECHO]
    web1.ok("run", "-d", "--rm", "--name", "echo", "-p", "8053:53/udp", *program, "base:1", *python)
    deadline = time.monotonic() + 10
    while "ready" not in web1.ok("logs", "echo").stdout and time.monotonic() < deadline:
        time.sleep(0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.settimeout(5)
        ours.sendto(b"over udp", (host.address, 8053))
        assert ours.recv(100) == b"over udp"
    web1.ok("rm", "-f", "echo")


def test_names_ids_and_words_about_it(web1: Laptop, host: Host, folder: Path) -> None:
    words = ["--label", "a=1", "--label-file", folder / "labels", "--annotation", "org.example.x=y"]
    web1.ok("run", "-d", "--name", "named", *words, "--cidfile", folder / "cid", "base:1", "sleep", "60")
    container = (folder / "cid").read_text()
    document = data(web1.ok("--json", "inspect", "named"))[0]
    assert (document["Id"], document["Config"]["Labels"]) == (container, {"a": "1", "in.file": "2"})
    assert web1.ok("ps", "-q", "--no-trunc", "-f", "label=in.file=2").stdout == f"{container}\n"
    spec = json.loads(host.path(f"/run/jackstay/containers/{container}/config.json").read_text())
    assert spec["annotations"]["org.example.x"] == "y"

    assert "named" in web1.run("run", "-d", "--name", "named", "base:1", "sleep", "60").ended(125).stderr
    web1.ok("run", "-d", "--replace", "--name", "named", "base:1", "sleep", "60")
    assert data(web1.ok("--json", "inspect", "named"))[0]["Id"] != container
    web1.ok("rm", "-f", "named")
    web1.ok("run", "--rm", "--name", "passing", "base:1", "true")
    assert web1.ok("ps", "-aq", "-f", "name=passing").stdout == ""


def test_a_health_check(web1: Laptop) -> None:
    durations = ["--health-interval", "100ms", "--health-timeout", "9s", "--health-start-period", "1m"]
    flags = [*durations, "--health-start-interval", "100ms", "--health-retries", "4", "--health-cmd", "test -e /ready"]
    web1.ok("run", "-d", "--name", "asked", *flags, "base:1", "sh", "-c", "touch /ready; sleep 60")
    deadline = time.monotonic() + 30
    while not (status := web1.ok("ps", "--format", "{{.Status}}").stdout).endswith("(healthy)\n"):
        assert time.monotonic() < deadline, status
    check = data(web1.ok("--json", "inspect", "asked"))[0]["Config"]["Healthcheck"]
    assert check == {
        "Test": ["CMD-SHELL", "test -e /ready"], "Interval": 10**8, "Timeout": 9 * 10**9, "StartPeriod": 60 * 10**9,
        "StartInterval": 10**8, "Retries": 4,
    }  # fmt: skip
    web1.ok("run", "-d", "--replace", "--name", "asked", "--no-healthcheck", "base:1", "sleep", "60")
    assert data(web1.ok("--json", "inspect", "asked"))[0]["Config"]["Healthcheck"]["Test"] == ["NONE"]
    web1.ok("rm", "-f", "asked")


def test_stop_signal_and_patience(web1: Laptop) -> None:
    asked = "trap 'exit 5' USR1; touch /ready; while :; do sleep 0.05; done"
    deaf = "trap '' TERM; touch /ready; while :; do sleep 0.05; done"
    web1.ok("run", "-d", "--name", "asked", "--stop-signal", "USR1", "base:1", "sh", "-c", asked)
    web1.ok("run", "-d", "--name", "deaf", "--stop-timeout", "1", "base:1", "sh", "-c", deaf)
    for name, signal in (("told", "USR1"), ("again", "USR2")):
        script = f"trap 'echo {signal}; exit 6' {signal}; touch /ready; while :; do sleep 0.05; done"
        web1.ok("run", "-d", "--name", name, "base:1", "sh", "-c", script)
    for name in ("asked", "deaf", "told", "again"):
        web1.ok("exec", name, "sh", "-c", "until [ -e /ready ]; do sleep 0.02; done")
    begin = time.monotonic()
    web1.ok("stop", "asked", "deaf")
    assert time.monotonic() - begin < 8  # 10 seconds are the default
    web1.ok("stop", "--signal", "USR1", "told")
    codes = [item["State"]["ExitCode"] for item in data(web1.ok("--json", "inspect", "asked", "deaf", "told"))]
    assert codes == [5, 137, 6]
    web1.ok("restart", "-s", "USR2", "again")
    assert web1.ok("logs", "again").stdout == "USR2\n"
    assert "invalid signal: NONE" in web1.run("stop", "-s", "NONE", "again").ended(1).stderr
    web1.ok("rm", "-f", "asked", "deaf", "told", "again")


def test_place_in_a_network(web1: Laptop) -> None:
    web1.ok("network", "create", "six", "--subnet", "10.76.0.0/24", "--subnet", "fd76::/64")
    flags = "--rm --network six --network-alias db --ip 10.76.0.7 --ip6 fd76::7 --mac-address 02:11:22:33:44:56"
    look = "ip -o addr show dev eth0 scope global | awk '{ print $4 }'; cat /sys/class/net/eth0/address"
    ran = web1.ok("run", *flags.split(), "base:1", "sh", "-c", look)
    assert ran.lines == ["10.76.0.7/24", "fd76::7/64", "02:11:22:33:44:56"]
    web1.ok("create", "--name", "placed", "--network", "six", "--network-alias", "db", "base:1", "true")
    inspected = data(web1.ok("--json", "inspect", "placed"))[0]
    assert inspected["NetworkSettings"]["Networks"]["six"]["Aliases"] == ["db"]
    web1.ok("rm", "placed")
    web1.ok("network", "rm", "six")


VALUE = "correct horse battery staple"


def test_secrets(shared_lab: Lab, web1: Laptop, web3: Laptop) -> None:
    both = ("-H", "web1,web3")
    given = web1.run(*both, "secret", "create", "--label", "of=web", "word", "-", input=VALUE.encode()).ok()
    assert len(given.lines) == 2
    missing = web1.run("run", "--rm", "--secret", "key", "base:1", "true").ended(125).stderr
    assert "secret key not found" in missing
    secrets = ["--secret", "word,mode=0400,uid=5,gid=6", "--secret", "source=word,target=/etc/word,type=mount"]
    secrets += ["--secret", "word,type=env,target=WORD"]
    script = """
    cd /run/secrets; stat -c '%n %a %u:%g' word /etc/word; cat word; echo; cat /etc/word; echo; echo "$WORD"
    echo x 2>/dev/null >/etc/word || echo read-only
    """
    seen = ["word 400 5:6", "/etc/word 444 0:0", VALUE, VALUE, VALUE, "read-only"]
    for laptop, userns in ((web1, "host"), (web1, "auto"), (web3, "auto")):
        ran = laptop.ok("run", "--rm", "--userns", userns, *secrets, "base:1", "sh", "-c", script)
        assert ran.lines == seen, userns

    web1.ok("run", "-d", "--name", "keeps", *secrets, "base:1", "sleep", "600")
    host = shared_lab.hosts["web1"]
    bundles = host.path("/run/jackstay/containers")
    assert [path.stat().st_mode & 0o777 for path in bundles.glob("*/secrets")] == [0o700]
    assert web1.ok("exec", "keeps", "sh", "-c", 'echo "$WORD"').stdout == f"{VALUE}\n"
    refused = web1.run("secret", "rm", "word").ended(1).stderr
    assert "secret word is in use by keeps" in refused
    web1.ok("commit", "keeps", "kept:1")
    texts = [
        web1.ok(*command.split()).stdout
        for command in (
            "inspect keeps", "image inspect kept:1", "history --no-trunc kept:1", "export keeps", "save kept:1",
            "diff keeps", "secret ls", "secret inspect word", "events --since 1h --until 0s", "ps -a --no-trunc",
            "run --rm kept:1 sh -c env;cat~/run/secrets/word~/etc/word;true".replace("~", "${IFS}"),
        )
    ]  # fmt: skip
    assert "secret create" in texts[8]
    assert '"Name": "word"' in texts[7]
    for text in (*texts, host.log_text(), missing, refused):
        assert VALUE not in text
    state = host.path("/var/lib/jackstay")
    # By grep, which does not mind what is being removed meanwhile.
    having = [host.path(name) for name in host.exec(["grep", "-rslF", VALUE, "/var/lib/jackstay"]).stdout.split()]
    assert [path.parent for path in having] == [state / "secrets"]
    assert having[0].stat().st_mode & 0o777 == 0o600

    # The agent's death loses none, and what it had begun to write goes.
    (state / "secrets" / "rubbish").write_text("half")
    host.agent.kill()
    host.agent.start()
    assert [path.name for path in (state / "secrets").iterdir()] == [having[0].name]
    web1.run("secret", "create", "--replace", "word", "-", input=b"new").ok()
    web1.ok("restart", "-t", "0", "keeps")
    assert web1.ok("exec", "keeps", "cat", "/run/secrets/word").stdout == "new"
    web1.ok("rm", "-f", "keeps")
    assert not [path for path in host.path("/run/jackstay").rglob("*") if path.name == "secrets"]
    web1.ok(*both, "--yes", "secret", "rm", "word")
    assert not [*(state / "secrets").iterdir()]


def test_every_flag_is_shown_here() -> None:
    text = Path(__file__).read_text()
    short = {"env": "-e", "interactive": "-i", "publish": "-p", "publish_all": "-P"}
    short |= {"rm": "--rm", "tty": "-it", "volume": "-v", "workdir": "-w", "network": "--network"}
    # Of the image (see test_pull.py, test_image_commands.py), and of unhealthy ones (see test_restarts_and_health.py).
    names = set(ContainerFlags._fields) - {"pull", "quiet", "health_on_failure"}
    missing = [name for name in names if short.get(name, f"--{name.replace('_', '-')}") not in text]
    assert not missing
