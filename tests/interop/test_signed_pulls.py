"""Pulls with --verify-key of what a real skopeo has signed, from the real registry."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.debian13 import InstallError
from tests.interop.install import install
from tests.interop.peer import Peer
from tests.lab.archives import write_archive
from tests.lab.emptying import empty
from tests.lab.images import Image, synthetic
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data
from tests.registries.authority import Authority
from tests.registries.distribution import Distribution
from tests.registries.putting import OCI, put_image, put_manifest

KIND = f"{OCI}.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Scene:
    """A registry in which skopeo signs, hosts that pull from it, and the public keys."""

    lab: Lab
    laptop: Laptop
    registry: Distribution
    peer: Peer
    folder: Path
    image: Image
    archive: Path

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.pub"

    def name(self, path: str) -> str:
        return f"{self.registry.name}/{path}"

    def sign(self, path: str, key: str = "release") -> str:
        """Have skopeo put the image there, signed; its digest."""
        self.peer.run(
            "skopeo", "--insecure-policy", "--registries.d", self.folder / "registries.d", "copy",
            "--dest-cert-dir", self.folder / "certs" / self.registry.name, "--format", "oci",
            "--digestfile", self.folder / "digest", "--sign-by-sigstore-private-key", self.folder / f"{key}.private",
            "--sign-passphrase-file", self.folder / "password",
            f"docker-archive:{self.archive}", f"docker://{self.name(path)}",
        )  # fmt: skip
        return (self.folder / "digest").read_text().strip()

    def refused(self, path: str, key: str = "release") -> str:
        """Why web1 does not pull it; nothing new is there."""
        images = ("-H", "web1", "images", "--digests")
        before = self.laptop.ok(*images).stdout
        ran = self.laptop.run("-H", "web1", "pull", "--verify-key", self.key(key), self.name(path)).ended(1)
        assert self.laptop.ok(*images).stdout == before
        return ran.stderr

    def signatures(self, repository: str, digest: str) -> bytes:
        """The manifest of what skopeo has attached to an image."""
        path = f"/v2/{repository}/manifests/{digest.replace(':', '-')}.sig"
        status, _, body = self.registry.ask("GET", path, headers={"Accept": KIND})
        assert status == 200, body
        return body


@pytest.fixture(scope="module")
def scene(exchange: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    try:
        debian13 = install()
    except InstallError as error:
        pytest.fail(f"the real peers are not to be had: {error}")
    folder = exchange / "signed-pulls"
    (folder / "registries.d").mkdir(parents=True)
    (folder / "registries.d" / "all.yaml").write_text('{"default-docker": {"use-sigstore-attachments": true}}')
    (folder / "password").write_text("open sesame")
    image = synthetic(tmp_path_factory.mktemp("image"), 1 << 20, "team/app:1")
    with Lab(2) as lab:
        authority = Authority(folder / "ca")
        with Distribution(folder / "registry", lab.server_place(), authority=authority) as registry:
            authority.trust(folder / "certs", registry.name)
            for etc in (*lab.dir.glob("hosts/web*/etc"), lab.dir / "laptop" / "config" / "jackstay"):
                shutil.copytree(folder / "certs" / registry.name, etc / "certs.d" / registry.name)
            peer = Peer.of_folder("debian13", lab.hosts["web2"], exchange, debian13)
            for key in ("release", "other"):
                options = ("--output-prefix", folder / key, "--passphrase-file", folder / "password")
                peer.run("skopeo", "generate-sigstore-key", *options)
            archive = write_archive(folder / "app.tar", [image])
            yield Scene(lab, Laptop(lab), registry, peer, folder, image, archive)


@pytest.fixture(autouse=True)
def emptied(scene: Scene) -> Iterator[None]:
    yield
    empty(scene.lab.hosts["web1"])


def test_what_skopeo_has_signed(scene: Scene) -> None:
    digest = scene.sign("team/app:1")
    name = scene.name("team/app:1")
    (pulled,) = data(scene.laptop.ok("-H", "web1", "pull", "--json", "--verify-key", scene.key("release"), name))
    assert (pulled["digest"], pulled["changed"]) == (digest, True)
    said = scene.refused("team/app:1", key="other")  # though it is here
    assert f"{scene.name('team/app')}@{digest} has 1 signature, but none by the key given" in said
    by_both = ("--verify-key", scene.key("other"), "--verify-key", scene.key("release"))
    scene.laptop.ok("-H", "web1", "pull", *by_both, f"{scene.name('team/app')}@{digest}")


def test_what_nobody_has_signed(scene: Scene) -> None:
    digest = put_image(scene.registry, scene.image, "team/unsigned:1")
    assert f"{scene.name('team/unsigned')}@{digest} is not signed" in scene.refused("team/unsigned:1")


def test_what_was_signed_in_another_repository(scene: Scene) -> None:
    digest = scene.sign("team/here:1")
    scene.laptop.ok("copy", f"docker://{scene.name('team/here:1')}", f"docker://{scene.name('team/there:1')}")
    assert json.loads(scene.signatures("team/there", digest))
    said = scene.refused("team/there:1")
    assert f"is for another repository, {scene.name('team/here')}" in said


def test_a_tag_that_was_moved(scene: Scene, tmp_path: Path) -> None:
    """And then with the signature of what it was, put where that of the new one would be."""
    digest = scene.sign("team/moved:1")
    scene.laptop.ok("-H", "web1", "pull", "--verify-key", scene.key("release"), scene.name("team/moved:1"))
    moved = put_image(scene.registry, synthetic(tmp_path, 1 << 16, "other:1"), "team/moved:1")
    assert f"{moved} is not signed" in scene.refused("team/moved:1")
    tag = f"{moved.replace(':', '-')}.sig"
    put_manifest(scene.registry, "team/moved", tag, scene.signatures("team/moved", digest), KIND)
    assert f"is for another image, {digest}" in scene.refused("team/moved:1")
