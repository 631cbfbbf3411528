"""Signed images: pulled by the key that is given, and by the policy of a host."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jackstay_oci.digest import Digest
from jackstay_oci.signatures.finding import ANNOTATION, PAYLOAD
from tests.lab.images import Image, document, synthetic
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data
from tests.registries.authority import Authority
from tests.registries.distribution import Distribution
from tests.registries.putting import OCI, put_blob, put_image, put_manifest
from tests.unit.oci.signatures.signed import Signer, payload

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

KIND = f"{OCI}.manifest.v1+json"


@pytest.fixture
def registry(lab: Lab, tmp_path: Path) -> Iterator[Distribution]:
    authority = Authority(tmp_path / "ca")
    with Distribution(tmp_path / "registry", lab.server_place(), authority=authority) as registry:
        for etc in (*lab.dir.glob("hosts/web*/etc"), lab.dir / "laptop" / "config" / "jackstay"):
            trusted = etc / "certs.d" / registry.name
            trusted.mkdir(parents=True)
            shutil.copy(authority.certificate, trusted / "ca.crt")
        yield registry


@pytest.fixture
def image(tmp_path: Path) -> Image:
    folder = tmp_path / "image"
    folder.mkdir()
    return synthetic(folder, 1 << 16, "app:1")


def put_signed(registry: Distribution, image: Image, repository: str, signer: Signer) -> str:
    """Put it there as ``repository:1``, and a signature beside it; its digest."""
    digest = put_image(registry, image, f"{repository}:1")
    made = signer.sign(payload(Digest(digest), f"{registry.name}/{repository}"))
    annotations = {ANNOTATION: base64.b64encode(made.signature).decode()}
    manifest = {
        "schemaVersion": 2,
        "mediaType": KIND,
        "config": put_blob(registry, repository, b"{}", f"{OCI}.config.v1+json"),
        "layers": [put_blob(registry, repository, made.payload, PAYLOAD) | {"annotations": annotations}],
    }
    put_manifest(registry, repository, f"{digest.replace(':', '-')}.sig", document(manifest), KIND)
    return digest


def test_by_a_key_one_host_looks_at_the_signature_for_all(
    lab: Lab, laptop: Laptop, registry: Distribution, image: Image, tmp_path: Path
) -> None:
    ours, other = Signer(), Signer()
    for name, signer in (("ours", ours), ("other", other)):
        (tmp_path / f"{name}.pub").write_bytes(signer.pem)
    digest = put_signed(registry, image, "signed", ours)
    name = f"{registry.name}/signed:1"
    pull = ("-H", "web[1-2]", "pull", "--json", "--verify-key")
    refused = laptop.run(*pull, tmp_path / "other.pub", name).ended(1)
    assert {element["error"]["kind"] for element in refused.json} == {"UNTRUSTED"}
    assert [request.path for request in registry.requests()].count("/v2/signed/manifests/1") == 1
    pulled = laptop.ok(*pull, tmp_path / "ours.pub", name)
    items = [data(pulled, host)[0] for host in ("web1", "web2")]
    assert {item["digest"] for item in items} == {digest}
    assert {item["sources"][0]["via"] for item in items} == {"registry", "relay"}


def test_a_host_with_a_policy_takes_what_is_signed_from_the_registry_alone(
    lab: Lab, laptop: Laptop, registry: Distribution, image: Image
) -> None:
    ours = Signer()
    put_signed(registry, image, "signed", ours)
    put_image(registry, image, "unsigned:1")
    signed, unsigned = (f"{registry.name}/{name}:1" for name in ("signed", "unsigned"))
    host = lab.hosts["web2"]
    config, key = (host.path(f"/etc/jackstay/{name}") for name in ("jackstayd.toml", "release.pub"))
    away = ["ip", "route", "add", "prohibit", registry.place.address]
    host.agent.stop()
    try:
        config.write_text(f'[registries.policy]\n"{registry.name}" = {{ keys = ["/etc/jackstay/release.pub"] }}\n')
        key.write_bytes(ours.pem)
        host.agent.start()
        both = ("-H", "web[1-2]", "--fanout", "1", "pull", "--json")
        ran = laptop.run(*both, unsigned).ended(1)
        by_host = {element["host"]: element for element in ran.json}
        assert (by_host["web1"]["ok"], by_host["web2"]["error"]["kind"]) == (True, "REFUSED_BY_POLICY")
        assert f"is not signed; this host has a policy for {registry.name}" in by_host["web2"]["error"]["message"]
        laptop.ok("copy", f"web1::{unsigned}", "web2::")  # what a host has is not the policy's
        laptop.ok("-H", "web2", "rmi", unsigned)
        pulled = laptop.ok(*both, signed)
        assert data(pulled, "web2")[0]["sources"][0]["via"] == "registry"

        host.exec(away)
        ran = laptop.run("-H", "web2", "pull", signed).ended(1)
        assert "taken from its registry alone" in ran.stderr
        assert "give the host a way to the registry" in ran.stderr
    finally:
        host.exec([*away[:2], "del", *away[3:]])
        host.agent.stop()
        config.write_text("")
        key.unlink(missing_ok=True)
        host.agent.start()
