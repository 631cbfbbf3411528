"""What the specification does, seen from inside a container, with each runtime that is installed.

The machine's kernel decides, not this code: a call is refused or not, a file is written or not. The other half of each
test switches the defence off and sees the same call succeed.
"""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.containers import host_facts
from tests.unit.agent.containers.runtime_host import PROBE

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[4]
MIB = 1 << 20
DEFAULT_MASK = ["00000000a80425fb"]
NONE = ["0000000000000000"]


@pytest.fixture(params=["crun", "runc"])
def runtime(request: pytest.FixtureRequest) -> str:
    path = shutil.which(request.param)
    assert path is not None, f"{request.param} is not installed"
    return path


def look(
    runtime: str, folder: Path, *writes: str, mounts: tuple[dict[str, Any], ...] = (), before: tuple[str, ...] = (),
    without: str = "", user: str = "", **settings: Any,
) -> dict[str, Any]:  # fmt: skip
    """What a container with *settings* says; *writes* are paths it tries to write to."""
    asked = {
        "settings": {
            "image": "host", "name": "probe", "hostname": "box", "network": "none",
            "entrypoint": ["/usr/bin/python3", "-c", PROBE], "command": list(writes), "user": user, **settings,
        },
        "mounts": [{**mount, "source": mount["source"].replace("FOLDER", str(folder))} for mount in mounts],
        "before": list(before),
        "without": without,
    }  # fmt: skip
    program = [sys.executable, "-m", "tests.unit.agent.containers.runtime_host", runtime, str(folder)]
    ended = subprocess.run(
        ["unshare", "--mount", *program], input=json.dumps(asked), capture_output=True, text=True, cwd=ROOT, timeout=50
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["code"] == 0, told["stderr"]
    saw = told["saw"]
    assert isinstance(saw, dict)
    return {**saw, "warnings": told["warnings"]}


def test_an_ordinary_container(runtime: str, tmp_path: Path) -> None:
    saw = look(runtime, tmp_path)
    status = saw["status"]
    assert status["Seccomp"] == ["2"]
    assert (status["CapEff"], status["CapPrm"], status["CapBnd"]) == (DEFAULT_MASK,) * 3
    assert (status["CapInh"], status["CapAmb"], status["NoNewPrivs"]) == (NONE, NONE, ["0"])
    assert saw["forked"] == 7
    allowed = {"personality now", "socket inet", "socket netlink", "chroot", "getrandom", "memfd_create", "mknod"}
    assert {name for name, told in saw["calls"].items() if told == 0} == allowed
    refused = {
        "unshare user", "unshare mount", "keyctl", "add_key", "io_uring_setup", "bpf", "userfaultfd", "clone user",
        "personality weak", "socket alg", "socket vsock", "socket vsock above 32 bits", "mount", "sethostname",
        "open of a device not allowed",
    }  # fmt: skip
    assert {name for name, told in saw["calls"].items() if told == errno.EPERM} == refused
    assert saw["calls"]["clone3"] == errno.ENOSYS
    assert saw["calls"]["socket xdp"] == errno.EINVAL  # the kernel's answer, so the filter let it through
    assert saw["timer_list"] == ""
    assert saw["firmware"] == []
    for what in ("write sys", "write sysfs", "write cgroup"):
        assert saw[what] == errno.EROFS, what
    assert saw["write root"] == 0
    assert set(saw["dev"]) >= {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue"}
    assert "kmsg" not in saw["dev"]
    assert (saw["pid"], saw["hostname"], saw["cwd"], saw["umask"]) == (1, "box", "/", 0o022)
    assert saw["interfaces"] == ["lo"]
    assert saw["port start"] == "0"
    assert saw["env"]["HOME"] == "/root"
    assert saw["env"]["HOSTNAME"] == "box"
    assert "nosuid" in saw["mounts"]["/dev"]
    assert "size=65536k" in saw["mounts"]["/dev/shm"]


def test_a_privileged_container(runtime: str, tmp_path: Path) -> None:
    saw = look(runtime, tmp_path, privileged=True)
    assert saw["status"]["Seccomp"] == ["0"]
    assert int(saw["status"]["CapEff"][0], 16) & 1 << 21  # CAP_SYS_ADMIN
    assert saw["status"]["CapInh"] == NONE
    for name in ("unshare user", "unshare mount", "personality weak", "sethostname", "open of a device not allowed"):
        assert saw["calls"][name] == 0, name
    assert saw["timer_list"] != ""
    for what in ("write sys", "write sysfs", "write cgroup"):
        assert saw[what] == 0, what


def test_seccomp_alone_off(runtime: str, tmp_path: Path) -> None:
    saw = look(runtime, tmp_path, security_opt=["seccomp=unconfined", "no-new-privileges"])
    assert saw["status"]["Seccomp"] == ["0"]
    assert saw["status"]["NoNewPrivs"] == ["1"]
    for name in ("unshare user", "personality weak", "keyctl"):
        assert saw["calls"][name] == 0, name
    for name in ("socket alg", "socket vsock", "socket vsock above 32 bits", "add_key", "clone3"):
        assert saw["calls"][name] not in (errno.EPERM, errno.ENOSYS), name


def test_a_profile_of_the_users_own(runtime: str, tmp_path: Path) -> None:
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["memfd_create"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EXDEV},
        {"names": ["getrandom"], "action": "SCMP_ACT_ERRNO", "includes": {"caps": ["CAP_SYS_BOOT"]}},
    ]}  # fmt: skip
    saw = look(runtime, tmp_path, security_opt=[f"seccomp={json.dumps(profile)}"])
    assert saw["calls"]["memfd_create"] == errno.EXDEV
    assert saw["calls"]["getrandom"] == 0


def test_capabilities(runtime: str, tmp_path: Path) -> None:
    saw = look(runtime, tmp_path, cap_drop=["ALL"], cap_add=["SYS_ADMIN"])
    assert saw["status"]["CapEff"] == [f"{1 << 21:016x}"]
    assert saw["calls"]["unshare mount"] == 0
    assert saw["calls"]["chroot"] == errno.EPERM
    assert saw["calls"]["keyctl"] == errno.EPERM


def test_another_user(runtime: str, tmp_path: Path) -> None:
    saw = look(runtime, tmp_path, user="nobody:games", group_add=["5"])
    status = saw["status"]
    assert (status["Uid"][0], status["Gid"][0]) == ("65534", "60")
    assert set(status["Groups"]) == {"60", "5"}
    assert (status["CapEff"], status["CapPrm"], status["CapBnd"]) == (NONE, NONE, DEFAULT_MASK)
    assert saw["env"]["HOME"] == "/nonexistent"
    assert saw["write root"] == errno.EACCES


def test_limits(runtime: str, tmp_path: Path) -> None:
    saw = look(
        runtime, tmp_path,
        resources={"memory": 64 * MIB, "memory_reservation": 32 * MIB, "pids_limit": 50, "nano_cpus": 500_000_000,
                   "cpu_shares": 512, "cpuset_cpus": "0"},
        ulimits=[{"name": "nofile", "soft": 100, "hard": 200}, {"name": "core", "soft": 5, "hard": 6}],
        oom_score_adj=300, sysctls={"kernel.msgmax": "4096"},
    )  # fmt: skip
    assert saw["cgroup"] == {
        "memory/memory.limit_in_bytes": str(64 * MIB),
        "memory/memory.memsw.limit_in_bytes": str(128 * MIB),
        "memory/memory.soft_limit_in_bytes": str(32 * MIB),
        "pids/pids.max": "50",
        "cpu/cpu.cfs_quota_us": "50000",
        "cpu/cpu.cfs_period_us": "100000",
        "cpu/cpu.shares": "512",
        "cpuset/cpuset.cpus": "0",
    }
    assert (saw["nofile"], saw["core"]) == ([100, 200], [5, 6])
    assert (saw["oom"], saw["msgmax"]) == ("300", "4096")


def test_a_ulimit_above_the_agents_own_is_clamped(runtime: str, tmp_path: Path) -> None:
    saw = look(runtime, tmp_path, ulimits=[{"name": "nofile", "soft": 2**40, "hard": 2**40}])
    assert saw["nofile"][0] == saw["nofile"][1] < 2**40
    assert len(saw["warnings"]) == 1


def test_mounts(runtime: str, tmp_path: Path) -> None:
    saw = look(
        runtime, tmp_path, "/rw/x", "/ro/x", "/ro/below/x", "/scratch/x", "/rw/inner/x", "/x",
        before=("mkdir -p a/below b inner && mount -t tmpfs tmpfs a/below",),
        mounts=(
            {"source": "FOLDER/inner", "target": "/rw/inner", "read_only": True},
            {"source": "FOLDER/a", "target": "/ro", "read_only": True},
            {"source": "FOLDER/b", "target": "/rw"},
        ),
        tmpfs=["/scratch:size=1m,mode=700"], read_only=True, shm_size=2 * MIB, working_dir="/scratch",
    )  # fmt: skip
    assert saw["writes"] == {
        "/rw/x": 0, "/ro/x": errno.EROFS, "/ro/below/x": errno.EROFS, "/scratch/x": 0, "/rw/inner/x": errno.EROFS,
        "/x": errno.EROFS,
    }  # fmt: skip
    assert {"noexec", "nosuid", "nodev", "size=1024k", "mode=700"} <= set(saw["mounts"]["/scratch"])
    assert "size=2048k" in saw["mounts"]["/dev/shm"]
    assert saw["cwd"] == "/scratch"


def test_without_rro_what_is_below_a_read_only_mount_can_be_written(runtime: str, tmp_path: Path) -> None:
    saw = look(
        runtime, tmp_path, "/ro/x", "/ro/below/x", without="rro",
        before=("mkdir -p a/below && mount -t tmpfs tmpfs a/below",),
        mounts=({"source": "FOLDER/a", "target": "/ro", "read_only": True},),
    )  # fmt: skip
    assert saw["writes"] == {"/ro/x": errno.EROFS, "/ro/below/x": 0}


def test_an_init_of_the_hosts_is_the_first_process(runtime: str, tmp_path: Path) -> None:
    if not host_facts.read().init:
        with pytest.raises(AssertionError, match="this host has no init program for --init"):
            look(runtime, tmp_path, init=True)
        return
    saw = look(runtime, tmp_path, init=True)
    assert saw["first"].startswith("/dev/init\0--\0")
    assert saw["pid"] > 1
    assert "ro" in saw["mounts"]["/dev/init"]
