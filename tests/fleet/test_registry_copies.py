"""Copies from and to the real registry, which wants to know who asks: TLS under an own CA, and a real token server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data
from tests.lab.place import Place
from tests.registries.access_log import Request
from tests.registries.authority import Authority
from tests.registries.distribution import Distribution
from tests.registries.token_server import TokenServer

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

PASSWORD = "open sesame 72"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where registries of these tests listen, and who gives tokens for them."""

    place: Place
    authority: Authority
    tokens: TokenServer


@pytest.fixture(scope="module")
def servers(shared_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Tokens are for alice alone."""
    folder = tmp_path_factory.mktemp("servers")
    place, authority = shared_lab.server_place(), Authority(folder / "ca")
    users = {"alice": PASSWORD}
    with TokenServer(folder / "tokens", place, users=users, rights={"": []}, authority=authority) as tokens:
        yield Servers(place, authority, tokens)


@pytest.fixture
def registry(lab: Lab, servers: Servers, tmp_path: Path) -> Iterator[Distribution]:
    """An empty registry that hosts and laptop trust."""
    folder = tmp_path / "registry"
    with Distribution(folder, servers.place, tokens=servers.tokens, authority=servers.authority) as registry:
        for etc in (*lab.dir.glob("hosts/web*/etc"), lab.dir / "laptop" / "config" / "jackstay"):
            trusted = etc / "certs.d" / registry.name
            trusted.mkdir(parents=True)
            shutil.copy(servers.authority.certificate, trusted / "ca.crt")
        yield registry


@pytest.fixture
def docker_config(laptop: Laptop, tmp_path: Path) -> Path:
    """The laptop's own docker configuration."""
    laptop.environment["DOCKER_CONFIG"] = str(tmp_path / "docker")
    return tmp_path / "docker" / "config.json"


def log_in(laptop: Laptop, registry: Distribution) -> None:
    arguments = ("login", "-u", "alice", "--password-stdin", registry.name)
    assert laptop.run(*arguments, input=PASSWORD.encode()).ok().stdout == "Login Succeeded\n"


class Asked:
    """What the registry is asked while the block runs."""

    def __init__(self, registry: Distribution) -> None:
        self._registry = registry
        self._before = len(registry.requests())

    def requests(self, *methods: str) -> list[Request]:
        """Those of the methods that were granted."""
        asked = self._registry.requests()[self._before :]
        return [one for one in asked if one.method in methods and one.status < 300]


def test_a_login_is_checked_and_kept_on_the_laptop_alone(
    lab: Lab, laptop: Laptop, registry: Distribution, servers: Servers, docker_config: Path, base_archive: Path
) -> None:
    name = f"docker://{registry.name}/team/base:1"
    refused = laptop.run("copy", f"docker-archive:{base_archive}", name).ended(1)
    assert f"jackstay login {registry.name}" in refused.stderr
    wrong = laptop.run("login", "-u", "alice", "-p", "wrong", registry.name).ended(1)
    assert "refuses the credentials of 'alice'" in wrong.stderr
    assert not docker_config.exists()

    log_in(laptop, registry)
    assert docker_config.stat().st_mode & 0o777 == 0o600
    assert list(json.loads(docker_config.read_text())["auths"]) == [registry.name]
    laptop.ok("copy", f"docker-archive:{base_archive}", name)
    assert laptop.ok("registry", "ls", registry.name).stdout.split() == ["REPOSITORY", "team/base"]
    assert laptop.ok("registry", "tags", "-q", f"{registry.name}/team/base").stdout == f"{registry.name}/team/base:1\n"

    laptop.ok("copy", name, "@web::")
    laptop.ok("-H", "web1", "run", "--rm", f"{registry.name}/team/base:1", "true")
    for host in lab.hosts.values():
        assert PASSWORD not in host.log_text()
    assert {one.account for one in servers.tokens.asked() if one.status == 200} <= {"", "alice"}
    laptop.ok("logout", registry.name)
    assert PASSWORD not in docker_config.read_text()
    assert json.loads(docker_config.read_text())["auths"] == {}
    ended = laptop.run("registry", "tags", f"{registry.name}/team/base").ended(1)
    assert "login" in ended.stderr


def test_between_repositories_nothing_is_sent_and_the_plan_foresees_it(
    laptop: Laptop, registry: Distribution, docker_config: Path, web_archive: Path
) -> None:
    log_in(laptop, registry)
    one, two = (f"docker://{registry.name}/{name}:1" for name in ("team/web", "copies/web"))
    (plan,) = laptop.ok("copy", "--json", "--plan", f"docker-archive:{web_archive}", one).json
    (done,) = laptop.ok("copy", "--json", f"docker-archive:{web_archive}", one).json
    assert plan["data"][0]["bytes_sent"] == done["data"][0]["bytes_sent"]
    assert done["data"][0]["bytes_sent"] == sum(path.stat().st_size for path in registry.blobs().values())

    asked, before = Asked(registry), registry.blobs()
    (done,) = laptop.ok("copy", "--json", one, two).json
    assert [request.path.split("/")[-1] for request in asked.requests("PUT")] == ["1"]  # the manifest
    assert not asked.requests("PATCH")
    assert len(asked.requests("POST")) == 5  # config and layers, mounted
    assert done["data"][0]["digest"] in before
    assert registry.blobs().keys() == before.keys()
    assert "0B sent" in laptop.ok("copy", one, two).stdout


def test_a_host_pushes_by_itself_and_one_of_the_others_asks(
    lab: Lab, laptop: Laptop, registry: Distribution, docker_config: Path, web_archive: Path
) -> None:
    log_in(laptop, registry)
    name = f"{registry.name}/team/web:1"
    laptop.ok("copy", f"docker-archive:{web_archive}", "web1::")
    pushed = laptop.ok("copy", "--json", "web1::httpd:1.1", f"docker://{name}")
    (item,) = data(pushed, "web1")
    assert item["sources"] == [{"from": "web1", "via": "registry", "bytes": item["bytes_sent"]}]
    assert item["bytes_sent"] == sum(path.stat().st_size for path in registry.blobs().values())

    addresses = {host.address: host.name for host in lab.hosts.values()}
    asked = Asked(registry)
    plan = laptop.ok("copy", "--json", "--plan", f"docker://{name}", "web[2-3]::")
    copied = laptop.ok("copy", "--json", f"docker://{name}", "web[2-3]::")
    clients = {
        addresses.get(request.client, "laptop") for request in asked.requests("GET") if "/blobs/" in request.path
    }
    assert len(clients) == 1
    assert clients <= {"web2", "web3"}
    for host in ("web2", "web3"):
        (item,) = data(copied, host)
        assert item["bytes_sent"] == data(plan, host)[0]["bytes_sent"] > 0
        assert item["digest"] == data(pushed, "web1")[0]["digest"]
    assert {data(copied, host)[0]["sources"][0]["via"] for host in ("web2", "web3")} == {"registry", "relay"}
