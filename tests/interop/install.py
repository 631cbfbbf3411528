"""Installs the real peers: Debian packages, and a Debian 13 in a folder. ``python3 -m tests.interop.install``.

The standard library alone, so that it runs before the virtual environment is there. The second run does nothing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.interop.debian13 import InstallError, debian13

PACKAGES = ("docker.io", "podman", "skopeo", "umoci", "debootstrap", "zstd", "xz-utils", "bzip2")
DEBIAN_PACKAGES = Path(__file__).parents[1] / "lab" / "debian-packages"


def install() -> Path:
    """Make sure that all are there; the folder of Debian 13. Raises :class:`InstallError`."""
    ended = subprocess.run([DEBIAN_PACKAGES, *PACKAGES], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ended.returncode != 0:
        raise InstallError(f"the packages {', '.join(PACKAGES)} cannot be installed:\n{ended.stdout}{ended.stderr}")
    return debian13()


def main() -> int:
    """Install; the exit code."""
    try:
        install()
    except InstallError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
