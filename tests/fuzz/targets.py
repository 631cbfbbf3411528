"""What is fuzzed: functions of bytes. Each asserts that nothing but the project's errors comes out, and what must hold.

`test_targets.py` calls them with mutations that hypothesis makes, ``python -m tests.fuzz`` with those of atheris.
Bounds are small here, so that a breach of one shows in little time and memory.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import get_args

import msgspec
from msgspec.structs import replace

from jackstay_agent.containers import commit_config, process, spec, users
from jackstay_agent.images import description, document_times
from jackstay_agent.images.sizes import LayerSizes
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.layers import names
from jackstay_oci import media_types, platforms
from jackstay_oci.archives.archive import open_archive
from jackstay_oci.changes import instructions, words
from jackstay_oci.compression import Kind as Compression
from jackstay_oci.compression import decompressing, detect
from jackstay_oci.digest import Digest
from jackstay_oci.documents import (
    Descriptor,
    Index,
    Manifest,
    encode,
    parse_config,
    parse_index,
    parse_manifest,
    sniff_media_type,
)
from jackstay_oci.errors import Error, InvalidArgument, InvalidDigest, InvalidDocument, InvalidReference
from jackstay_oci.image_config import ContainerConfig
from jackstay_oci.limits import Limits
from jackstay_oci.reading import BinaryReader, Region
from jackstay_oci.reference import Reference
from jackstay_oci.tar.entries import MAX_ID, Entry
from jackstay_oci.tar.entries import Kind as Kinds
from jackstay_oci.tar.numbers import format_number, format_time, parse_decimal, parse_number, parse_time
from jackstay_oci.tar.pax import format_records, parse_records
from jackstay_oci.tar.reader import TarReader
from jackstay_oci.tar.writer import TarWriter
from tests.fuzz import raw_tar
from tests.unit.agent.containers import container_values

LIMITS = Limits(
    entries=300, name_bytes=4096, header_bytes=1 << 16, sparse_parts=200, images=20, total_bytes=1 << 20, ratio=50,
    ratio_after=1 << 16,
)  # fmt: skip
_PLAIN = 1 << 20


def fuzz_tar_reader(data: bytes) -> None:
    """A tar after one byte, which says whether checksums are set right first.

    A stream and a file read the same; what was read, written and read again is the same.
    """
    tar = raw_tar.repaired(data[1:]) if data[:1] > b"\x7f" else data[1:]
    entries, failed = _read_all(io.BytesIO(tar))
    with _in_memory(b"before" + tar) as file:
        again, failed_again = _read_all(Region(file, len(b"before"), len(tar)))
    assert [content for _, content in entries] == [content for _, content in again]
    assert [entry for entry, _ in entries] == [entry for entry, _ in again]
    assert failed == failed_again
    assert len(entries) <= LIMITS.entries
    assert sum(entry.size for entry, _ in entries) <= LIMITS.total_bytes
    for entry, content in entries:
        assert len(content) == entry.size
        assert max(len(entry.name), len(entry.linkname)) <= LIMITS.name_bytes
        assert max(entry.uid, entry.gid) <= MAX_ID
        assert min(entry.uid, entry.gid) >= 0
        _written_and_read(entry, content)


def fuzz_pax(data: bytes) -> None:
    """Records of a PAX header, and numbers as headers have them."""
    with suppress(Error):
        records = parse_records(data)
        assert parse_records(format_records(records)) == records
    with suppress(Error):
        nanoseconds = parse_time(data)
        assert parse_time(format_time(nanoseconds)) == nanoseconds
    with suppress(Error):
        assert parse_decimal(data, "number") == int(data) >= 0
    for width in (8, 12):
        with suppress(Error):
            number = parse_number(data[:width].ljust(width, b"\0"))
            field = format_number(number, width)
            assert field is None or parse_number(field) == number


def fuzz_compression(data: bytes) -> None:
    """Compressed data of each kind: bounded, and the same as the standard library reads, where that reads it."""
    for kind in get_args(Compression):
        out = bytearray()
        with suppress(Error):
            reader = decompressing(io.BytesIO(data), kind=kind, limits=LIMITS)
            while piece := reader.read(1 << 14):
                out += piece
            assert kind != "none" or out == data
        assert len(out) <= LIMITS.total_bytes
        _as_the_standard_library(kind, data, bytes(out))


def fuzz_archive(data: bytes) -> None:
    """A whole archive in a file, after one byte as for the tar reader."""
    archive = raw_tar.repaired(data[1:]) if data[:1] > b"\x7f" else data[1:]
    before = _open_descriptors()
    _look_into(archive)
    assert _open_descriptors() == before


def fuzz_layout(data: bytes) -> None:
    """The documents of an archive, joined by lines of ``---``: config, manifest, index, index.json, manifest.json.

    ``{0}`` to ``{2}`` in one stand for digest and size of an earlier one, and ``{L}`` for those of a layer, as a
    descriptor has them, ``<0>`` for the digest's digits: a mutation would never hit on a digest.
    """
    parts = [*data.split(b"\n---\n"), b"", b"", b"", b"", b""][:5]
    known: dict[bytes, bytes] = {b"L": LAYER}
    files = {"layer.tar": LAYER}
    for at, part in enumerate(parts[:3]):
        known[b"%d" % at] = filled = _filled(part, known)
        files[f"blobs/sha256/{Digest.of(filled).hex}"] = filled
    files["config.json"] = _filled(parts[0], {b"L": LAYER})
    files["index.json"] = _filled(parts[3], known)
    files["manifest.json"] = _filled(parts[4], known)
    files[f"blobs/sha256/{Digest.of(LAYER).hex}"] = LAYER
    _look_into(
        b"".join(raw_tar.entry(content=content, name=name.encode()) for name, content in files.items() if content)
    )


def fuzz_documents(data: bytes) -> None:
    """A manifest, an index, a config: never both of two things, and the same after they were written anew."""
    for media_type in (*media_types.MANIFESTS, *media_types.INDEXES, media_types.OCI_CONFIG):
        with suppress(InvalidDocument):
            document = parse_manifest(data, media_type)
            assert isinstance(document, Manifest) == media_types.is_manifest(media_type)
            assert parse_manifest(encode(document), media_type) == document
            for descriptor in document.layers if isinstance(document, Manifest) else document.manifests:
                assert re.fullmatch("sha256:[0-9a-f]{64}", descriptor.digest)
                assert descriptor.size >= 0
    with suppress(InvalidDocument):
        assert isinstance(parse_index(data), Index)
    with suppress(InvalidDocument):
        assert isinstance(sniff_media_type(data), str)
    with suppress(InvalidDocument):
        config = parse_config(data)
        assert parse_config(encode(config)) == config
        with suppress(InvalidArgument):
            document_times.parse(config.created)


def fuzz_image_config(data: bytes) -> None:
    """An image's config, and what is made of it: a container's specification, docker's documents, a commit's config."""
    try:
        config = parse_config(data)
    except InvalidDocument:
        return
    digest = Digest.of(data)
    image = StoredImage(digest, media_types.OCI_MANIFEST, digest, digest, "", ("docker.io/library/a:1",), 0, 0, {})
    root = Descriptor(media_type=media_types.OCI_MANIFEST, digest=digest, size=1)
    stored = description.Stored(root, 0, "overlay", 0)
    with suppress(Error):
        told = description.inspect(image, data, config, stored)
        assert msgspec.json.decode(msgspec.json.encode(told))["Id"] == digest
    with suppress(Error):
        assert len(description.layers(config, LayerSizes({}))) == len(config.rootfs.diff_ids)
        for line in description.history(image, config, LayerSizes({})):
            assert 0 <= line.created < 1 << 63
            line.created_by.encode()
    with suppress(Error):
        plan = process.merge(container_values.settings(), config)
        built = spec.build(container_values.settings(), plan, container_values.context())
        assert built["annotations"] == {}
        assert built["process"]["args"]
        assert built["process"]["cwd"].startswith("/")
        assert ".." not in "/".join((built["process"]["cwd"], *plan.volumes)).split("/")
        assert all("\0" not in text for text in (*built["process"]["args"], *built["process"]["env"]))
        msgspec.json.encode(built)
        run = commit_config.run_config(config.config, plan)
        made = commit_config.encode_config(data, run, plan, created=1, author="", message="", layer=root)
        assert parse_config(made).rootfs.diff_ids == (*config.rootfs.diff_ids, digest)
        assert parse_config(made).config == run


def fuzz_reference(data: bytes) -> None:
    """A reference, a digest, a platform: what is taken reads back as the same."""
    text = data.decode("utf-8", "surrogateescape")
    with suppress(InvalidReference):
        reference = Reference.parse(text)
        assert Reference.parse(str(reference)) == reference
        assert Reference.parse(reference.familiar) == reference
        assert "/../" not in f"/{reference.name}/"
        with suppress(InvalidReference):
            assert Reference.parse(str(reference.with_tag(text[:20]))).tag == text[:20]
    with suppress(InvalidDigest):
        assert Digest.parse(text) == text
        assert re.fullmatch("sha256:[0-9a-f]{64}", text)
    with suppress(InvalidArgument):
        platform = platforms.parse(text)
        assert platforms.parse(str(platform)) == platforms.normalise(platform) == platform


def fuzz_words(data: bytes) -> None:
    """A Dockerfile instruction's words, and what an instruction makes of a config."""
    text = data.decode("utf-8", "replace")
    with suppress(InvalidArgument):
        assert len("".join(words.split(text))) <= len(text)
        words.expand(text, {"A": "x", "B": "$A"})
    with suppress(InvalidArgument):
        assert isinstance(instructions.apply(ContainerConfig(env=("A=x",)), text.split("\n")), ContainerConfig)


def fuzz_names(data: bytes) -> None:
    """A name in a layer leads nowhere but below, and is no whiteout by accident; a passwd file gives sound numbers."""
    with suppress(Error):
        name = names.parse(data)
        parts = [*name.parent.split(b"/"), name.base]
        assert b".." not in parts
        assert b"/" not in name.base
        if name.meaning is names.Meaning.WHITEOUT:
            assert name.base not in (b"", b".", b"..")
            assert not name.base.startswith(names.PREFIX)
        elif name.meaning is names.Meaning.ENTRY:
            assert not any(part.startswith(names.PREFIX) for part in parts)
    passwd, _, group = data.partition(b"\n---\n")
    for user in ("", "root", "a", "1000", "a:b"):
        with suppress(InvalidArgument):
            found = users.lookup(passwd, group, user)
            assert all(0 <= number <= users.MAX_ID for number in (found.uid, found.gid, *found.groups))


TARGETS: dict[str, Callable[[bytes], None]] = {
    name.removeprefix("fuzz_"): value for name, value in list(globals().items()) if name.startswith("fuzz_")
}
LAYER = raw_tar.entry(content=b"hello", name=b"greeting") + bytes(1024)
"""The layer of every image of `fuzz_layout`."""


def _read_all(source: BinaryReader | Region) -> tuple[list[tuple[Entry, bytes]], str]:
    found = []
    reader = TarReader(source, LIMITS)
    try:
        for entry in reader:
            content = b"".join(reader.chunks())
            found.append((entry, content))
    except Error as error:
        return found, error.message
    return found, ""


def _written_and_read(entry: Entry, content: bytes) -> None:
    if entry.kind is Kinds.FILE and entry.name.endswith(b"/"):
        return  # of a type beside the usual one; such a name makes a folder of the usual one
    out = io.BytesIO()
    try:
        with TarWriter(out, nanoseconds=True) as writer:
            writer.add(entry, content)
    except InvalidArgument:
        return  # no name, or a device number that no kernel of ours has
    ((again, same),), failed = _read_all(io.BytesIO(out.getvalue()))
    assert (same, failed) == (content, "")
    has_devices = entry.kind in (Kinds.CHARACTER, Kinds.BLOCK)
    assert replace(again, offset=0) == replace(
        entry,
        offset=0,
        contiguous=True,
        devmajor=entry.devmajor if has_devices else 0,
        devminor=entry.devminor if has_devices else 0,
    )


def _as_the_standard_library(kind: str, data: bytes, ours: bytes) -> None:
    read: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.decompress, "xz": lzma.decompress, "bzip2": bz2.decompress,
    }  # fmt: skip
    if kind not in read or detect(data) != kind or len(data) > _PLAIN:
        return
    try:
        theirs = read[kind](data)
    except Exception:  # whatever it minds
        return
    assert theirs.startswith(ours) or ours == theirs


def _look_into(archive: bytes) -> None:
    """Open the archive and read what it says it has."""
    with _in_memory(archive) as file, suppress(Error):
        with closing(open_archive(file, limits=LIMITS)) as opened:
            assert len(opened.images) <= LIMITS.images
            for image in opened.images:
                raw = opened.read(image.manifest.digest, 0, _PLAIN)
                assert Digest.of(raw) == image.manifest.digest
                assert opened.size(image.manifest.digest) == image.manifest.size == len(raw)
                parse_manifest(raw, image.manifest.media_type)
                config = opened.read(image.config_digest, 0, _PLAIN)
                assert Digest.of(config) == image.config_digest
                for name in image.names:
                    assert str(Reference.parse(name)) == name


def _filled(part: bytes, known: dict[bytes, bytes]) -> bytes:
    for name, document in known.items():
        digest = Digest.of(document)
        part = part.replace(b"{%b}" % name, b'"digest":"%b","size":%d' % (digest.encode(), len(document)))
        part = part.replace(b"<%b>" % name, digest.hex.encode())
    return part


@contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    file = os.memfd_create("fuzz", os.MFD_CLOEXEC)
    try:
        os.write(file, data)
        os.lseek(file, 0, os.SEEK_SET)
        yield file
    finally:
        os.close(file)


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
