"""Images made on the spot, without the network and without the project's own code: it must not read its own mistakes.

Everything but the Debian image is deterministic: the same call gives the same bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.lab.layer import Layer

IMAGE_CACHE = Path(__file__).parents[2] / ".cache" / "images"
BUSYBOX = Path("/bin/busybox")
CREATED = "2024-01-02T03:04:05Z"


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it goes into an archive: uncompressed layers, oldest first, and the config's ``config`` object."""

    name: str
    layers: tuple[Path, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    created_by: tuple[str, ...] = ()

    def config_bytes(self) -> bytes:
        """The image's config document; its sha256 is the image id."""
        histories = self.created_by or tuple(f"layer {number}" for number in range(1, len(self.layers) + 1))
        return document(
            {
                "architecture": architecture(),
                "os": "linux",
                "created": CREATED,
                "config": dict(self.config),
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}" for layer in self.layers]},
                "history": [{"created": CREATED, "created_by": text} for text in histories],
            }
        )

    @property
    def id(self) -> str:
        """The image id as docker shows it in full."""
        return f"sha256:{hashlib.sha256(self.config_bytes()).hexdigest()}"


def architecture() -> str:
    """This machine's architecture as images call it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def busybox_base(folder: Path, name: str = "base:1") -> Image:
    """A 2 MB system of one program: a shell and its tools, without a web server yet; three layers with whiteouts."""
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    with Layer(folder / "base-1.tar") as layer:
        for directory in (
            "bin",
            "etc",
            "dev",
            "proc",
            "sys",
            "root",
            "usr",
            "usr/sbin",
            "var",
            "var/www",
            "var/www/html",
        ):
            layer.folder(directory)
        layer.folder("tmp", 0o1777)
        layer.file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
        for applet in sorted(set(applets) - {"busybox", "httpd"}):
            layer.link(f"bin/{applet}", "busybox")
        layer.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/var/www:/bin/sh\n")
        layer.file("etc/group", "root:x:0:\nwww:x:33:\n")
        layer.file("etc/motd", "removed by the next layer\n")
        layer.folder("etc/drafts")
        layer.file("etc/drafts/old", "hidden by the next layer\n")
    with Layer(folder / "base-2.tar") as layer:
        layer.folder("etc")
        layer.whiteout("etc/motd")
        layer.folder("etc/drafts")
        layer.opaque("etc/drafts")
        layer.file("etc/drafts/new", "seen\n")
    with Layer(folder / "base-3.tar") as layer:
        layer.folder("etc")
        layer.file("etc/issue", "A line between two ships.\n")
        layer.link("etc/issue.net", "etc/issue", hard=True)
    config = {"Env": ["PATH=/bin:/usr/sbin:/usr/bin:/sbin"], "Cmd": ["/bin/sh"], "WorkingDir": "/"}
    layers = tuple(folder / f"base-{number}.tar" for number in (1, 2, 3))
    return Image(name, layers, config, ("a system of busybox", "drafts and motd removed", "an issue added"))


def busybox_web(folder: Path, name: str = "httpd:1.1", page: str = "It works!\n") -> Image:
    """The base with busybox's web server serving ``page`` on port 80."""
    base = busybox_base(folder)
    with Layer(folder / "web.tar") as layer:
        layer.link("usr/sbin/httpd", "/bin/busybox")
        layer.file("var/www/html/index.html", page)
    config = {**base.config, "Cmd": ["httpd", "-f", "-p", "80", "-h", "/var/www/html"], "ExposedPorts": {"80/tcp": {}}}
    return Image(name, (*base.layers, folder / "web.tar"), config, (*base.created_by, "a web server"))


def synthetic(folder: Path, size: int, name: str = "big:1", files: int = 64, seed: int = 1) -> Image:
    """A layer of ``size`` bytes of incompressible content in ``files`` files, above nothing."""
    noise = _Noise(seed)
    with Layer(folder / f"synthetic-{seed}-{size}.tar") as layer:
        layer.folder("data")
        for number in range(files):
            entry = layer.entry(f"data/{number:04}", tarfile.REGTYPE, 0o644)
            entry.size = size // files + (size % files if number == 0 else 0)
            layer.add(entry, noise)
    return Image(name, (layer.path,), {"Cmd": ["/none"]})


class _Noise:
    """An endless readable of bytes that nothing compresses, the same for the same seed; several GB a second."""

    def __init__(self, seed: int) -> None:
        key = hashlib.sha256(str(seed).encode()).digest()
        self._stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def read(self, wanted: int) -> bytes:
        return self._stream.update(bytes(wanted))


def debian_apache(cache: Path, name: str = "debian-apache:1") -> Image:
    """A real one: Debian 12 with apache2, redis and curl, 285 MB; made once with debootstrap (a minute), then cached.

    The only one that needs the network, and only the first time.
    """
    cache.mkdir(parents=True, exist_ok=True)
    layer = cache / "debian-apache.tar"
    with (cache / "debian-apache.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not layer.exists():
            root = Path(tempfile.mkdtemp(prefix="debian-apache-", dir=cache))
            root.chmod(0o755)  # it becomes the image's "/", which not only root may enter
            try:
                include = "--include=apache2,redis-server,curl"
                subprocess.run(
                    ["debootstrap", "--variant=minbase", include, "bookworm", str(root)],
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
                shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
                pack = [
                    "tar",
                    "--create",
                    "--file",
                    f"{layer}.new",
                    "--directory",
                    str(root),
                    "--sort=name",
                    "--xattrs",
                ]
                subprocess.run([*pack, "--numeric-owner", "--one-file-system", "."], check=True)
                Path(f"{layer}.new").rename(layer)
            finally:
                shutil.rmtree(root)
    config = {
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Cmd": ["/bin/bash"],
        "WorkingDir": "/",
    }
    return Image(name, (layer,), config, ("debootstrap",))


def sha256(path: Path) -> str:
    """The digest of a file, in hexadecimal; an unchanged file is read once."""
    status = path.stat()
    return _sha256(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _sha256(path: Path, *_identity: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def document(value: Any) -> bytes:
    """A JSON document as images have them: compact."""
    return json.dumps(value, separators=(",", ":")).encode()
