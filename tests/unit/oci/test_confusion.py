"""Documents that can be read as two things, and bytes that are not what their name says.

Each attack is seen to succeed when the test switches the defence against it off.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_oci import digest as digests
from jackstay_oci import documents, media_types
from jackstay_oci.archives import images
from jackstay_oci.archives.archive import open_archive, open_layout
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Index, Manifest, parse_index, parse_manifest, sniff_media_type
from jackstay_oci.errors import DigestMismatch, InvalidArchive, InvalidDigest, InvalidDocument, NotFound
from jackstay_oci.store.blobs import BlobStore

MakeImage = Callable[..., Any]
D = Digest.of(b"x")
CONFIG = {"mediaType": media_types.OCI_CONFIG, "digest": D, "size": 1}
CHILD = {"mediaType": media_types.OCI_MANIFEST, "digest": Digest.of(b"y"), "size": 3}
BOTH = json.dumps({"schemaVersion": 2, "config": CONFIG, "layers": [], "manifests": [CHILD]}).encode()


def test_one_document_that_is_a_manifest_and_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2021-41190: who verifies sees one image, who runs sees another, under one digest."""
    for media_type in (media_types.OCI_MANIFEST, media_types.OCI_INDEX, media_types.DOCKER_INDEX):
        with pytest.raises(InvalidDocument, match="two different things"):
            parse_manifest(BOTH, media_type)
    monkeypatch.setattr(documents, "_absent", lambda *_: None)
    one, other = parse_manifest(BOTH, media_types.OCI_MANIFEST), parse_manifest(BOTH, media_types.OCI_INDEX)
    assert isinstance(one, Manifest)
    assert isinstance(other, Index)
    assert one.config.digest != other.manifests[0].digest


def test_a_document_that_disagrees_with_its_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest that the descriptor calls an index, in whose place an empty index would be read."""
    raw = json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": CONFIG}).encode()
    with pytest.raises(InvalidDocument, match="its descriptor says"):
        parse_manifest(raw, media_types.OCI_INDEX)
    monkeypatch.setattr(documents, "_absent", lambda *_: None)
    with pytest.raises(InvalidDocument, match="its descriptor says"):
        parse_manifest(raw, media_types.OCI_INDEX)
    lying = raw.replace(media_types.OCI_MANIFEST.encode(), b"")
    assert isinstance(parse_manifest(lying, media_types.OCI_INDEX), Index)


def test_a_key_that_comes_twice_and_in_another_case() -> None:
    """Go matches keys in any case, and the last of two wins: what is read here must not depend on the first."""
    raw = b'{"schemaVersion":2,"config":%s,"layers":[],"manifests":null,"manifests":[%s]}' % (
        json.dumps(CONFIG).encode(), json.dumps(CHILD).encode(),
    )  # fmt: skip
    with pytest.raises(InvalidDocument, match="two different things"):
        parse_manifest(raw, media_types.OCI_MANIFEST)
    shouted = BOTH.replace(b'"manifests"', b'"Manifests"')
    assert sniff_media_type(shouted) == media_types.OCI_MANIFEST
    with pytest.raises(InvalidDocument):
        parse_index(shouted)


@pytest.mark.parametrize(
    "text", ["sha256:../../secret", "sha256:" + "/" * 64, "sha256:..\0", "../../secret", "sha512:" + "a" * 128]
)
def test_a_digest_that_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    store = BlobStore(tmp_path / "store")
    (tmp_path / "store/secret").write_bytes(b"secret")
    for use in (store.has, store.open, store.path):
        with pytest.raises(InvalidDigest):
            use(Digest(text))
    monkeypatch.setattr(digests, "_CANONICAL", re.compile(r"(?s:.*)"))
    if text == "sha256:../../secret":
        assert store.read(Digest(text)) == b"secret"


@pytest.mark.parametrize("form", ["oci", "docker25", "classic"])
def test_a_config_that_is_not_the_one_named(
    tmp_path: Path, make_image: MakeImage, make_tar: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Another command under the image id that was trusted."""
    image = make_image()
    files = getattr(image, form)()
    (name,) = [name for name in files if image.image_id.hex in name]
    files[name] = image.config.replace(b'"/a"', b'"/b"')
    (tmp_path / "image.tar").write_bytes(make_tar(files))
    with pytest.raises(DigestMismatch):
        open_archive(tmp_path / "image.tar")
    monkeypatch.setattr(images, "verify", lambda *_arguments, **_options: None)
    monkeypatch.setattr("jackstay_oci.archives.classic._CONFIG_NAME", re.compile("never"))
    with open_archive(tmp_path / "image.tar") as archive:
        assert any(b'"/b"' in archive.read(opened.config_digest, 0, 10_000) for opened in archive.images)
        assert (archive.images[0].config_digest == image.image_id) == (form != "classic")


@pytest.mark.parametrize("place", ["blobs", "blobs/sha256", "blob"])
def test_a_link_in_a_layout_to_a_file_of_the_laptop(
    tmp_path: Path, make_image: MakeImage, lay_out: Callable[..., None], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A folder from somebody else, whose load would send the laptop's files to a host."""
    image = make_image()
    lay_out(tmp_path / "layout", image.oci())
    path = tmp_path / "layout" / (f"blobs/sha256/{Digest.of(image.layers[0]).hex}" if place == "blob" else place)
    os.rename(path, tmp_path / "private")
    path.symlink_to(tmp_path / "private")
    with pytest.raises(InvalidArchive, match="cannot be opened"):
        open_layout(tmp_path / "layout")
    monkeypatch.setattr(os, "O_NOFOLLOW", 0)
    with open_layout(tmp_path / "layout") as archive:
        assert archive.read(Digest.of(image.layers[0]), 0, 1 << 20) == image.layers[0]


def test_a_name_in_an_archive_that_climbs(
    tmp_path: Path, make_image: MakeImage, lay_out: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`manifest.json` says where layers lie: in the archive, whatever it says."""
    image = make_image()
    (tmp_path / "secret").write_bytes(image.layers[0])
    files = image.docker25()
    [entry] = json.loads(files["manifest.json"])
    entry["Layers"][0] = "../secret"
    del files["index.json"]
    files["manifest.json"] = json.dumps([entry]).encode()
    lay_out(tmp_path / "layout", files)
    with pytest.raises(InvalidArchive, match="lacks the layer"):
        open_layout(tmp_path / "layout")

    def openly(self: Any, name: str) -> int:
        return os.open(name, os.O_RDONLY, dir_fd=self._root)

    monkeypatch.setattr("jackstay_oci.archives.files.FolderFiles._open_inside", _not_found(openly))
    with open_layout(tmp_path / "layout") as archive:
        assert archive.read(Digest.of(image.layers[0]), 0, 1 << 20) == image.layers[0]


def _not_found(call: Callable[..., int]) -> Callable[..., int]:
    def run(*arguments: Any) -> int:
        try:
            return call(*arguments)
        except FileNotFoundError as error:
            raise NotFound("no such file") from error

    return run
