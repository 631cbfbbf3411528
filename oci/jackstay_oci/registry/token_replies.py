"""What token servers are asked and what they answer, as values. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

import msgspec

from jackstay_oci.errors import RegistryFailed
from jackstay_oci.registry import tokens
from jackstay_oci.registry.authorizing import Authorization, Challenge
from jackstay_oci.registry.retrying import http_date

CLIENT = "jackstay"
DEFAULT_SECONDS = 60.0
"""How long a token is good whose server does not say it, as the specification has it."""
LONGEST_SECONDS = 86400.0

_BEARER = re.compile(r"[!-~]{1,60000}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One request to a token server."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


class _Reply(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None
    expires_in: float | None = None
    issued_at: str | None = None


def request(realm: str, challenge: Challenge, credential: tokens.Credential | None) -> TokenRequest:
    """How to ask for a token: for an identity token by POST (OAuth2), else by GET."""
    fields = [("service", challenge.service)] if challenge.service else []
    if credential is not None and credential.identity_token:
        fields += [("grant_type", "refresh_token"), ("client_id", CLIENT), ("scope", " ".join(challenge.scopes))]
        fields += [("refresh_token", credential.identity_token)]
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return TokenRequest("POST", realm, headers, urlencode(fields).encode())
    fields += [("scope", scope) for scope in challenge.scopes]
    headers = {}
    if credential is not None and (credential.username or credential.password):
        fields += [("account", credential.username), ("client_id", CLIENT)]
        headers["Authorization"] = tokens.basic(credential)
    query = urlencode(fields)
    return TokenRequest("GET", realm + ("&" if "?" in realm else "?") * bool(query) + query, headers, None)


def authorization(registry: str, body: bytes, date: str | None) -> Authorization:
    """The token in an answer.

    Args:
        date: the answer's ``Date``: how old a token is when it comes is told by the server's clock alone.

    Raises:
        RegistryFailed: there is none in it.
    """
    try:
        reply = msgspec.json.decode(body, type=_Reply)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise _none(registry) from None
    token = reply.token or reply.access_token or ""
    if _BEARER.fullmatch(token) is None:
        raise _none(registry)
    seconds = DEFAULT_SECONDS if reply.expires_in is None else reply.expires_in
    issued, now = _moment(reply.issued_at), http_date(date)
    if issued is not None and now is not None:
        seconds -= max(0.0, (now - issued).total_seconds())
    return Authorization(f"Bearer {token}", min(max(0.0, seconds), LONGEST_SECONDS))


def _none(registry: str) -> RegistryFailed:
    return RegistryFailed(f"the token server of {registry} gives no token", hint="try again; ask who runs the registry")


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat((text or "")[:64])
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
