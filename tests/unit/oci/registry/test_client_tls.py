"""TLS: whom to trust lies in certs.d, and who has no trust is told where to put it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from jackstay_oci.errors import RegistryFailed
from jackstay_oci.registry import connecting
from jackstay_oci.registry.settings import RegistrySettings
from tests.registries.authority import Authority
from tests.unit.oci.registry.serving import REPOSITORY, Registry, Server, client, serving


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def clients(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "clients", "Who knows clients")


@pytest.fixture
async def server(authority: Authority) -> AsyncIterator[Server]:
    async with serving(Registry(), tls=context(authority)) as server:
        yield server


def context(authority: Authority, clients: Authority | None = None) -> ssl.SSLContext:
    pair = authority.server("127.0.0.1")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pair.certificate, pair.key)
    if clients is not None:
        made.load_verify_locations(clients.certificate)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


async def manifest(server: Server | str, certs: Path) -> None:
    async with client(server, settings=RegistrySettings(certs=(str(certs),))) as registry:
        await registry.manifest(REPOSITORY, "1")


async def failure(server: Server | str, certs: Path) -> RegistryFailed:
    with pytest.raises(RegistryFailed) as raised:
        await manifest(server, certs)
    return raised.value


async def test_a_ca_in_the_folder_is_trusted(server: Server, authority: Authority, tmp_path: Path) -> None:
    authority.trust(tmp_path / "certs", server.name)
    await manifest(server, tmp_path / "certs")
    assert len(server.seen) == 1


async def test_an_unknown_ca_is_refused_once_and_the_folder_named(
    server: Server, clients: Authority, tmp_path: Path
) -> None:
    folder = clients.trust(tmp_path / "certs", server.name)  # another CA than the server's
    error = await failure(server, tmp_path / "certs")
    assert "not trusted" in error.message
    assert server.name in error.message
    assert str(folder / "ca.crt") in error.hint
    assert not server.seen


async def test_a_certificate_for_another_name_is_refused(authority: Authority, tmp_path: Path) -> None:
    async with serving(Registry(), "127.0.0.2", context(authority)) as server:
        authority.trust(tmp_path / "certs", server.name)
        assert "not trusted" in (await failure(server, tmp_path / "certs")).message


async def test_a_client_certificate_is_shown_where_it_is_wanted(
    authority: Authority, clients: Authority, tmp_path: Path
) -> None:
    async with serving(Registry(), tls=context(authority, clients)) as server:
        authority.trust(tmp_path / "certs", server.name)
        await failure(server, tmp_path / "certs")
        assert not server.seen
        authority.trust(tmp_path / "certs", server.name, clients.client("somebody"))
        await manifest(server, tmp_path / "certs")


@pytest.mark.parametrize("reason", ["TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA"])
def test_a_server_that_wants_a_client_certificate_is_told_as_such(reason: str) -> None:
    # How Go's servers say so; Python's only breaks the connection.
    alert = ssl.SSLError(1, "alert")
    alert.reason = reason
    error = aiohttp.ClientOSError(1, "broken")
    error.__cause__ = alert
    told = connecting.unreachable("registry.test", URL("https://registry.test/v2/"), "a thing", error, "/certs.d/x")
    assert told.message == "registry.test wants a client's certificate (a thing)"
    assert "/certs.d/x/client.cert" in told.hint
    assert connecting.is_final(error)


async def test_no_tls_where_tls_is_expected(tmp_path: Path) -> None:
    async with serving(Registry()) as server:
        (tmp_path / server.name).mkdir()
        error = await failure(server, tmp_path)
    assert "does not speak TLS" in error.message
    assert "plain_http" in error.hint


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"ca.crt": "nonsense"}, "ca.crt is no certificate"),
        ({"ca.crt": ""}, "ca.crt is no certificate"),
        ({"me.cert": "x"}, "me.cert has no key"),
        ({"me.key": "x"}, "me.key has no client certificate"),
        ({"me.cert": "x", "me.key": "y"}, "me.cert is no certificate"),
    ],
)
async def test_odd_folders_are_told(files: dict[str, str], told: str, tmp_path: Path) -> None:
    folder = tmp_path / "registry.test"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    assert told in (await failure("registry.test", tmp_path)).message


async def test_a_key_with_a_password_is_not_asked_for(authority: Authority, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    pair = authority.client("somebody")
    folder = authority.trust(tmp_path / "certs", "registry.test", pair)
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    (folder / "client.key").write_bytes(locked)
    assert "client.cert is no certificate" in (await failure("registry.test", tmp_path / "certs")).message
