"""What is attached to an image travels with it: skopeo signs it in one registry, and finds it signed in another, where
jackstay brought it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop.debian13 import InstallError
from tests.interop.install import install
from tests.interop.peer import Peer
from tests.lab.archives import write_archive
from tests.lab.emptying import empty
from tests.lab.images import document, synthetic
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data
from tests.registries.authority import Authority
from tests.registries.distribution import Distribution
from tests.registries.putting import OCI, put_blob, put_image, put_manifest

KIND = f"{OCI}.manifest.v1+json"
SBOM = "application/spdx+json"


@dataclass(frozen=True, slots=True)
class Signing:
    """Two registries of one authority; `first` has team/app:1, which skopeo has signed, with a list of its parts."""

    lab: Lab
    laptop: Laptop
    peer: Peer
    first: Distribution
    second: Distribution
    folder: Path
    digest: str
    sbom: str

    @property
    def app(self) -> str:
        return f"{self.first.name}/team/app:1"

    def accepts(self, name: str) -> None:
        """skopeo copies it, by a policy that wants a signature by the key."""
        self.peer.run(*self._copy(name))

    def refuses(self, name: str) -> str:
        """It does not; why."""
        argv = self.peer.command([str(argument) for argument in self._copy(name)])
        ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert ended.returncode != 0
        return ended.stderr

    def _copy(self, name: str) -> list[str | Path]:
        to = self.folder / name.rpartition("/")[2].replace(":", "-")
        trust = ("--src-cert-dir", self.folder / "certs" / self.second.name)
        options = ("--policy", self.folder / "policy.json", "--registries.d", self.folder / "registries.d")
        return ["skopeo", *options, "copy", *trust, f"docker://{name}", f"dir:{to}"]

    def listed(self, repository: str) -> list[Any]:
        """What the second registry lists under the tag for referrers of the image."""
        path = f"/v2/{repository}/manifests/{self.digest.replace(':', '-')}"
        status, _, body = self.second.ask("GET", path, headers={"Accept": f"{OCI}.index.v1+json"})
        assert status == 200, body
        found: list[Any] = json.loads(body)["manifests"]
        return found


@pytest.fixture(scope="module")
def signing(exchange: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signing]:
    try:
        debian13 = install()
    except InstallError as error:
        pytest.fail(f"the real peers are not to be had: {error}")
    folder = exchange / "signing"
    folder.mkdir()
    with Lab(3) as lab:
        place, authority = lab.server_place(), Authority(folder / "ca")
        with (
            Distribution(folder / "first", place, authority=authority) as first,
            Distribution(folder / "second", place, authority=authority) as second,
        ):
            for registry in (first, second):
                authority.trust(folder / "certs", registry.name)
                for etc in (*lab.dir.glob("hosts/web*/etc"), lab.dir / "laptop" / "config" / "jackstay"):
                    shutil.copytree(folder / "certs" / registry.name, etc / "certs.d" / registry.name)
            peer = Peer.of_folder("debian13", lab.hosts["web3"], exchange, debian13)
            image = synthetic(tmp_path_factory.mktemp("image"), 1 << 20, "team/app:1")
            digest = sign(peer, folder, write_archive(folder / "app.tar", [image]), first)
            put_image(second, image, "unsigned:1")
            yield Signing(lab, Laptop(lab), peer, first, second, folder, digest, attach(first, digest))


def sign(peer: Peer, folder: Path, archive: Path, registry: Distribution) -> str:
    """Have skopeo put the image into the registry with a signature; its digest."""
    (folder / "password").write_text("open sesame")
    keys = ("--output-prefix", folder / "key", "--passphrase-file", folder / "password")
    peer.run("skopeo", "generate-sigstore-key", *keys)
    (folder / "registries.d").mkdir()
    (folder / "registries.d" / "all.yaml").write_text('{"default-docker": {"use-sigstore-attachments": true}}')
    identity = {"type": "exactRepository", "dockerRepository": f"{registry.name}/team/app"}
    wanted = [{"type": "sigstoreSigned", "keyPath": str(folder / "key.pub"), "signedIdentity": identity}]
    (folder / "policy.json").write_text(
        json.dumps({"default": [{"type": "reject"}], "transports": {"docker": {"": wanted}}})
    )
    peer.run(
        "skopeo", "--insecure-policy", "--registries.d", folder / "registries.d", "copy",
        "--dest-cert-dir", folder / "certs" / registry.name, "--digestfile", folder / "digest", "--format", "oci",
        "--sign-by-sigstore-private-key", folder / "key.private", "--sign-passphrase-file", folder / "password",
        f"docker-archive:{archive}", f"docker://{registry.name}/team/app:1",
    )  # fmt: skip
    return (folder / "digest").read_text().strip()


def attach(registry: Distribution, digest: str, repository: str = "team/app") -> str:
    """Attach a list of parts to an image, as clients do where the registry keeps no list of referrers."""
    status, headers, _ = registry.ask("HEAD", f"/v2/{repository}/manifests/{digest}", headers={"Accept": KIND})
    assert status == 200
    manifest = {
        "schemaVersion": 2,
        "mediaType": KIND,
        "artifactType": SBOM,
        "config": put_blob(registry, repository, b"{}", "application/vnd.oci.empty.v1+json"),
        "layers": [put_blob(registry, repository, b'{"spdxVersion": "SPDX-2.3"}', SBOM)],
        "subject": {
            "mediaType": headers["content-type"], "digest": digest, "size": int(headers["content-length"])
        },
    }  # fmt: skip
    data = document(manifest)
    put = put_manifest(registry, repository, (sbom := digest_of(data)), data, KIND)
    assert put == sbom
    entry = {"mediaType": KIND, "digest": sbom, "size": len(data), "artifactType": SBOM}
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": [entry]}
    put_manifest(registry, repository, digest.replace(":", "-"), document(index), f"{OCI}.index.v1+json")
    return sbom


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture(autouse=True)
def emptied(signing: Signing) -> Iterator[None]:
    yield
    for name in ("web1", "web2"):
        empty(signing.lab.hosts[name])


def test_an_image_is_signed_where_a_host_pushed_it(signing: Signing) -> None:
    there = f"{signing.second.name}/copy/app:1"
    ran = signing.laptop.ok("-H", "web1", "pull", signing.app)
    assert ran.stderr == ""
    (pushed,) = data(signing.laptop.ok("-H", "web1", "push", "--json", signing.app, there))
    assert (pushed["digest"], pushed["warnings"]) == (signing.digest, [])
    signing.accepts(there)
    (entry,) = signing.listed("copy/app")
    assert (entry["digest"], entry["artifactType"]) == (signing.sbom, SBOM)
    (again,) = data(signing.laptop.ok("-H", "web1", "push", "--json", signing.app, there))
    assert again["bytes_sent"] == 0
    assert "signature was required" in signing.refuses(f"{signing.second.name}/unsigned:1")


def test_and_where_another_host_pushed_it_that_copied_it(signing: Signing) -> None:
    there = f"{signing.second.name}/copied/app:1"
    signing.laptop.ok("-H", "web1", "pull", signing.app)
    signing.laptop.ok("copy", f"web1::{signing.app}", "web2::")
    signing.laptop.ok("-H", "web2", "push", signing.app, there)
    signing.accepts(there)
    (entry,) = signing.listed("copied/app")
    assert entry["digest"] == signing.sbom


def test_and_where_the_laptop_copied_it_from_registry_to_registry(signing: Signing) -> None:
    there = f"{signing.second.name}/relayed/app:1"
    (done,) = data(signing.laptop.ok("copy", "--json", f"docker://{signing.app}", f"docker://{there}"))
    assert done["warnings"] == []
    signing.accepts(there)
    (entry,) = signing.listed("relayed/app")
    assert entry["digest"] == signing.sbom


def test_an_image_that_is_compressed_on_its_way_leaves_it_behind_and_says_so(signing: Signing, tmp_path: Path) -> None:
    image = synthetic(tmp_path, 1 << 16, "plain:1")
    attach(signing.first, put_image(signing.first, image, compress=False), "plain")
    name = f"{signing.first.name}/plain:1"
    signing.laptop.ok("-H", "web1", "pull", name)
    ran = signing.laptop.ok("-H", "web1", "push", name, f"{signing.second.name}/plain:1")
    (warning,) = ran.stderr.splitlines()
    assert warning.startswith("WARNING: web1: 1 document that is attached to sha256:")
    assert "--compression none" in warning
