"""Pulls from the real registry, with TLS under an own CA and a real token server: one question for all hosts."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.images import Image, synthetic
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data
from tests.lab.multi_platform import HERE, OTHER, for_two_platforms
from tests.registries.authority import Authority
from tests.registries.distribution import Distribution
from tests.registries.putting import put_image, put_multi_platform
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
    port: str  # on the switch
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
        yield Served(registry, tokens, f"{registry.name}/team/app:1", digest, place.name, size)


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


def test_hosts_without_a_way_out_copy_from_the_one_that_has_and_all_from_the_laptop(
    lab: Lab, logged_in: Laptop, served: Served
) -> None:
    away = ["ip", "route", "add", "prohibit", served.registry.place.address]
    one, two, _ = lab.hosts.values()
    for host in (one, two):
        host.exec(away)
    try:
        before = len(served.registry.requests())
        pulled = logged_in.ok("-H", "web[1-2]", "pull", "--json", served.app)
        assert {request.client for request in served.registry.requests()[before:]}.isdisjoint(
            {one.address, two.address}
        )
        for name in ("web1", "web2"):
            (item,) = data(pulled, name)
            assert item["sources"] == [{"from": served.registry.name, "via": "relay", "bytes": served.size}]
        asked = [request.path for request in served.registry.requests()[before:] if request.status in (200, 206)]
        assert len(asked) < 2 * 6  # the two were given one reading

        logged_in.ok("-H", "web1", "rmi", "-f", served.app)
        pulled = logged_in.ok("-H", "web[1,3]", "pull", "--json", served.app)
        assert data(pulled, "web1")[0]["sources"][0]["from"] == "web3"
        assert data(pulled, "web3")[0]["sources"][0]["via"] == "registry"
    finally:
        for host in (one, two):
            host.exec([*away[:2], "del", *away[3:]])


def test_the_registry_says_no_once_for_all(lab: Lab, logged_in: Laptop, served: Served) -> None:
    missing = served.app.replace(":1", ":2")
    before = len(served.registry.requests())
    ran = logged_in.run("-H", "@web", "pull", missing).ended(1)
    assert ran.stderr.count("team/app:2") == 3, ran
    assert [request.status for request in served.registry.requests()[before:]].count(404) == 1
    log_in(logged_in, served, "wrong")
    before = len(served.tokens.asked())
    ran = logged_in.run("-H", "@web", "pull", "--json", served.app).ended(1)
    assert {element["error"]["kind"] for element in ran.json} == {"UNAUTHORIZED"}
    assert len(served.tokens.asked()[before:]) <= 2
    assert "wrong" not in ran.stdout + ran.stderr


def test_by_digest_it_has_a_digest_and_no_tag_wherever_it_came_from(
    lab: Lab, logged_in: Laptop, served: Served
) -> None:
    name = f"{served.app.removesuffix(':1')}@{served.digest}"
    pulled = logged_in.ok("-H", "web[1-2]", "pull", "-q", name)
    assert pulled.stdout.count(name) == 2
    listed = logged_in.ok("-H", "web[1-2]", "images", "--digests", "--json")
    inspected = logged_in.ok("-H", "web[1-2]", "image", "inspect", "--json", name)
    for host in ("web1", "web2"):
        (image,) = data(listed, host)
        assert (image["Repository"], image["Tag"], image["Digest"]) == (name.partition("@")[0], "<none>", served.digest)
        (document,) = data(inspected, host)
        assert (document["RepoTags"], document["RepoDigests"]) == ([], [name])
    removed = logged_in.ok("-H", "web1", "rmi", name)
    assert removed.stdout.splitlines()[0] == f"Untagged: {name}"
    assert removed.stdout.count("Untagged") == 1


def test_run_pulls_what_is_missing_and_says_what_it_does(lab: Lab, logged_in: Laptop, served: Served) -> None:
    never = logged_in.run("-H", "web1", "run", "--rm", "--pull", "never", served.app, "echo", "hello").ended(125)
    assert f"No such image: {served.app}" in never.stderr
    before = len(served.registry.requests())
    ran = logged_in.ok("-H", "@web", "run", "--rm", served.app, "echo", "hello")
    assert ran.stdout.count("hello") == 1  # folded
    assert ran.stderr.count(f"Unable to find image '{served.app}' locally") == 3
    assert len({request.client for request in served.registry.requests()[before:]}) == 1
    before = len(served.registry.requests())
    assert logged_in.ok("-H", "web1", "run", "--rm", served.app, "echo", "hello").stdout == "hello\n"
    assert len(served.registry.requests()) == before
    logged_in.ok("-H", "web1", "rmi", served.app)
    quiet = logged_in.ok("-H", "web1", "run", "--rm", "--quiet", served.app, "echo", "hello")
    assert (quiet.stdout, quiet.stderr) == ("hello\n", "")
    before = len(served.registry.requests())
    logged_in.ok("-H", "web1", "create", "--pull", "always", served.app)
    assert [request.method for request in served.registry.requests()[before:] if request.status == 200] == ["HEAD"]


def test_of_an_index_the_platform_that_is_asked_for_and_of_a_repository_every_tag(
    lab: Lab, logged_in: Laptop, served: Served, tmp_path: Path
) -> None:
    multi = for_two_platforms(tmp_path)
    name = served.app.replace("app:1", "multi:1")
    for tag in ("1", "2"):
        put_multi_platform(served.registry, multi, f"team/multi:{tag}")

    def asked_of(platform: str, since: int) -> bool:
        """Whether the registry was asked for that platform's manifest."""
        return any(multi.manifests[platform] in request.path for request in served.registry.requests()[since:])

    before = len(served.registry.requests())
    logged_in.ok("-H", "web1", "pull", "-q", "--platform", OTHER, name)
    assert asked_of(OTHER, before)
    assert not asked_of(HERE, before)
    (found,) = data(logged_in.ok("-H", "web1", "image", "inspect", "--json", name))
    assert (found["Id"], found["Architecture"]) == (multi.ids[OTHER], OTHER.removeprefix("linux/"))

    for platform in (HERE, OTHER):
        run = ("run", "--rm", "--pull", "always", "--platform", platform, name, "cat", "/etc/platform")
        assert logged_in.ok("-H", "web1", *run).stdout == f"{platform}\n"

    before = len(served.registry.requests())
    pulled = logged_in.ok("-H", "web2", "pull", "-q", "--all-platforms", "--all-tags", name.removesuffix(":1"))
    assert sorted(pulled.stdout.split()) == [name, f"{name[:-1]}2"]
    assert asked_of(OTHER, before)
    (found,) = data(logged_in.ok("-H", "web2", "image", "inspect", "--json", name))
    assert (found["Id"], len(found["RepoTags"])) == (multi.ids[HERE], 2)
    logged_in.ok("-H", "web2", "save", "--platform", OTHER, "-o", tmp_path / "other.tar", name)


def test_a_pull_that_was_killed_goes_on_where_it_was(
    lab: Lab, logged_in: Laptop, served: Served, tmp_path: Path
) -> None:
    """At most 4 MiB come twice."""
    size = 48_000_000
    put_image(served.registry, synthetic(tmp_path, size, "team/big:1"), compress=False)
    name = served.app.replace("app:1", "big:1")
    host = lab.hosts["web1"]
    host.limit("160mbit")
    before = lab.switch.link_bytes(served.port)
    pulling = logged_in.start("-H", "web1", "pull", "-q", name)
    deadline = time.monotonic() + 60
    while lab.switch.link_bytes(served.port).since(before).sent < size // 2:
        assert time.monotonic() < deadline, pulling.poll()
        time.sleep(0.05)
    host.agent.kill()
    pulling.communicate(timeout=60)
    assert pulling.returncode != 0
    host.limit()
    first = lab.switch.link_bytes(served.port).since(before).sent
    assert first < size
    host.agent.start()
    (item,) = data(logged_in.ok("-H", "web1", "pull", "--json", name, timeout=120))
    kept = item["bytes_sent"] + item["bytes_spared"] - item["sources"][0]["bytes"]
    assert first - kept < 4 * 1024 * 1024 + first // 20  # and what carries the bytes
    assert item["sources"][0]["bytes"] < size - size // 2 + 4 * 1024 * 1024
