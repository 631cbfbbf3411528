"""Pushes to the real registry, with TLS under an own CA and a real token server: what goes there, what is spared."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.images import Image
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data
from tests.registries.authority import Authority
from tests.registries.distribution import Distribution
from tests.registries.token_server import TokenServer

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

SENTINEL = "swordfish 58"
READER = "only looking 3"
OCI = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True)
class Taking:
    """A registry to which alice may push, and rita may not."""

    registry: Distribution
    tokens: TokenServer

    def manifest(self, repository: str, reference: str) -> Any:
        kinds = {"Accept": f"{OCI}.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"}
        status, _, body = self.registry.ask("GET", f"/v2/{repository}/manifests/{reference}", headers=kinds)
        assert status == 200, body
        return json.loads(body)


@pytest.fixture(scope="module")
def taking(shared_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taking]:
    folder = tmp_path_factory.mktemp("registry")
    place = shared_lab.server_place()
    authority = Authority(folder / "ca")
    users, rights = {"alice": SENTINEL, "rita": READER}, {"alice": ["pull", "push"], "rita": ["pull"], "": []}
    with (
        TokenServer(folder / "tokens", place, users=users, rights=rights, authority=authority) as tokens,
        Distribution(folder / "registry", place, tokens=tokens, authority=authority) as registry,
    ):
        for etc in (*shared_lab.dir.glob("hosts/web*/etc"), shared_lab.dir / "laptop" / "config" / "jackstay"):
            trusted = etc / "certs.d" / registry.name
            trusted.mkdir(parents=True)
            shutil.copy(authority.certificate, trusted / "ca.crt")
        yield Taking(registry, tokens)


@pytest.fixture
def alice(laptop: Laptop, taking: Taking) -> Laptop:
    """The laptop knows her password."""
    log_in(laptop, taking, "alice", SENTINEL)
    return laptop


def log_in(laptop: Laptop, taking: Taking, user: str, password: str) -> None:
    folder = laptop.lab.dir / "laptop" / "docker"
    folder.mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {taking.registry.name: {"auth": auth}}}))
    laptop.environment["DOCKER_CONFIG"] = str(folder)


def test_what_one_host_pushes_another_pulls_by_its_digest_and_a_second_push_sends_nothing(
    lab: Lab, alice: Laptop, taking: Taking, web: Image, web_archive: Path
) -> None:
    alice.ok("-H", "web1", "load", "-i", web_archive)
    to = f"{taking.registry.name}/team/app"
    (first,) = data(alice.ok("-H", "web1", "push", "--json", "httpd:1.1", f"{to}:1"))
    assert set(first) == {"image", "digest", "bytes_sent", "bytes_spared", "seconds", "warnings"}
    assert first["image"] == f"{to}:1"
    manifest = taking.manifest("team/app", "1")
    blobs = taking.registry.blobs()
    plain = [gzip.decompress(blobs[layer["digest"]].read_bytes()) for layer in manifest["layers"]]
    assert plain == [path.read_bytes() for path in web.layers]
    named = [manifest["config"], *manifest["layers"]]
    assert first["digest"] in blobs
    assert first["bytes_sent"] == sum(each["size"] for each in named) + blobs[first["digest"]].stat().st_size
    assert first["bytes_spared"] == 0

    before = len(taking.registry.requests())
    again = alice.ok("-H", "web1", "push", "httpd:1.1", f"{to}:1")
    assert again.stdout == f"{to}:1: digest: {first['digest']}\n"
    asked = taking.registry.requests()[before:]
    assert {request.method for request in asked if request.status != 401} == {"HEAD"}

    by_digest = f"{to}@{first['digest']}"
    (here,) = data(alice.ok("-H", "web1", "pull", "--json", by_digest))
    assert (here["digest"], here["bytes_wire"], here["changed"]) == (first["digest"], 0, False)
    (document,) = data(alice.ok("-H", "web1", "image", "inspect", "--json", by_digest))
    assert document["RepoTags"] == ["httpd:1.1"]
    assert by_digest in document["RepoDigests"]
    (pulled,) = data(alice.ok("-H", "web2", "pull", "--json", by_digest))
    assert (pulled["digest"], pulled["bytes_spared"]) == (first["digest"], 0)
    assert alice.ok("-H", "web2", "run", "--rm", by_digest, "echo", "hello").stdout == "hello\n"
    for host in lab.hosts.values():
        assert SENTINEL not in host.log_text()


def test_all_tags_go_and_what_another_repository_has_is_mounted(
    lab: Lab, alice: Laptop, taking: Taking, base_archive: Path, web_archive: Path
) -> None:
    alice.ok("-H", "web1", "load", "-i", base_archive)
    base, app = f"{taking.registry.name}/other/base", f"{taking.registry.name}/other/app"
    alice.ok("-H", "web1", "tag", "base:1", f"{base}:1")
    alice.ok("-H", "web1", "push", "-q", "--compression", "zstd", f"{base}:1")
    shared = taking.manifest("other/base", "1")["layers"]
    assert {layer["mediaType"] for layer in shared} == {f"{OCI}.layer.v1.tar+zstd"}

    # As pulled from there: its layers have the digests that the registry knows.
    alice.ok("-H", "web1", "rmi", "base:1", f"{base}:1")
    alice.ok("-H", "web1", "pull", f"{base}:1")
    container = alice.ok("-H", "web1", "create", f"{base}:1", "sh", "-c", "echo x > /x").stdout.strip()
    alice.ok("-H", "web1", "start", "-a", container)
    alice.ok("-H", "web1", "commit", container, f"{app}:1")
    alice.ok("-H", "web1", "tag", f"{app}:1", f"{app}:2")
    before = len(taking.registry.requests())
    pushed = alice.ok("-H", "web1", "push", "--all-tags", "--json", app)
    first, second = data(pushed)
    assert [first["image"], second["image"]] == [f"{app}:1", f"{app}:2"]
    assert first["digest"] == second["digest"]
    assert first["bytes_spared"] == sum(layer["size"] for layer in shared)
    mounts = [request for request in taking.registry.requests()[before:] if "mount=" in request.path]
    assert [request.status for request in mounts if request.status != 401] == [201] * len(shared)
    assert 0 < second["bytes_sent"] < first["bytes_sent"]  # the manifest under another tag
    layers = taking.manifest("other/app", "2")["layers"]
    assert layers[: len(shared)] == shared
    assert layers[-1]["mediaType"].endswith("gzip")


def test_who_may_not_push_is_told_so_and_nothing_gets_a_name(
    lab: Lab, laptop: Laptop, taking: Taking, base_archive: Path
) -> None:
    laptop.ok("-H", "web1", "load", "-i", base_archive)
    to = f"{taking.registry.name}/refused/base:1"
    for user, password in (("rita", READER), ("alice", "a wrong one")):
        log_in(laptop, taking, user, password)
        ran = laptop.run("-H", "web1", "push", "--json", "base:1", to).ended(1)
        (element,) = ran.json
        assert element["error"]["kind"] == "UNAUTHORIZED", ran
        assert taking.registry.name in element["error"]["message"]
        assert "jackstay login" in element["error"]["hint"]
        assert password not in ran.stdout + ran.stderr
    status, _, _ = taking.registry.ask("GET", "/v2/refused/base/tags/list")
    assert status == 404
