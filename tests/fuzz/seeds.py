"""Inputs that the targets take in whole, one or more for each form there is: where mutations begin.

``python -m tests.fuzz.seeds`` writes them to `corpus/`, a folder a target, where atheris looks. Those files are made
by this one: change it, not them.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

from jackstay_oci import media_types
from jackstay_oci.compression import zstd
from jackstay_oci.tar.entries import MAX_ID, Entry, Kind
from jackstay_oci.tar.writer import TarWriter
from tests.fuzz import raw_tar

CORPUS = Path(__file__).parent / "corpus"
END = bytes(1024)
_SPARSE = b"%011o\0%011o\0" % (0, 5) + b"%011o\0%011o\0" % (512, 5)
_OCI = {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST}


def seeds() -> dict[str, list[bytes]]:
    """By target."""
    tars = _tars()
    marked = [mark + tar for tar in tars for mark in (b"\0", b"\xff")]
    return {
        "tar_reader": marked,
        "archive": [mark + tar for tar in _archives() for mark in (b"\0", b"\xff")],
        "layout": _layouts(),
        "pax": [_records(), b"1600000000.123456789", b"-1.5", b"0000644\0", b"\x80\0\0\0\0\0\0\5", b"9" * 19],
        "compression": _compressed(tars[0]),
        "documents": _documents(),
        "image_config": [_documents()[-1], *(_text(run).encode() for run in _RUNS)],
        "reference": [
            b"httpd", b"docker.io/library/httpd:2.4", b"localhost:5000/a/b_c.d--e@sha256:" + b"a" * 64, b"[::1]:5/x:y",
            b"sha256:" + b"0" * 64, b"linux/arm/v7", b"linux/amd64", b"aarch64", b"docker.io/a.b/c", b"Foo/bar",
        ],
        "words": [
            b'ENV A="b c" D=$A', b'CMD ["a", "b"]', b"CMD a b", b"LABEL x='y $z' \"q\"=\\\"", b"EXPOSE 80/tcp 90-9/udp",
            b"HEALTHCHECK --interval=5s --retries=3 CMD curl x", b"VOLUME /a /b", b'VOLUME ["/c"]',
            b"WORKDIR ../x/${A}", b"ONBUILD RUN x", b"USER 1:2", b"STOPSIGNAL SIGTERM", b"ENV x ${y:-${z:+w}}",
            b"HEALTHCHECK NONE",
        ],
        "names": [
            b"a/b/c", b"./a/.wh.b", b"a/.wh..wh..opq", b".wh..wh.plnk/1.2", b"/abs", b"a/../b", b".wh.", b".wh.../x",
            b"root:x:0:0:root:/root:/bin/sh\na:x:1000:1000::/:\n---\nroot:x:0:\na:x:1000:a,root\n",
        ],
    }  # fmt: skip


def _tars() -> list[bytes]:
    """In every form of header that is read."""
    return [
        _own(),
        *(_by_python(form) for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT)),
        raw_tar.entry(b"L", b"n" * 150 + b"\0", magic=b"ustar  \0")
        + raw_tar.entry(b"K", b"t" * 150 + b"\0", magic=b"ustar  \0")
        + raw_tar.header(b"2", magic=b"ustar  \0", linkname=b"t" * 100) + END,
        raw_tar.header(uid=b"\x80" + (MAX_ID).to_bytes(7, "big"), gid=b"0000017\0", mtime=b"\xff" * 12) + END,
        raw_tar.header(magic=b"", name=b"old/") + raw_tar.entry(magic=b"", content=b"v7") + END,
        raw_tar.header(b"S", 10, sparse=_SPARSE, realsize=b"%011o\0" % 1024) + b"0123456789".ljust(512, b"\0") + END,
        raw_tar.header(b"S", 10, sparse=_SPARSE[:24], more=b"\1", realsize=b"%011o\0" % 1024)
        + _SPARSE[24:].ljust(512, b"\0") + b"0123456789".ljust(512, b"\0") + END,
        *(raw_tar.pax(_joined(records)) + raw_tar.entry(content=content) + END for records, content in _SPARSE_PAX),
        raw_tar.pax(_joined([(b"gid", b"5"), (b"comment", b"hello")]), b"g") + raw_tar.pax(_records())
        + raw_tar.entry(content=b"x") + raw_tar.entry(content=b"y") + END,
        raw_tar.entry(b"V", b"") + raw_tar.entry(b"7", b"contiguous") + raw_tar.entry(b"1", linkname=b"a") + END + b"x",
    ]  # fmt: skip


_SPARSE_PAX: list[tuple[list[tuple[bytes, bytes]], bytes]] = [
    (
        [(b"GNU.sparse.size", b"1000"), (b"GNU.sparse.numblocks", b"2"), (b"GNU.sparse.offset", b"0"),
         (b"GNU.sparse.numbytes", b"5"), (b"GNU.sparse.offset", b"500"), (b"GNU.sparse.numbytes", b"5")],
        b"0123456789",
    ),
    ([(b"GNU.sparse.size", b"1000"), (b"GNU.sparse.map", b"0,5,500,5"), (b"GNU.sparse.name", b"s")], b"0123456789"),
    (
        [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"s"),
         (b"GNU.sparse.realsize", b"1000")],
        b"2\n0\n5\n500\n5\n".ljust(512, b"\0") + b"0123456789",
    ),
]  # fmt: skip


def _joined(records: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(raw_tar.record(key, value) for key, value in records)


def _records() -> bytes:
    return _joined(
        [
            (b"path", b"p" * 120), (b"linkpath", b"l" * 120), (b"size", b"1"), (b"uid", b"%d" % MAX_ID), (b"gid", b"7"),
            (b"mtime", b"1600000000.123456789"), (b"SCHILY.xattr.user.note", b"hello\n\0\xff"), (b"atime", b""),
        ]
    )  # fmt: skip


def _own() -> bytes:
    out = io.BytesIO()
    with TarWriter(out, nanoseconds=True) as writer:
        for kind in Kind:
            writer.add(
                Entry(name=kind.value.encode(), kind=kind, linkname=b"file", size=3), b"abc" * (kind is Kind.FILE)
            )
        writer.add(Entry(name=b"\xff" * 120, uid=MAX_ID, mtime_ns=-5, xattrs={b"user.a": b"b"}))
    return out.getvalue()


def _by_python(form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for kind in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("d" * 60 + "/" + "f" * 60)
            info.type, info.linkname, info.uid, info.mtime = kind, "target", 1000, 1_600_000_000
            tar.addfile(info)
    return out.getvalue()


def _compressed(plain: bytes) -> list[bytes]:
    first, second = plain[:1000], plain[1000:3000]
    members = [gzip.compress(part, mtime=0) for part in (first, second)]
    frames = [zstd.compress(first), zstd.compress(second)]
    skippable = b"\x50\x2a\x4d\x18\4\0\0\0abcd"
    return [
        members[0], b"".join(members), b"".join(members) + bytes(600), frames[0], frames[0] + skippable + frames[1],
        lzma.compress(first), lzma.compress(first) + lzma.compress(second), bz2.compress(first),
        bz2.compress(first) + bz2.compress(second), gzip.compress(bytes(1 << 18), mtime=0),
        zstd.compress(bytes(1 << 18)), first,
    ]  # fmt: skip


_RUNS: list[dict[str, Any]] = [
    {"config": {"Cmd": ["a"], "WorkingDir": "/a/../b", "Volumes": {"/v/../w": {}, "/x": None}, "User": "app:1"}},
    {"config": {"Entrypoint": ["/a"], "ExposedPorts": {"80": {}, "90-95/udp": {}}, "Env": ["A=b", "=c", "D"]}},
    {"config": {"Cmd": None, "Entrypoint": "sh", "StopSignal": "RTMIN+3", "Labels": {"run.oci.x": "y"}, "Shell": []}},
    {"config": {"Cmd": ["a"], "Healthcheck": {"Test": ["NONE"]}, "ArgsEscaped": True, "MacAddress": ""}, "history": []},
]


def _documents() -> list[bytes]:
    digest = "sha256:" + hashlib.sha256(b"").hexdigest()
    config = {"mediaType": media_types.OCI_CONFIG, "digest": digest, "size": 2}
    layer = {"mediaType": media_types.OCI_LAYER_GZIP, "digest": digest, "size": 3, "urls": ["https://x/y"]}
    platform = {"os": "linux", "architecture": "arm", "variant": "v7", "os.version": "1", "os.features": ["a"]}
    child = {"mediaType": media_types.OCI_MANIFEST, "digest": digest, "size": 4, "platform": platform, "data": "e30="}
    run = {
        "Cmd": ["a"], "Entrypoint": "sh", "Env": ["A=b"], "User": "1:2", "Volumes": {"/v": {}}, "WorkingDir": "/w",
        "ExposedPorts": {"80/tcp": {}}, "Labels": {"a": "b"}, "StopSignal": "SIGTERM", "OnBuild": None,
        "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1, "Retries": 2}, "StopTimeout": 5,
    }  # fmt: skip
    documents: list[dict[str, Any]] = [
        {**_OCI, "config": config, "layers": [layer, layer], "subject": config, "annotations": {"a": "b"}},
        {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [child], "artifactType": "a/b"},
        {"schemaVersion": 2, "mediaType": media_types.DOCKER_INDEX, "manifests": [child, child]},
        {"schemaVersion": 1, "fsLayers": [], "history": []},
        {
            "architecture": "amd64", "os": "linux", "created": "2024-02-29T12:00:00.123456789+01:00", "config": run,
            "rootfs": {"type": "layers", "diff_ids": [digest]}, "author": "x", "container_config": {},
            "history": [{"created_by": "RUN x", "empty_layer": True}, {"created": "0001-01-01T00:00:00Z"}],
        },
    ]  # fmt: skip
    return [json.dumps(document, separators=(",", ":")).encode() for document in documents]


def _layouts() -> list[bytes]:
    """As `targets.fuzz_layout` takes them."""
    run = {"config": {"Cmd": ["a"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:<L>"]}}
    config = _text({"architecture": "amd64", "os": "linux", **run})
    layer = _descriptor(media_types.OCI_LAYER, "L")
    manifest = _text({"schemaVersion": 2, "config": _descriptor(media_types.OCI_CONFIG, "0"), "layers": [layer]})
    child = _descriptor(media_types.OCI_MANIFEST, "1")
    platform = {"os": "linux", "architecture": "amd64"}
    index = _text({"schemaVersion": 2, "manifests": [{**child, "platform": platform}]})
    names = {"io.containerd.image.name": "docker.io/library/a:1", "org.opencontainers.image.ref.name": "1"}
    tops = [
        _text({"schemaVersion": 2, "manifests": [{**descriptor, "annotations": names}]})
        for descriptor in (child, _descriptor(media_types.OCI_INDEX, "2"))
    ]
    saved = _text([{"Config": "config.json", "RepoTags": ["a:1"], "Layers": ["layer.tar"]}])
    return [
        "\n---\n".join(parts).encode()
        for parts in (
            (config, manifest, index, tops[0], ""),
            (config, manifest, index, tops[1], saved),
            (config, manifest, "", "", saved.replace("config.json", "blobs/sha256/<0>")),
            (config, "", "", "", saved.replace('["a:1"]', "null").replace("layer.tar", "blobs/sha256/<L>")),
        )
    ]


def _descriptor(media_type: str, which: str) -> dict[str, Any]:
    return {"mediaType": media_type, f"@{which}": 0}


def _text(document: Any) -> str:
    return re.sub(r'"@(.)":0', r"{\1}", json.dumps(document, separators=(",", ":")))


def _archives() -> list[bytes]:
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": []}}).encode()
    digest = hashlib.sha256(config).hexdigest()
    saved = json.dumps([{"Config": f"{digest}.json", "RepoTags": ["a:1"], "Layers": []}]).encode()
    plain = [
        raw_tar.entry(name=f"{digest}.json".encode(), content=config)
        + raw_tar.entry(name=b"manifest.json", content=saved),
        raw_tar.entry(b"2", name=b"manifest.json", linkname=b"x/../saved") + raw_tar.entry(name=b"saved", content=saved)
        + raw_tar.entry(b"1", name=f"{digest}.json".encode(), linkname=b"config") + raw_tar.entry(name=b"config"),
        raw_tar.entry(name=b"index.json", content=b'{"schemaVersion":2,"manifests":[]}'),
    ]  # fmt: skip
    whole = [tar + END for tar in plain]
    return [*whole, gzip.compress(whole[0], mtime=0), zstd.compress(whole[0]), lzma.compress(whole[0])]


def write(folder: Path) -> None:
    """Write the corpus to *folder*, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    for target, inputs in seeds().items():
        (folder / target).mkdir(parents=True)
        for data in inputs:
            (folder / target / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


if __name__ == "__main__":
    write(CORPUS)
