"""What real Docker makes images of: a file system with everything that a layer can hold, and a Dockerfile above it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from tests.interop.trees import CAPABILITY
from tests.lab.images import BUSYBOX
from tests.lab.layer import MTIME, Layer

APPLETS = ("cat", "chmod", "chown", "cp", "echo", "ln", "mkdir", "mv", "rm", "sh", "sleep", "touch")
# A version 2 capability: CAP_NET_BIND_SERVICE, permitted and effective.
NET_BIND = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

DOCKERFILE = """\
FROM {base}
ENV PATH=/bin:/usr/bin GREETING="a b  c"
RUN rm -r /etc/drafts && mkdir /etc/drafts && echo new >/etc/drafts/new && rm /etc/motd
LABEL org.example.what="made <here> & now" org.example.ünicode="ß"
RUN ln /etc/issue /usr/share/issue.again && chown 33:33 /var/www && chmod 4711 /bin/helper \\
 && mv /usr/share/doc /usr/share/docs && rm /usr/share/one && touch /etc/überschrift
WORKDIR /var/www
EXPOSE 80/tcp
RUN cp /bin/helper /bin/helper.copy && echo longer >>/etc/issue
CMD ["sleep", "600"]
"""

CHANGES = "rm -r /etc/drafts /var/empty; mkdir /var/empty; echo committed >/etc/committed; ln /etc/committed /committed"


def file_system(path: Path) -> Path:
    """A tar with a shell, and a file of each kind that is easy to get wrong."""
    with Layer(path) as layer:
        for folder in ("bin", "dev", "etc", "etc/drafts", "proc", "root", "sys", "usr", "usr/bin", "usr/share"):
            layer.folder(folder)
        for folder in ("usr/share/doc", "var", "var/empty", "var/www"):
            layer.folder(folder)
        layer.folder("tmp", 0o1777)
        layer.file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
        for applet in APPLETS:
            layer.link(f"bin/{applet}", "busybox")
        layer.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/var/www:/bin/sh\n")
        layer.file("etc/motd", "removed by the next layer\n")
        layer.file("etc/drafts/old", "hidden by the next layer\n")
        layer.file("etc/issue", "A line between two ships.\n")
        layer.file("usr/share/doc/readme", "moved with its folder by the next layer\n")
        layer.file("usr/share/empty", b"")
        layer.file("usr/share/one", "one file, three names\n")
        layer.link("usr/share/two", "usr/share/one", hard=True)
        layer.link("var/www/three", "usr/share/one", hard=True)
        layer.file("etc/überschrift", "a name that is not ASCII\n")
        layer.file("bin/helper", "#!/bin/sh\n", 0o6755)
        layer.file(f"var/www/{'n' * 200}", "a long name\n")
        layer.folder("usr/" + "d" * 120)
        layer.file("usr/" + "d" * 120 + "/" + "f" * 120, "a long path\n")
        layer.link("etc/absolute", "/var/www/three")
        layer.link("etc/dangling", "../nowhere/" + "l" * 150)
        _special(layer)
    return path


def _special(layer: Layer) -> None:
    mail = layer.entry("var/mail", tarfile.DIRTYPE, 0o2775)
    mail.gid = 8
    layer.add(mail)
    owned = layer.entry("var/mail/somebody", tarfile.REGTYPE, 0o600)
    owned.uid, owned.gid = 3_000_000, 3_000_001  # more than the octal fields of a header hold
    layer.add(owned)
    pipe = layer.entry("var/pipe", tarfile.FIFOTYPE, 0o640)
    layer.add(pipe)
    null = layer.entry("var/null", tarfile.CHRTYPE, 0o666)
    null.devmajor, null.devminor = 1, 3
    layer.add(null)
    content = b"#!/bin/sh\necho may listen below 1024\n"
    server = layer.entry("usr/bin/server", tarfile.REGTYPE, 0o755)
    server.size = len(content)
    server.pax_headers = {f"SCHILY.xattr.{CAPABILITY}": NET_BIND}
    layer.add(server, io.BytesIO(content))
    precise = layer.entry("usr/share/precise", tarfile.REGTYPE, 0o444)
    precise.mtime = MTIME + 0.25
    layer.add(precise)


def build_context(path: Path, base: str) -> Path:
    """A context of ``docker build``."""
    text = DOCKERFILE.format(base=base).encode()
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    return path
