"""The real registry and the token server that other tests use, with a real skopeo as the other side."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.interop.install import DEBIAN_PACKAGES
from tests.lab.archives import write_archive
from tests.lab.images import Image, synthetic
from tests.lab.lab import Lab
from tests.registries.authority import Authority
from tests.registries.distribution import Distribution
from tests.registries.putting import put_image
from tests.registries.token_server import TokenServer

USERS = {"alice": "wonder: land", "bob": "builder"}
AS_ALICE = ("--dest-creds", "alice:wonder: land")
PLAIN = ("--dest-tls-verify=false",)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    subprocess.run([DEBIAN_PACKAGES, "skopeo"], check=True)
    return synthetic(tmp_path_factory.mktemp("image"), 1 << 20, "library/app:1")


@pytest.fixture(scope="module")
def archive(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive") / "app.tar", [image])


def skopeo(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["skopeo", *map(str, argv)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def pushed(archive: Path, registry: Distribution, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return skopeo("copy", *options, f"docker-archive:{archive}", f"docker://{registry.name}/app:1")


def test_a_plain_registry_takes_and_gives(tmp_path: Path, image: Image, archive: Path) -> None:
    with Distribution(tmp_path / "registry") as registry:
        assert pushed(archive, registry, *PLAIN).returncode == 0
        digest = put_image(registry, image, "other/app:2")
        inspected = skopeo("inspect", "--tls-verify=false", f"docker://{registry.name}/other/app:2")
        assert json.loads(inspected.stdout)["Digest"] == digest
        assert digest in registry.blobs()

        about = [request for request in registry.requests() if request.path.startswith("/v2/other/")]
        assert {request.method for request in about} == {"GET"}  # skopeo's; what put the image there does not count
        assert about[0].path == "/v2/other/app/manifests/2"
        port = registry.port
        registry.stop()
        assert pushed(archive, registry, *PLAIN).returncode != 0
        registry.start()
        assert registry.port == port
        assert registry.ask("DELETE", f"/v2/other/app/manifests/{digest}")[0] == 202
        assert registry.ask("GET", f"/v2/other/app/manifests/{digest}")[0] == 404


def test_a_registry_that_mirrors(tmp_path: Path, image: Image) -> None:
    with Distribution(tmp_path / "registry") as registry:
        digest = put_image(registry, image)
        with Distribution(tmp_path / "mirror", mirror_of=registry.url) as mirror:
            inspected = skopeo("inspect", "--tls-verify=false", f"docker://{mirror.name}/library/app:1")
            assert json.loads(inspected.stdout)["Digest"] == digest
            assert [request.status for request in registry.requests()][-1] == 200


def test_users_with_passwords(tmp_path: Path, image: Image, archive: Path) -> None:
    with Distribution(tmp_path / "registry", users=USERS) as registry:
        assert pushed(archive, registry, *PLAIN).returncode != 0
        assert pushed(archive, registry, *PLAIN, "--dest-creds", "alice:wrong").returncode != 0
        assert not registry.blobs()
        assert pushed(archive, registry, *PLAIN, *AS_ALICE).returncode == 0
        assert {request.status for request in registry.requests()} > {401, 201}
        assert put_image(registry, image) in registry.blobs()


def test_an_own_authority(tmp_path: Path, image: Image, archive: Path) -> None:
    authority, clients = Authority(tmp_path / "ca"), Authority(tmp_path / "clients")
    with Distribution(tmp_path / "registry", authority=authority) as registry:
        assert "unknown authority" in pushed(archive, registry).stderr
        trusting = authority.trust(tmp_path / "certs.d", registry.name)
        assert pushed(archive, registry, "--dest-cert-dir", trusting).returncode == 0
        assert put_image(registry, image) in registry.blobs()
    with Distribution(tmp_path / "strict", authority=authority, clients=clients) as registry:
        trusting = authority.trust(tmp_path / "certs.d", registry.name)
        assert pushed(archive, registry, "--dest-cert-dir", trusting).returncode != 0
        trusting = authority.trust(tmp_path / "certs.d", registry.name, registry.client)
        assert pushed(archive, registry, "--dest-cert-dir", trusting).returncode == 0
        assert put_image(registry, image) in registry.blobs()


def test_tokens(tmp_path: Path, image: Image, archive: Path) -> None:
    authority = Authority(tmp_path / "ca")
    rights = {"bob": ["pull"]}
    with TokenServer(tmp_path / "tokens", users=USERS, rights=rights, authority=authority) as tokens:
        with Distribution(tmp_path / "registry", tokens=tokens, authority=authority) as registry:
            trust = ("--dest-cert-dir", authority.trust(tmp_path / "certs.d", registry.name))
            assert pushed(archive, registry, *trust).returncode != 0
            assert pushed(archive, registry, *trust, "--dest-creds", "alice:wrong").returncode != 0
            assert pushed(archive, registry, *trust, "--dest-creds", "bob:builder").returncode != 0
            assert not registry.blobs()
            # skopeo asks at this machine's token server with the trust in the registry's folder
            assert pushed(archive, registry, *trust, *AS_ALICE).returncode == 0
            last = tokens.asked()[-1]
            assert (last.account, last.how, last.service, last.status) == ("alice", "basic", "the-registry", 200)
            assert last.scopes == ("repository:app:pull,push",)
            assert 401 in {asked.status for asked in tokens.asked()}

            digest = put_image(registry, image)
            address = f"docker://{registry.name}/library/app:1"
            inspect = ("inspect", "--cert-dir", trust[1], address)
            assert skopeo(*inspect).returncode != 0
            tokens.change(rights={"": ["pull"]})
            assert json.loads(skopeo(*inspect).stdout)["Digest"] == digest


def test_tokens_that_are_stale_when_they_are_given(tmp_path: Path, image: Image) -> None:
    with TokenServer(tmp_path / "tokens", users=USERS, rights={"": ["pull"]}) as tokens:
        with Distribution(tmp_path / "registry", tokens=tokens) as registry:
            put_image(registry, image)
            inspect = ("inspect", "--tls-verify=false", f"docker://{registry.name}/library/app:1")
            tokens.give_stale_tokens(1)
            stale = skopeo(*inspect)
            assert stale.returncode != 0
            assert tokens.asked()[-1].status == 200
            assert 401 in {request.status for request in registry.requests() if request.path != "/v2/"}
            assert skopeo(*inspect).returncode == 0
            tokens.fail(1)
            assert skopeo(*inspect).returncode != 0
            assert tokens.asked()[-1].status == 503


def test_hosts_and_laptop_reach_a_registry_on_the_switch(tmp_path: Path, image: Image) -> None:
    with Lab(1, agent=None) as lab:
        place = lab.server_place()
        with Distribution(tmp_path / "registry", place) as registry:
            digest = put_image(registry, image)
            before = lab.switch.link_bytes(place.name)
            curl = ["curl", "-sI", "--noproxy", "*", f"{registry.url}/v2/library/app/manifests/1"]
            said = lab.hosts["web1"].exec([*curl, "-H", "Accept: application/vnd.oci.image.manifest.v1+json"])
            assert digest in said.stdout
            assert lab.switch.link_bytes(place.name).since(before).sent > 0
            assert registry.requests()[-1].client == lab.hosts["web1"].address
