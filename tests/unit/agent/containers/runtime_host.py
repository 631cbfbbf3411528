"""Run one container from a specification of ours and print what it saw of itself, as JSON.

``python -m … RUNTIME FOLDER`` in a mount namespace of its own, as root; standard input is JSON: ``settings``, ``image``
(config for containers), ``mounts``, ``before`` (shell commands in FOLDER), ``without`` (a mount option left out). The
container's root is an overlay of the host's, so that it has a Python to look with. The cgroups it makes, it removes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from jackstay_agent.containers import host_facts, process, spec, users
from jackstay_agent.containers.settings import Settings
from jackstay_agent.containers.spec_mounts import ResolvedMount
from jackstay_oci.image_config import ContainerConfig, ImageConfig

CGROUPS = Path("/sys/fs/cgroup")

PROBE = r"""
import ctypes, json, os, resource, socket, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    child = os.fork()  # what the call changes must not change the next one's answer
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_ulong(a) for a in arguments])
    os._exit(0 if result >= 0 else ctypes.get_errno())
def error(function, *arguments):
    try:
        function(*arguments)
        return 0
    except OSError as told:
        return told.errno
def text(path):
    try:
        with open(path, "rb") as file:
            return file.read(4096).decode(errors="replace").strip()
    except OSError as told:
        return told.errno
def write(path, mode="a"):
    def act():
        with open(path, mode):
            pass
    return error(act)
thread = threading.Thread(target=lambda: None)
thread.start()
thread.join()
child = os.fork()
if child == 0:
    os._exit(7)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
umask = os.umask(0)
seen = {
    "status": {key: status[key].split() for key in ("Seccomp", "CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb",
                                                    "NoNewPrivs", "Uid", "Gid", "Groups")},
    "forked": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]),
    "calls": {
        "unshare user": call(272, 0x10000000),
        "unshare mount": call(272, 0x20000),
        "keyctl": call(250, 0, 0xFFFFFFFD, 0),
        "add_key": call(248, 0, 0, 0, 0, 0),
        "io_uring_setup": call(425, 1, 0),
        "bpf": call(321, 0, 0, 0),
        "userfaultfd": call(323, 0),
        "clone3": call(435, 0, 0),
        "clone user": call(56, 0x10000000 | 17, 0, 0, 0, 0),
        "personality now": call(135, 0xFFFFFFFF),
        "personality weak": call(135, 0x0040000),
        "socket inet": call(41, 2, 1, 0),
        "socket netlink": call(41, 16, 3, 0),
        "socket xdp": call(41, 44, 99, 0),
        "socket alg": call(41, 38, 5, 0),
        "socket vsock": call(41, 40, 1, 0),
        "socket vsock above 32 bits": call(41, 2**32 + 40, 1, 0),
        "mount": call(165, 0, 0, 0, 0, 0),
        "chroot": error(os.chroot, "/"),
        "getrandom": error(os.getrandom, 1),
        "memfd_create": error(lambda: os.close(os.memfd_create("x"))),
        "sethostname": error(socket.sethostname, "x"),
        "mknod": error(os.mknod, "/tmp/device", 0o020600, os.makedev(1, 3)),
        "open of a device not allowed": error(lambda: (os.mknod("/dev/mine", 0o020600, os.makedev(1, 11)),
                                                       os.open("/dev/mine", os.O_RDONLY))),
    },
    "kcore": text("/proc/kcore"),
    "timer_list": text("/proc/timer_list"),
    "firmware": os.listdir("/sys/firmware"),
    "write sys": write("/proc/sys/kernel/hostname"),
    "write sysrq": write("/proc/sysrq-trigger"),
    "write sysfs": write("/sys/kernel/mm/transparent_hugepage/enabled"),
    "write root": write("/written"),
    "write tmp": write("/tmp/written"),
    "dev": sorted(os.listdir("/dev")),
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "cgroup": {name: text("/sys/fs/cgroup/" + name) for name in (
        "memory/memory.limit_in_bytes", "memory/memory.memsw.limit_in_bytes", "memory/memory.soft_limit_in_bytes",
        "pids/pids.max", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "cpu/cpu.shares", "cpuset/cpuset.cpus")},
    "write cgroup": write("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    "mounts": {line.split()[4]: line.split()[5].split(",") + line.split()[-1].split(",")
               for line in open("/proc/self/mountinfo")},
    "oom": text("/proc/self/oom_score_adj"),
    "pid": os.getpid(),
    "first": text("/proc/1/cmdline"),
    "hostname": socket.gethostname(),
    "interfaces": [name for _, name in socket.if_nameindex()],
    "port start": text("/proc/sys/net/ipv4/ip_unprivileged_port_start"),
    "msgmax": text("/proc/sys/kernel/msgmax"),
    "env": dict(os.environ),
    "cwd": os.getcwd(),
    "umask": umask,
    "writes": {path: write(path) for path in sys.argv[1:]},
}
print(json.dumps(seen))
"""


def main(runtime: str, folder: Path) -> None:
    asked = json.load(sys.stdin)
    rootfs = overlay(folder)
    mount_hugetlb(folder)
    for command in asked.get("before", []):
        subprocess.run(command, shell=True, check=True, cwd=folder)
    container = f"jackstay-probe-{os.getpid()}"
    given = msgspec.convert(asked["settings"], Settings)
    image = ImageConfig(config=msgspec.convert(asked.get("image", {}), ContainerConfig))
    plan = process.merge(given, image)
    uid, gid, groups, home = users.resolve_user([str(rootfs), plan.user, list(given.group_add), plan.cwd], [])
    context = spec.SpecContext(
        id=container,
        rootfs=str(rootfs),
        hostname=given.hostname,
        netns_path=None,
        cgroups_path=f"/jackstay-probe/{container}",
        facts=host_facts.read(),
        user=users.ResolvedUser(uid, gid, tuple(groups), home),
        mounts=tuple(msgspec.convert(mount, ResolvedMount) for mount in asked.get("mounts", [])),
        files={},
    )
    built = spec.build(given, plan, context)
    for mount in built["mounts"]:
        mount["options"] = [option for option in mount["options"] if option != asked.get("without")]
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps(built))
    command = [runtime, "--root", str(folder / "state")]
    try:
        ended = subprocess.run(
            [*command, "run", "--no-new-keyring", "--bundle", str(bundle), container], capture_output=True, check=False,
            stdin=subprocess.DEVNULL, timeout=30,
        )  # fmt: skip
    finally:
        subprocess.run([*command, "delete", "--force", container], capture_output=True, check=False)
        remove_cgroups()
    saw = json.loads(ended.stdout) if ended.stdout.startswith(b"{") else None
    told = {"saw": saw, "code": ended.returncode, "stderr": ended.stderr.decode(), "warnings": context.warnings}
    print(json.dumps(told))


def mount_hugetlb(folder: Path) -> None:
    """crun wants no controller in v2 on a hybrid machine: give this namespace its own folder of hierarchies, with
    the one controller that v2 has left mounted as v1."""
    if (CGROUPS / "cgroup.controllers").exists() or (CGROUPS / "hugetlb").is_mount():
        return
    names = [path.name for path in CGROUPS.iterdir() if path.is_mount()]
    kept = folder / "cgroup"
    kept.mkdir()
    subprocess.run(["mount", "--rbind", str(CGROUPS), str(kept)], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(CGROUPS)], check=True)
    for name in names:
        (CGROUPS / name).mkdir()
        subprocess.run(["mount", "--bind", str(kept / name), str(CGROUPS / name)], check=True)
    (CGROUPS / "hugetlb").mkdir()
    subprocess.run(["mount", "-t", "cgroup", "-o", "hugetlb", "cgroup", str(CGROUPS / "hugetlb")], check=True)


def overlay(folder: Path) -> Path:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
    for name in ("upper", "work", "rootfs", "state"):
        (folder / name).mkdir(mode=0o755)
    options = f"lowerdir=/,upperdir={folder}/upper,workdir={folder}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(folder / "rootfs")], check=True)
    return folder / "rootfs"


def remove_cgroups() -> None:
    for top in [CGROUPS, *CGROUPS.iterdir()]:
        for path in sorted((top / "jackstay-probe").glob(f"jackstay-probe-{os.getpid()}*")):
            for attempt in range(100):
                try:
                    path.rmdir()
                    break
                except OSError:
                    time.sleep(0.01 * bool(attempt))
        try:
            (top / "jackstay-probe").rmdir()
        except OSError:
            continue


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
