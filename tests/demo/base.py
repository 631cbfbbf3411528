"""The image that the walkthrough begins with, and how a web server is put into a container of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.lab.images import IMAGE_CACHE, Image, busybox_base, debian_apache
from tests.lab.layer import Layer


@dataclass(frozen=True, slots=True)
class Base:
    """One kind of base image."""

    image: Image
    other: Image  # shares the base's layers
    prompt: str  # of its shell, a regular expression
    install: tuple[str, ...]  # lines typed into the shell: the web server is installed and started
    ask: str  # prints a page of the container's own web server
    command: str  # the instruction that makes the web server the image's command


def busybox(folder: Path) -> Base:
    """Two megabytes; its web server is an applet that the image has no name for yet."""
    image = busybox_base(folder)
    return Base(
        image=image,
        other=_other(folder, image),
        prompt=r"[/~] # ",
        install=("ln -s /bin/busybox /usr/sbin/httpd", "httpd -h /var/www/html"),
        ask="wget -q -O - http://127.0.0.1/",
        command='CMD ["httpd", "-f", "-p", "80", "-h", "/var/www/html"]',
    )


def debian(folder: Path) -> Base:
    """Debian 12 with apache2, 285 MB, made by debootstrap."""
    image = debian_apache(IMAGE_CACHE, "base:1")
    return Base(
        image=image,
        other=_other(folder, image),
        prompt=r"# ",
        install=("echo ServerName localhost >/etc/apache2/conf-enabled/name.conf", "apachectl start"),
        ask="curl -s http://127.0.0.1/",
        command='CMD ["apachectl", "-D", "FOREGROUND"]',
    )


def _other(folder: Path, image: Image) -> Image:
    path = folder / "other.tar"
    if not path.exists():
        with Layer(path) as layer:
            layer.file("other", "another image on the same layers\n")
    return Image("other:1", (*image.layers, path), image.config, (*image.created_by, "a file"))
