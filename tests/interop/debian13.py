"""Debian 13 as a folder: Docker 26, Podman 5 and skopeo 1.18 run from it on an older Debian.

Made once with debootstrap (one to three minutes), from the mirror that this machine's own apt uses, and kept outside
the repository. What an interrupted run has left is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CACHE = Path("/var/cache/jackstay-interop")
SUITE = "trixie"
PACKAGES = ("docker.io", "docker-cli", "podman", "skopeo")


class InstallError(Exception):
    """A real peer cannot be had; the message says which and what was tried."""


def debian13() -> Path:
    """The folder, made when it is missing. It is shared and never written to. Raises :class:`InstallError`."""
    key = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    root = CACHE / f"{SUITE}-{key}"
    CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if root.exists():
            return root
        for stale in CACHE.glob(f"{SUITE}-*"):
            shutil.rmtree(stale)
        unfinished = Path(tempfile.mkdtemp(prefix=f"{SUITE}-unfinished-", dir=CACHE))
        _bootstrap(unfinished, lock.fileno())
        unfinished.chmod(0o755)
        unfinished.rename(root)
    return root


def _bootstrap(root: Path, lock: int) -> None:
    mirror = _mirror()
    print(f"Making a Debian {SUITE} with {', '.join(PACKAGES)} in {CACHE}", flush=True)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root), mirror]
    # It mounts /proc and /sys in the folder: in a mount namespace of its own they go with it, however it ends.
    ended = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | _proxies(),
        pass_fds=(lock,),  # what goes on when this process is killed goes on holding it
    )
    if ended.returncode != 0:
        last = "\n".join(ended.stdout.splitlines()[-10:])
        raise InstallError(f"debootstrap of {SUITE} from {mirror} failed with {ended.returncode}:\n{last}")
    shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)


def _mirror() -> str:
    """Where this machine's apt gets its own Debian's ``main`` from. Raises :class:`InstallError`."""
    own = _own_codename()
    targets = _output("apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(CREATED_BY) $(REPO_URI)")
    for line in targets.splitlines():
        release, component, kind, address = line.split(maxsplit=3)
        if (release, component, kind) == (own, "main", "Packages") and address.split(":")[0] in ("http", "https"):
            return address.rstrip("/")
    raise InstallError(f"apt on this machine has no mirror of Debian {own} main, which {SUITE} could be taken from")


def _own_codename() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    raise InstallError("/etc/os-release does not say which Debian this is")


def _proxies() -> dict[str, str]:
    """apt's proxies, in the variables that debootstrap's downloader reads."""
    found = {}
    for scheme in ("http", "https"):
        line = _output("apt-config", "shell", "proxy", f"Acquire::{scheme}::Proxy").strip()
        value = line.partition("=")[2].strip("'")
        if value and value != "DIRECT":
            found[f"{scheme}_proxy"] = value
    return found


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
