"""Redirects: bounded, never from TLS to none, never to this machine, and never with the caller's credentials.

Each defence is switched off once, and the attack seen to succeed.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from jackstay_oci.errors import RegistryFailed
from jackstay_oci.registry import addresses, connections, transport
from jackstay_oci.registry.client import RegistryClient
from jackstay_oci.registry.settings import RegistrySettings
from jackstay_oci.registry.tokens import Credential, PasswordAuthorizer
from tests.registries.authority import Authority
from tests.unit.oci.registry.serving import QUICK, REPOSITORY, Answer, Registry, Server, client, known, serving

CREDENTIAL = Credential("alice", "wonder: land")
BASIC = "Basic YWxpY2U6d29uZGVyOiBsYW5k"


def authorizer() -> PasswordAuthorizer:
    return PasswordAuthorizer(known(CREDENTIAL), patience=QUICK, environ={})


def redirecting(to: object, status: int = 307, wants: bool = False) -> Answer:
    """Redirects every blob to the same path at *to*, once it knows who asks."""
    image = Registry()

    async def answer(request: web.Request) -> web.StreamResponse:
        if wants and request.headers.get("Authorization") != BASIC:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="here"'})
        if "/blobs/" not in request.path:
            return await image(request)
        return web.Response(status=status, headers={"Location": f"{to}{request.path_qs}"})

    return answer


async def read(registry: RegistryClient) -> bytes:
    image = Registry()
    pieces = registry.read(REPOSITORY, image.layer_digest, 0, len(image.layer))
    return b"".join([piece async for piece in pieces])


async def through(storage: Server) -> tuple[Server, bytes]:
    answer = redirecting(storage.url, wants=True)
    async with serving(answer) as server, client(server, authorizer()) as registry:
        return server, await read(registry)


async def test_credentials_stay_with_the_registry() -> None:
    async with serving(Registry()) as storage:
        server, data = await through(storage)
    assert data == Registry().layer
    assert [seen.authorization for seen in server.seen] == [None, BASIC]
    assert [seen.authorization for seen in storage.seen] == [None]
    assert [seen.range for seen in storage.seen] == [f"bytes=0-{len(data) - 1}"]


async def test_without_the_defence_another_server_gets_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "same_origin", lambda *_: True)
    async with serving(Registry()) as storage:
        await through(storage)
    assert [seen.authorization for seen in storage.seen] == [BASIC]


async def test_another_server_that_asks_who_we_are_is_not_told() -> None:
    async def asking(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="there"'})

    async with serving(asking) as storage:
        with pytest.raises(RegistryFailed, match="which answers status 401"):
            await through(storage)
    assert {seen.authorization for seen in storage.seen} == {None}


async def test_credentials_that_lie_in_a_netrc_are_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login alice password netrc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with serving(Registry()) as server, client(server) as registry:
        await registry.manifest(REPOSITORY, "1")
    assert [seen.authorization for seen in server.seen] == [None]


async def test_a_redirect_that_never_ends_is_given_up() -> None:
    async def circle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": request.path_qs})

    async with serving(circle) as server, client(server) as registry:
        with pytest.raises(RegistryFailed, match="again and again") as raised:
            await registry.manifest(REPOSITORY, "1")
    assert server.name in raised.value.message
    assert len(server.seen) == transport.MAX_REDIRECTS + 1


@pytest.mark.parametrize("location", ["ftp://example.test/x", "http://", "http://[::1", "file:///etc/passwd", "//"])
async def test_a_redirect_to_what_is_none_of_http_is_refused(location: str) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location})

    async with serving(answer) as server, client(server) as registry:
        with pytest.raises(RegistryFailed, match=server.name):
            await registry.manifest(REPOSITORY, "1")


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, Authority]:
    authority = Authority(tmp_path / "ca")
    pair = authority.server("127.0.0.1", "127.0.0.2")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context, authority


async def unencrypted(tmp_path: Path, tls: tuple[ssl.SSLContext, Authority]) -> tuple[Server, object]:
    async with serving(Registry()) as storage, serving(redirecting(storage.url), tls=tls[0]) as server:
        tls[1].trust(tmp_path / "certs", server.name)
        async with client(server, settings=RegistrySettings(certs=(str(tmp_path / "certs"),))) as registry:
            try:
                return storage, await read(registry)
            except RegistryFailed as error:
                return storage, error


async def test_from_tls_nobody_is_led_to_where_there_is_none(
    tmp_path: Path, tls: tuple[ssl.SSLContext, Authority]
) -> None:
    storage, came = await unencrypted(tmp_path, tls)
    assert isinstance(came, RegistryFailed)
    assert "without TLS: refused" in came.message
    assert not storage.seen


async def test_without_the_defence_it_goes_on_without_tls(
    tmp_path: Path, tls: tuple[ssl.SSLContext, Authority], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "loses_tls", lambda *_: False)
    storage, came = await unencrypted(tmp_path, tls)
    assert came == Registry().layer
    assert storage.seen


async def inward(monkeypatch: pytest.MonkeyPatch) -> tuple[Server, object]:
    """A registry elsewhere that redirects to this machine; that it is elsewhere is what the client is made to think."""
    monkeypatch.setattr(connections, "is_here", lambda _: False)
    async with serving(Registry(), "127.0.0.2") as inner, serving(redirecting(inner.url)) as server:
        async with client(server) as registry:
            try:
                return inner, await read(registry)
            except RegistryFailed as error:
                return inner, error


async def test_nobody_is_led_to_a_server_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    inner, came = await inward(monkeypatch)
    assert isinstance(came, RegistryFailed)
    assert "this machine's own: refused" in came.message
    assert not inner.seen


async def test_without_the_defence_a_server_of_this_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "is_neighbourly", lambda _: True)
    inner, came = await inward(monkeypatch)
    assert came == Registry().layer
    assert inner.seen


def test_an_origin_is_scheme_host_and_port() -> None:
    here = URL("https://registry.test/v2/")
    assert transport.same_origin(URL("https://registry.test:443/x"), here)
    for other in ("http://registry.test/v2/", "https://registry.test:5000/v2/", "https://registry.test.evil/v2/"):
        assert not transport.same_origin(URL(other), here)
