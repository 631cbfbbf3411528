"""Pulls from the real registry, with TLS under an own CA and tokens of a real token server: one question for all hosts."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.images import Image, synthetic
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data
from tests.registries.authority import Authority
from tests.registries.distribution import Distribution
from tests.registries.putting import put_image
from tests.registries.token_server import TokenServer

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

RIGHTS = {"alice": ["pull"], "": []}
SENTINEL = "open sesame 71"


@dataclass(frozen=True, slots=True)
class Served:
    """The registry, what it has, and who gives tokens for it."""

    registry: Distribution
    tokens: TokenServer
    app: str  # its name
    digest: str
    size: int  # of manifest, config and layers as they travel


@pytest.fixture(scope="module")
def served(shared_lab: Lab, web: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("registry")
    place = shared_lab.server_place()
    authority = Authority(folder / "ca")
    with (
        TokenServer(folder / "tokens", place, users={"alice": SENTINEL}, rights=RIGHTS, authority=authority) as tokens,
        Distribution(folder / "registry", place, tokens=tokens, authority=authority) as registry,
    ):
        for etc in (*shared_lab.dir.glob("hosts/web*/etc"), shared_lab.dir / "laptop" / "config" / "jackstay"):
            trusted = etc / "certs.d" / registry.name
            trusted.mkdir(parents=True)
            shutil.copy(authority.certificate, trusted / "ca.crt")
        digest = put_image(registry, web, "team/app:1")
        size = sum(path.stat().st_size for path in registry.blobs().values())
        yield Served(registry, tokens, f"{registry.name}/team/app:1", digest, size)


@pytest.fixture
def logged_in(laptop: Laptop, served: Served) -> Laptop:
    """The laptop knows the password."""
    log_in(laptop, served, SENTINEL)
    return laptop


def log_in(laptop: Laptop, served: Served, password: str) -> None:
    folder = laptop.lab.dir / "laptop" / "docker"
    folder.mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(f"alice:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {served.registry.name: {"auth": auth}}}))
    laptop.environment["DOCKER_CONFIG"] = str(folder)


def test_three_hosts_ask_the_registry_once_and_a_second_time_nothing_moves(
    lab: Lab, logged_in: Laptop, served: Served
) -> None:
    before = len(served.registry.requests())
    pulled = logged_in.ok("-H", "@web", "pull", "--json", served.app)
    asked = served.registry.requests()[before:]
    given = [request.path for request in asked if request.status in (200, 206)]
    assert len(given) == len(set(given)) == 6, given  # the manifest, the config, four layers
    assert len({request.client for request in asked}) == 1
    (first,) = (name for name, host in lab.hosts.items() if host.address == asked[0].client)
    for host in lab.hosts:
        (item,) = data(pulled, host)
        assert (item["digest"], item["bytes_sent"], item["bytes_spared"]) == (served.digest, served.size, 0)
        assert item["changed"]
        (source,) = item["sources"]
        name, via = (served.registry.name, "registry") if host == first else (first, "relay")
        assert source == {"from": name, "via": via, "bytes": served.size}

    before = len(served.registry.requests())
    again = logged_in.ok("-H", "@web", "pull", served.app)
    assert [request.method for request in served.registry.requests()[before:] if request.status == 200] == ["HEAD"]
    assert again.stdout.count(f"Status: Image is up to date for {served.app}") == 3
    assert again.stdout.count(f"Digest: {served.digest}") == 3

    listed = logged_in.ok("-H", "@web", "images", "--digests", "--json")
    for host in lab.hosts:
        (image,) = data(listed, host)
        assert (image["Repository"], image["Tag"]) == (served.app.removesuffix(":1"), "1")
        assert image["Digest"] == served.digest
    for host in lab.hosts.values():
        assert SENTINEL not in host.log_text()
