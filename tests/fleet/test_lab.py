"""The lab keeps its promises: hosts are apart from each other and from the machine, and nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.lab.processes import Process

pytestmark = pytest.mark.lab

LAB = [sys.executable, "-m", "tests.lab"]


def traces(token: str) -> list[str]:
    """What this machine still shows of a lab."""
    links = subprocess.run(["ip", "-brief", "link"], check=True, capture_output=True, text=True).stdout
    mounts = Path("/proc/mounts").read_text()
    found = [line for line in [*links.splitlines(), *mounts.splitlines()] if token in line]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/jackstay-lab-{token}")]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if token.encode() in entry.read_bytes():
                found.append(str(entry))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_hosts_have_their_own_names_networks_processes_and_state(tmp_path: Path) -> None:
    with Lab(2, tmp_path / "lab", agent=None) as lab:
        one, two = lab.hosts["web1"], lab.hosts["web2"]
        assert one.exec(["hostname"]).stdout == "web1\n"
        one.exec(["sh", "-c", "echo one >/var/lib/jackstay/file; echo one >/run/file; echo one >/etc/jackstay/file"])
        for path in ("/var/lib/jackstay/file", "/run/file", "/etc/jackstay/file"):
            assert one.exec(["cat", path]).stdout == "one\n"
            assert two.exec(["cat", path]).returncode != 0
            assert not Path(path).exists()
        assert (one.state_dir / "file").read_text() == "one\n"
        assert len(one.exec(["ps", "-e"]).stdout.splitlines()) < 10
        cgroups = one.exec(["cut", "-d:", "-f3", "/proc/self/cgroup"]).stdout.split()
        assert cgroups
        assert set(cgroups) <= {"/", "/system"}
        assert one.exec(["busybox", "ping", "-c1", "-W2", two.address]).returncode == 0
    assert not (tmp_path / "lab").exists()


def test_the_switch_counts_limits_and_cuts(tmp_path: Path) -> None:
    with Lab(2, tmp_path / "lab", agent=None) as lab:
        one, two = lab.hosts["web1"], lab.hosts["web2"]
        before = one.link_bytes(), lab.laptop_bytes()
        ssh = ["ssh", "-F", "none", "-i", lab.keys.identity, "-o", f"UserKnownHostsFile={lab.keys.known_hosts}"]
        ssh += ["-o", "BatchMode=yes", "-o", "ConnectTimeout=2", f"root@{one.address}"]
        copied = subprocess.run([*ssh, "head -c 3000000 /dev/zero"], capture_output=True, check=True)
        assert len(copied.stdout) == 3_000_000
        assert 3_000_000 < one.link_bytes().since(before[0]).sent < 3_300_000
        assert 3_000_000 < lab.laptop_bytes().since(before[1]).received < 3_300_000
        assert two.link_bytes().sent < 100_000

        one.limit(rate="8mbit")
        started = time.monotonic()
        subprocess.run([*ssh, "head -c 3000000 /dev/zero"], capture_output=True, check=True)
        assert time.monotonic() - started > 2.5
        one.limit()

        one.switch_off()
        assert subprocess.run([*ssh, "true"], capture_output=True).returncode == 255
        one.switch_on()
        assert subprocess.run([*ssh, "true"], capture_output=True).returncode == 0


def test_nothing_stays_behind_not_even_of_what_ran_in_a_host(tmp_path: Path) -> None:
    with Lab(1, tmp_path / "lab", agent=None) as lab:
        host = lab.hosts["web1"]
        # As a container of an agent that is gone: an orphan in namespaces and a cgroup of its own.
        orphan = f"""
exec </dev/null >/dev/null 2>&1
for hierarchy in /sys/fs/cgroup/*; do mkdir -p $hierarchy/jackstay/c1; done
echo $$ >/sys/fs/cgroup/pids/jackstay/c1/cgroup.procs
exec unshare --mount --net --pid --fork sh -c ': {lab.token}-container; sleep 1000'
"""
        host.exec(["setsid", "--fork", "sh", "-c", orphan])
        deadline = time.monotonic() + 5
        while not any("/proc/" in trace for trace in traces(f"{lab.token}-container")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert traces(lab.token)
    assert traces(lab.token) == []


def test_hosts_end_with_the_process_that_made_them(tmp_path: Path) -> None:
    program = "from tests.lab.lab import Lab\nlab = Lab(1, {!r}, agent=None)\nlab.up()\nprint(1, flush=True)\ninput()"
    child = subprocess.Popen(
        [sys.executable, "-c", program.format(str(tmp_path / "lab"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == b"1\n"
    known = json.loads((tmp_path / "lab/hosts/web1/init.json").read_text())
    child.kill()
    child.wait()
    child.stdout.close()
    child.stdin.close()
    assert Process(known["pid"], known["start"]).wait(5)
    token = json.loads((tmp_path / "lab/lab.json").read_text())["token"]
    assert subprocess.run([*LAB, "down", "--dir", tmp_path / "lab"]).returncode == 0
    assert traces(token) == []


def test_down_spares_a_stranger_who_got_the_number_of_a_host(tmp_path: Path) -> None:
    lab = Lab(1, tmp_path / "lab", agent=None, stays=True)
    lab.up()
    stranger = subprocess.Popen(["sleep", "1000"])
    try:
        path = tmp_path / "lab/hosts/web1/init.json"
        known = json.loads(path.read_text())
        real = Process(known["pid"], known["start"])
        real.kill()
        path.write_text(json.dumps(known | {"pid": stranger.pid}))
        lab.down()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_up_and_down_by_command(tmp_path: Path) -> None:
    """Two processes, and the second knows of the first only what its folder says."""
    folder = tmp_path / "lab"
    program = f"from tests.lab.lab import Lab; Lab(2, {str(folder)!r}, agent=None, stays=True).up()"
    subprocess.run([sys.executable, "-c", program], check=True)
    inside = subprocess.run([*LAB, "exec", "--dir", folder, "web2", "--", "hostname"], capture_output=True, text=True)
    assert inside.stdout == "web2\n"
    with pytest.raises(LabError, match="holds a lab already"):
        Lab(1, folder, agent=None).up()
    token = Lab.open(folder).token
    assert subprocess.run([*LAB, "down", "--dir", folder]).returncode == 0
    assert traces(token) == []
    again = subprocess.run([*LAB, "down", "--dir", folder], capture_output=True, text=True)
    assert (again.returncode, again.stderr) == (1, f"Error: {folder} holds no lab\n")


def test_down_after_an_up_that_was_cut(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    program = f"""
import os, signal
from tests.lab.switch import Switch
from tests.lab.lab import Lab
Switch.plug = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
Lab(2, {str(folder)!r}, agent=None, stays=True).up()
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == -signal.SIGKILL
    lab = Lab.open(folder)
    assert list(lab.hosts) == ["web1"]
    lab.down()
    assert traces(lab.token) == []
    assert not folder.exists()


@pytest.mark.parametrize(("command", "code"), [("exit 7", 7), ("kill -KILL $$", 137), ("true", 0)])
def test_run_gives_the_commands_own_exit_code_and_removes_everything(tmp_path: Path, command: str, code: int) -> None:
    script = f"""
grep -q web2 "$JACKSTAY_INVENTORY" || exit 99
cp "$(dirname "$JACKSTAY_INVENTORY")/lab.json" {tmp_path}
{command}
"""
    run = subprocess.run(
        [*LAB, "run", "--no-agent", "--hosts", "2", "--dir", tmp_path / "lab", "--", "sh", "-c", script]
    )
    assert run.returncode == code
    assert traces(json.loads((tmp_path / "lab.json").read_text())["token"]) == []
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_removes_everything_when_interrupted(tmp_path: Path, number: int) -> None:
    folder = tmp_path / "lab"
    run = subprocess.Popen(
        [
            *LAB,
            "run",
            "--no-agent",
            "--hosts",
            "1",
            "--dir",
            folder,
            "--",
            "sh",
            "-c",
            f"touch {tmp_path}/ready; sleep 60",
        ]
    )
    deadline = time.monotonic() + 50
    while not (tmp_path / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    token = json.loads((folder / "lab.json").read_text())["token"]
    os.kill(run.pid, number)
    assert run.wait(20) == 130
    assert traces(token) == []
    while traces(str(tmp_path)):  # nor of the command, once the kernel has ended it
        assert time.monotonic() < deadline, traces(str(tmp_path))
        time.sleep(0.02)
    assert not folder.exists()
