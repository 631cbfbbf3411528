"""Proxies as the environment names them."""

from __future__ import annotations

import pytest
from aiohttp import web

from jackstay_oci.errors import RegistryFailed
from jackstay_oci.registry.client import connect
from jackstay_oci.registry.proxies import proxy
from jackstay_oci.registry.settings import RegistrySettings
from jackstay_oci.registry.tokens import AnonymousAuthorizer
from tests.unit.oci.registry.serving import QUICK, REPOSITORY, Registry, serving

ENVIRON = {"HTTPS_PROXY": "http://proxy.example:3128", "http_proxy": "plain.example"}
URL = "https://registry.example:5000/v2/"


def test_by_scheme_in_either_case_and_without_a_scheme() -> None:
    assert proxy(URL, ENVIRON) == "http://proxy.example:3128"
    assert proxy("http://registry.example/", ENVIRON) == "http://plain.example"
    assert proxy(URL, {}) is None
    assert proxy(URL, {"https_proxy": " "}) is None


@pytest.mark.parametrize("url", ["https://127.0.0.1:5000/", "https://localhost/", "https://[::1]:5000/"])
def test_this_machine_is_asked_straight(url: str) -> None:
    assert proxy(url, ENVIRON) is None


@pytest.mark.parametrize(
    ("url", "exceptions", "straight"),
    [
        (URL, "registry.example", True),
        (URL, ".example", True),
        (URL, "*.example", True),
        (URL, "example", True),
        (URL, "other.example, Registry.Example:5000", True),
        (URL, "registry.example:443", False),
        (URL, "gistry.example", False),
        (URL, "*", True),
        (URL, "", False),
        ("https://registry.example/", "registry.example:443", True),
        ("https://10.1.2.3/", "10.0.0.0/8", True),
        ("https://11.1.2.3/", "10.0.0.0/8", False),
        ("https://10.1.2.3/", "10.1.2.3", True),
        ("https://[fd00::1]/", "fd00::/8", True),
        ("https://[fd00::1]:5000/", "[fd00::1]:5000", True),
    ],
)
def test_exceptions(url: str, exceptions: str, straight: bool) -> None:
    assert (proxy(url, ENVIRON | {"no_proxy": exceptions}) is None) is straight


@pytest.mark.parametrize("named", ["socks5://user:secret@proxy.example", "http://"])
def test_what_is_no_proxy_is_told_without_its_password(named: str) -> None:
    with pytest.raises(RegistryFailed, match="https_proxy") as raised:
        proxy(URL, {"https_proxy": named})
    assert "secret" not in raised.value.message + raised.value.hint


async def test_a_registry_is_asked_by_way_of_the_proxy() -> None:
    image = Registry()

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.headers["Host"] == "registry.test"
        assert request.headers["Proxy-Authorization"] == "Basic dXNlcjpzZWNyZXQ="
        return await image(request)

    settings = RegistrySettings(certs=(), plain_http=("registry.test",))
    async with serving(answer) as server:
        environ = {"http_proxy": f"http://user:secret@{server.name}"}
        authorizer = AnonymousAuthorizer(settings, environ=environ)
        registry = await connect("registry.test", authorizer, settings, patience=QUICK, environ=environ)
        try:
            assert (await registry.manifest(REPOSITORY, "1")).descriptor == image.descriptor
        finally:
            await registry.close()
    assert len(server.seen) == 1


async def test_a_proxy_that_is_not_there_is_told_without_its_password() -> None:
    async with serving(Registry()) as server:
        environ = {"https_proxy": f"http://user:secret@{server.name}"}
    settings = RegistrySettings(certs=())
    registry = await connect("registry.test", AnonymousAuthorizer(), settings, patience=QUICK, environ=environ)
    try:
        with pytest.raises(RegistryFailed) as raised:
            await registry.manifest(REPOSITORY, "1")
    finally:
        await registry.close()
    assert f"proxy {server.name}" in raised.value.message
    assert "secret" not in repr(raised.value) + raised.value.hint
