"""Bearer tokens: asked for once for what is wanted, anew when they end, and of nobody who may not be asked."""

from __future__ import annotations

import asyncio
import base64
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from jackstay_oci.errors import RateLimited, RegistryFailed, Unauthorized
from jackstay_oci.registry import addresses, realms
from jackstay_oci.registry.authorizing import Authorization, AuthorizationWanted
from jackstay_oci.registry.settings import RegistrySettings
from jackstay_oci.registry.tokens import Credential, PasswordAuthorizer
from tests.unit.oci.registry.serving import QUICK, REPOSITORY, Registry, Seen, Server, client, known, serving

ALICE = Credential("alice", "wonder: land")
BASIC = "Basic " + base64.b64encode(b"alice:wonder: land").decode()
PULL = f"repository:{REPOSITORY}:pull"


def guarded(realm: Callable[[], str], good: set[str]) -> Any:
    """A registry that gives everything to whoever has a good token, and names *realm* to others."""
    image = Registry()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") in good:
            return await image(request)
        challenge = f'Bearer realm="{realm()}",service="the registry",scope="{PULL}"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    return answer


def giving(good: set[str], **more: object) -> Any:
    """A token server that gives a new token to everybody."""
    count = 0

    async def answer(_: web.Request) -> web.StreamResponse:
        nonlocal count
        count += 1
        good.add(f"token-{count}")
        return web.json_response({"token": f"token-{count}", "expires_in": 300} | more)

    return answer


def authorizer(credential: Credential | None = ALICE) -> PasswordAuthorizer:
    return PasswordAuthorizer(known(credential), RegistrySettings(certs=()), patience=QUICK, environ={})


def asked(seen: Seen) -> dict[str, list[str]]:
    return parse_qs(seen.body or urlsplit(seen.path).query)


async def test_one_token_serves_many_requests_at_once() -> None:
    good: set[str] = set()
    async with serving(giving(good)) as tokens, serving(guarded(lambda: f"{tokens.url}/token", good)) as server:
        async with client(server, authorizer()) as registry:
            await asyncio.gather(*(registry.manifest(REPOSITORY, "1") for _ in range(5)))
            await registry.has_blob(REPOSITORY, Registry().layer_digest)
    assert len(tokens.seen) == 1
    [seen] = tokens.seen
    assert (seen.method, seen.authorization) == ("GET", BASIC)
    assert asked(seen) == {
        "service": ["the registry"],
        "scope": [PULL],
        "account": ["alice"],
        "client_id": ["jackstay"],
    }
    assert not any(each.authorization == BASIC for each in server.seen)  # the registry itself never gets the password


async def test_nobody_in_particular_gets_a_token_too() -> None:
    good: set[str] = set()
    async with serving(giving(good)) as tokens, serving(guarded(lambda: f"{tokens.url}/token", good)) as server:
        async with client(server) as registry:
            await registry.manifest(REPOSITORY, "1")
    assert [seen.authorization for seen in tokens.seen] == [None]


async def test_an_identity_token_goes_by_post() -> None:
    good: set[str] = set()
    async with serving(giving(good)) as tokens, serving(guarded(lambda: f"{tokens.url}/token", good)) as server:
        async with client(server, authorizer(Credential(identity_token="identity"))) as registry:
            await registry.manifest(REPOSITORY, "1")
    [seen] = tokens.seen
    assert (seen.method, seen.path, seen.authorization) == ("POST", "/token", None)
    assert asked(seen)["grant_type"] == ["refresh_token"]
    assert asked(seen)["refresh_token"] == ["identity"]
    assert asked(seen)["scope"] == [PULL]


async def test_a_token_that_the_registry_no_longer_takes_is_fetched_anew() -> None:
    good: set[str] = set()
    async with serving(giving(good)) as tokens, serving(guarded(lambda: f"{tokens.url}/token", good)) as server:
        async with client(server, authorizer()) as registry:
            await registry.manifest(REPOSITORY, "1")
            good.clear()
            await registry.manifest(REPOSITORY, "1")
    assert len(tokens.seen) == 2


async def test_a_token_that_has_ended_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    good: set[str] = set()
    async with serving(giving(good, expires_in=60)) as tokens:
        async with serving(guarded(lambda: f"{tokens.url}/token", good)) as server:
            async with client(server, authorizer()) as registry:
                await registry.manifest(REPOSITORY, "1")
                later = time.monotonic() + 60
                registry._own._grants._clock = lambda: later
                await registry.manifest(REPOSITORY, "1")
    assert [seen.authorization for seen in server.seen] == [None, "Bearer token-1", None, "Bearer token-2"]


async def test_a_registry_that_takes_no_token_is_not_asked_for_ever() -> None:
    async with serving(giving(set())) as tokens, serving(guarded(lambda: f"{tokens.url}/token", set())) as server:
        async with client(server, authorizer()) as registry:
            with pytest.raises(Unauthorized, match=f"{REPOSITORY}:1") as raised:
                await registry.manifest(REPOSITORY, "1")
    assert "jackstay login" in raised.value.hint
    assert len(server.seen) <= 3


async def refusing(status: int, credential: Credential | None = ALICE) -> tuple[Exception, Server]:
    """What comes of a token server that answers with *status*."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"details": "wonder: land"}, status=status)

    async with serving(answer) as tokens, serving(guarded(lambda: f"{tokens.url}/token", set())) as server:
        async with client(server, authorizer(credential)) as registry:
            with pytest.raises((Unauthorized, RegistryFailed, RateLimited)) as raised:
                await registry.manifest(REPOSITORY, "1")
    return raised.value, tokens


@pytest.mark.parametrize(
    ("status", "credential", "kind", "requests"),
    [
        (401, ALICE, Unauthorized, 1),
        (403, ALICE, Unauthorized, 1),
        (400, Credential(identity_token="wonder: land"), Unauthorized, 1),
        (401, None, Unauthorized, 1),
        (404, ALICE, RegistryFailed, 1),
        (429, ALICE, RateLimited, QUICK.attempts),
        (503, ALICE, RegistryFailed, QUICK.attempts),
    ],
)
async def test_what_a_token_server_refuses(
    status: int, credential: Credential | None, kind: type[Exception], requests: int
) -> None:
    error, tokens = await refusing(status, credential)
    assert type(error) is kind
    assert "127.0.0.1" in str(error)
    assert "wonder" not in str(error)
    assert len(tokens.seen) == requests


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 1}', b'{"token": "a\\r\\nb: c"}', b"x" * (2 << 20)])
async def test_what_is_no_token_is_refused(body: bytes) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body)

    async with serving(answer) as tokens, serving(guarded(lambda: f"{tokens.url}/token", set())) as server:
        async with client(server, authorizer()) as registry:
            with pytest.raises(RegistryFailed, match="gives no token"):
                await registry.manifest(REPOSITORY, "1")


# --- Which token servers may be asked -----------------------------------------------------------------------------


async def led_to(realm: Callable[[Server], str], monkeypatch: pytest.MonkeyPatch) -> tuple[Server, Exception | None]:
    """A registry that names a token server inside; what that was asked, and what came of it."""
    good: set[str] = set()
    real = socket.getaddrinfo

    def resolving(host: Any, *args: Any, **options: Any) -> Any:
        # A public address when somebody looks before, another one for the connection, as an attacker's nameserver has.
        return real("127.0.0.2" if host in ("inside.test", b"inside.test") else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolving)
    async with serving(giving(good), "127.0.0.2") as inside:
        async with serving(guarded(lambda: realm(inside), good)) as server, client(server, authorizer()) as registry:
            try:
                await registry.manifest(REPOSITORY, "1")
            except RegistryFailed as error:
                return inside, error
            return inside, None


def by_address(server: Server) -> str:
    return f"{server.url}/token"


def by_name(server: Server) -> str:
    return f"http://inside.test:{server.name.rpartition(':')[2]}/token"


@pytest.mark.parametrize("realm", [by_address, by_name])
async def test_a_token_server_inside_is_not_asked(
    realm: Callable[[Server], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, error = await led_to(realm, monkeypatch)
    assert error is not None
    assert "may not be asked" in str(error)
    assert not inside.seen


@pytest.mark.parametrize("realm", [by_address, by_name])
async def test_without_the_defence_it_gets_the_password(
    realm: Callable[[Server], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realms, "is_public", lambda _: True)
    inside, error = await led_to(realm, monkeypatch)
    assert error is None
    assert [seen.authorization for seen in inside.seen] == [BASIC]


async def test_a_redirect_of_a_token_server_is_not_followed() -> None:
    async with serving(giving(set())) as other:

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": f"{other.url}/token"})

        async with serving(answer) as tokens, serving(guarded(lambda: f"{tokens.url}/token", set())) as server:
            async with client(server, authorizer()) as registry:
                with pytest.raises(RegistryFailed, match="status 307"):
                    await registry.manifest(REPOSITORY, "1")
    assert not other.seen


@pytest.mark.parametrize(
    "realm",
    [
        "http://auth.example/token",
        "ftp://auth.example/token",
        "https://user:password@auth.example/token",
        "https:///token",
        "https://[::1/token",
        "https://auth.example:port/token",
        "https://10.0.0.1/token",
        "https://192.168.1.1/token",
        "https://172.16.0.1/token",
        "https://100.64.0.1/token",
        "https://127.0.0.1/token",
        "https://169.254.169.254/latest",
        "https://[::1]/token",
        "https://[fe80::1]/token",
        "https://[fd00::1]/token",
        "https://[::ffff:10.0.0.1]/token",
        "https://[64:ff9b::a00:1]/token",
        "https://[2002:a00:1::]/token",
        "https://0x7f.1/token",
        "https://2130706433/token",
        "https://0.0.0.0/token",
        "https://auth.example/tok\ren",
    ],
)
def test_realms_that_may_not_be_asked(realm: str) -> None:
    with pytest.raises(RegistryFailed, match="may not be asked") as raised:
        realms.realm("registry.example", "https://registry.example/v2/", realm)
    assert "password" not in raised.value.message or "has a password" in raised.value.message


@pytest.mark.parametrize(
    ("base", "realm", "own"),
    [
        ("https://registry.example/v2/", "https://auth.example/token?a=b", False),
        ("https://registry.example/v2/", "https://8.8.8.8/token", False),
        ("https://10.0.0.1:5000/v2/", "https://10.0.0.1:5001/token", True),
        ("http://127.0.0.1:5000/v2/", "http://127.0.0.1:5001/token", True),
        ("https://Registry.example/v2/", "https://registry.EXAMPLE/token", True),
    ],
)
def test_realms_that_may_be_asked(base: str, realm: str, own: bool) -> None:
    found = realms.realm("registry.example", base, realm)
    assert found.own is own
    assert found.permits("10.0.0.1") is own
    assert found.permits("8.8.8.8")


def test_addresses_by_what_they_mean() -> None:
    assert addresses.is_public("2606:4700::1")
    assert not addresses.is_public("224.0.0.1")
    assert not addresses.is_public("nonsense")
    assert addresses.is_neighbourly("10.0.0.1")
    for inner in ("127.0.0.1", "169.254.169.254", "::", "fe80::1%eth0", "::ffff:127.0.0.1"):
        assert not addresses.is_neighbourly(inner)


# --- Secrets --------------------------------------------------------------------------------------------------------


async def test_secrets_do_not_show(caplog: pytest.LogCaptureFixture) -> None:
    secrets = (Credential("alice", "secret", "secret"), Authorization("Bearer secret"), authorizer())
    assert "secret" not in repr(secrets)
    good: set[str] = set()
    async with serving(giving(good, token="secret", access_token="secret")) as tokens:
        async with serving(guarded(lambda: f"{tokens.url}/token", good)) as server:
            async with client(server, authorizer(Credential("alice", "secret"))) as registry:
                with pytest.raises(Unauthorized) as raised:
                    await registry.manifest(REPOSITORY, "1")
    error: BaseException | None = raised.value
    while error is not None:
        assert "secret" not in repr(error)
        error = error.__cause__ or error.__context__
    assert "secret" not in caplog.text


class Noting:
    """An authorizer that only notes what it is asked."""

    def __init__(self) -> None:
        self.wanted: list[AuthorizationWanted] = []

    async def authorize(self, wanted: AuthorizationWanted) -> Authorization | None:
        self.wanted.append(wanted)
        return None


async def test_who_is_asked_learns_what_for() -> None:
    noting = Noting()
    async with serving(guarded(lambda: "http://auth.test/token", set())) as server:
        async with client(server, noting) as registry:
            with pytest.raises(Unauthorized):
                await registry.manifest(REPOSITORY, "1")
    [wanted] = noting.wanted
    assert (wanted.registry, wanted.url, wanted.refused) == (server.name, f"{server.url}/v2/", False)
    assert wanted.challenge.scopes == (PULL,)


async def test_a_mirror_is_asked_by_its_own_name_for_credentials() -> None:
    names: list[str] = []

    async def lookup(name: str) -> Credential | None:
        names.append(name)
        return None

    async def basic(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401, headers={"WWW-Authenticate": "Basic realm=x"})

    async with serving(basic) as mirror, serving(Registry()) as server:
        settings = RegistrySettings(certs=(), mirrors={server.name: (mirror.url,)})
        async with client(server, PasswordAuthorizer(lookup, settings, environ={}), settings) as registry:
            await registry.manifest(REPOSITORY, "1")
    assert names == [mirror.name]
