"""Asks token servers: only such as a registry may name (`realms`), without following a redirect, within bounds."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit

from yarl import URL

from jackstay_oci.errors import Error, RateLimited, RegistryFailed, Unauthorized
from jackstay_oci.registry import bodies, certificates, connecting, proxies, realms, token_replies
from jackstay_oci.registry.authorizing import Authorization, AuthorizationWanted
from jackstay_oci.registry.failures import codes_and_words
from jackstay_oci.registry.retrying import RETRIED, Patience, pause, retry_after
from jackstay_oci.registry.settings import RegistrySettings
from jackstay_oci.registry.tokens import Credential

_LIMIT = 1 << 20


async def ask(
    wanted: AuthorizationWanted,
    name: str,
    credential: Credential | None,
    settings: RegistrySettings,
    *,
    patience: Patience,
    environ: Mapping[str, str],
) -> Authorization | None:
    """The token that answers a bearer challenge; ``None``: nobody is known here, and nobody gets none.

    Args:
        name: as whose *credential* it is known: the registry, or the mirror.

    Raises:
        Unauthorized, RateLimited, RegistryFailed: see `Authorizer.authorize`.
    """
    realm = realms.realm(wanted.registry, wanted.url, wanted.challenge.realm)
    request = token_replies.request(realm.url, wanted.challenge, credential)
    proxy = proxies.proxy(realm.url, environ)
    tls = await asyncio.to_thread(_tls, settings, realm.authority, name)
    own = await _addresses(wanted.url) if not realm.own else frozenset()
    # A proxy looks the name up itself, and connects to what it may.
    permits = None if proxy else lambda address: address in own or realm.permits(address)
    what = f"a token from {realm.authority}"
    async with connecting.session(patience, tls, permits) as session:
        tried = 0
        while True:
            tried += 1
            after: float | None = None
            failed: Error
            try:
                async with asyncio.timeout(patience.document):
                    async with session.request(
                        request.method,
                        URL(request.url, encoded=True),
                        headers=request.headers,
                        data=request.body,
                        allow_redirects=False,
                        proxy=proxy,
                    ) as response:
                        body = await bodies.whole(response, _LIMIT) or b""
                if response.status == 200:
                    return token_replies.authorization(name, body, response.headers.get("Date"))
                if response.status in (401, 403) and (credential is None or not _says(credential)):
                    return None
                failed = _refusal(name, realm, credential, response.status, body)
                again = response.status in RETRIED
                after = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
            except connecting.BROKEN as error:
                if connecting.is_forbidden(error):
                    raise realms.refused(name, f"{realm.host} has no public address") from None
                folder = f"{next(iter(settings.certs), 'certs.d')}/{realm.authority}"
                failed = connecting.unreachable(name, URL(realm.url, encoded=True), what, error, folder)
                again = not connecting.is_final(error)
            seconds = pause(patience, tried, after, random.random()) if again else None  # noqa: S311
            if seconds is None:
                raise failed
            await asyncio.sleep(seconds)


def _tls(settings: RegistrySettings, *authorities: str) -> ssl.SSLContext:
    found = (certificates.folder(settings.certs, authority) for authority in authorities)
    return certificates.context(next(filter(None, found), None))


async def _addresses(base: str) -> frozenset[str]:
    """Those of the registry itself, beside which its token server may live under another name."""
    host = urlsplit(base).hostname or ""
    with suppress(OSError, UnicodeError):
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return frozenset(str(each[4][0]) for each in found)
    return frozenset()


def _says(credential: Credential) -> bool:
    return bool(credential.username or credential.password or credential.identity_token)


def _refusal(name: str, realm: realms.Realm, credential: Credential | None, status: int, body: bytes) -> Error:
    words = codes_and_words(body)[1]
    said = f": {words}" if words else ""
    if status == 429:
        return RateLimited(f"the token server of {name} was asked too often{said}", hint="wait, or log in")
    if status in (400, 401, 403) and credential is not None:
        who = f"the credentials of {credential.username!r}" if credential.username else "the identity token"
        return Unauthorized(
            f"the token server of {name} refuses {who}{said}", hint=f"log in again with `jackstay login {name}`"
        )
    return RegistryFailed(
        f"the token server of {name} ({realm.authority}) answers status {status}{said}", hint="try again later"
    )
