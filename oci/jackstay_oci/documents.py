"""Manifests, indexes and image configs as values (image-spec: manifest.md, image-index.md, config.md).

Guarantees that a document is what its descriptor says it is: an index that carries a config or layers, a manifest that
carries manifests, and a ``mediaType`` field that disagrees with the descriptor are refused (CVE-2021-41190). Documents
are bounded to 4 MiB and 250,000 values. Parsing keeps nothing of the bytes: whoever stores a document stores the bytes
as they came, so that digests hold; :func:`encode` is for documents made here.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.errors import InvalidDigest, InvalidDocument
from jackstay_oci.image_config import ImageConfig

MAX_DOCUMENT = 4 << 20
"""Largest manifest, index or config in bytes, as registries bound them."""

MAX_VALUES = 250_000
"""Most values in one: small ones take twenty times their bytes in memory, and seconds to read."""

T = TypeVar("T")
_WORDS = frozenset({"Entrypoint", "Cmd", "Shell"})

Size = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


class Platform(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an image runs on, in Go's words: ``linux``, ``arm64``, ``v8``."""

    architecture: str
    os: str
    os_version: str = field(default="", name="os.version")
    os_features: tuple[str, ...] = field(default=(), name="os.features")
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Names a blob: its type, its digest, its size in bytes."""

    media_type: str
    digest: Digest
    size: Size
    urls: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    data: str = ""
    artifact_type: str = ""
    platform: Platform | None = None


class Manifest(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One image: a config, and its layers from the lowest to the top."""

    schema_version: int = field(default_factory=lambda: 2)  # a factory, so that omit_defaults keeps the field
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor
    layers: tuple[Descriptor, ...] = field(default_factory=lambda: ())
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


class Index(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Several images under one name, one a platform."""

    schema_version: int = field(default_factory=lambda: 2)
    media_type: str = ""
    artifact_type: str = ""
    manifests: tuple[Descriptor, ...] = field(default_factory=lambda: ())
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


class _Shape(Struct, rename="camel"):
    """The keys that tell a manifest from an index."""

    schema_version: int = 0
    media_type: str | None = None
    config: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    layers: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    manifests: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    fs_layers: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def parse_manifest(raw: bytes, media_type: str) -> Manifest | Index:
    """The manifest or index that ``raw`` holds, which its descriptor calls ``media_type``.

    Raises:
        InvalidDocument: it is too large, malformed, or not what ``media_type`` says.
    """
    shape = _decode(raw, _Shape, "manifest")
    if not isinstance(shape.fs_layers, msgspec.UnsetType) or shape.schema_version == 1:
        raise InvalidDocument(
            "the manifest is of Docker's schema 1", hint="pull and push the image with a newer Docker"
        )
    if shape.schema_version != 2:
        raise InvalidDocument(f"the manifest has schemaVersion {shape.schema_version}, expected 2")
    if shape.media_type and shape.media_type != media_type:
        raise InvalidDocument(f"the manifest says it is {shape.media_type[:100]!r}, its descriptor says {media_type!r}")
    if media_types.is_manifest(media_type):
        _absent(shape.manifests, "a manifest", "manifests")
        return _convert(raw, Manifest, "manifest")
    if media_types.is_index(media_type):
        _absent(shape.config, "an index", "config")
        _absent(shape.layers, "an index", "layers")
        return _convert(raw, Index, "index")
    raise InvalidDocument(f"{media_type[:100]!r} is no media type of a manifest or an index")


def parse_index(raw: bytes) -> Index:
    """The ``index.json`` of an OCI layout, which has no descriptor and may lack a ``mediaType``.

    Raises:
        InvalidDocument: it is too large, malformed, or not an index.
    """
    index = parse_manifest(raw, _decode(raw, _Shape, "index").media_type or media_types.OCI_INDEX)
    if not isinstance(index, Index):
        raise InvalidDocument("the document is a manifest, expected an index")
    return index


def sniff_media_type(raw: bytes) -> str:
    """The media type of a manifest or index that came without a descriptor, from its field or else its keys.

    Raises:
        InvalidDocument: it is neither.
    """
    shape = _decode(raw, _Shape, "manifest")
    if shape.media_type:
        return shape.media_type
    if not isinstance(shape.manifests, msgspec.UnsetType):
        return media_types.OCI_INDEX
    if not isinstance(shape.config, msgspec.UnsetType):
        return media_types.OCI_MANIFEST
    raise InvalidDocument("the document is neither a manifest nor an index")


def parse_config(raw: bytes) -> ImageConfig:
    """The image config that ``raw`` holds; null fields count as absent, unknown fields are passed over.

    Raises:
        InvalidDocument: it is too large or malformed.
    """
    return _convert(raw, ImageConfig, "image config")


def encode(document: Struct) -> bytes:
    """The JSON of a document made here; the same document always gives the same bytes."""
    return msgspec.json.encode(document, enc_hook=_encode_unknown, order="deterministic")


def _absent(value: msgspec.Raw | msgspec.UnsetType, what: str, key: str) -> None:
    if not isinstance(value, msgspec.UnsetType):
        raise InvalidDocument(f"{what} must not carry {key!r}: it could be read as two different things")


def _decode(raw: bytes, kind: type[T], what: str) -> T:
    if len(raw) > MAX_DOCUMENT:
        raise InvalidDocument(f"the {what} has {len(raw)} bytes, the bound is {MAX_DOCUMENT}")
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > MAX_VALUES:
        raise InvalidDocument(f"the {what} has too many values, the bound is {MAX_VALUES}")
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidDocument(f"the {what} is malformed: {error}") from error


def _convert(raw: bytes, kind: type[T], what: str) -> T:
    """Decode leniently where Go does: null counts as absent."""
    document = _decode(raw, object, what)
    try:
        return msgspec.convert(_lenient(document), kind, dec_hook=_decode_unknown)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidDocument(f"the {what} is malformed: {error}") from error
    except InvalidDigest as error:
        raise InvalidDocument(f"the {what} is malformed: {error.message}") from error


def _lenient(document: object) -> object:
    document = _without_nulls(document)
    if isinstance(document, dict) and isinstance(run := document.get("config"), dict):
        # Docker once wrote an Entrypoint or Cmd of one word as a plain string.
        for key in _WORDS:
            if isinstance(word := run.get(key), str):
                run[key] = [word] if word else []
    return document


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value


def _decode_unknown(kind: type, value: Any) -> Any:
    if kind is Digest:
        return Digest.parse(value)
    raise TypeError(f"no way to decode {kind}")


def _encode_unknown(value: Any) -> Any:
    if isinstance(value, Digest):
        return str(value)
    raise TypeError(f"no way to encode {type(value)}")
