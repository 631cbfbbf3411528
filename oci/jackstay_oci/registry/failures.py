"""Answers of registries as errors: which one, with the words of the registry, bounded and without control characters.

Pure. Every message names the registry and the thing, every hint says what to do.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import msgspec

from jackstay_oci.errors import Error, NotFound, RateLimited, RegistryFailed, Unauthorized
from jackstay_oci.reference import DEFAULT_REGISTRY

MAX_WORDS = 300
"""Characters of a registry's text in a message."""

_TOO_MANY = "TOOMANYREQUESTS"
_WANTS_TLS = b"HTTP request to an HTTPS server"  # as Go's server says it


class _Entry(msgspec.Struct):
    code: Any = ""
    message: Any = ""


class _Errors(msgspec.Struct):
    errors: list[_Entry] = []


def told(text: str) -> str:
    """*text* of a registry, fit for a message: one line, bounded, nothing in it that drives a terminal."""
    plain = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text[: 4 * MAX_WORDS])
    plain = " ".join(plain.split())
    return plain if len(plain) <= MAX_WORDS else plain[:MAX_WORDS] + "…"


def codes_and_words(body: bytes) -> tuple[frozenset[str], str]:
    """The codes of a registry's error document, in capitals, and what it says; both empty when it is none."""
    try:
        entries = msgspec.json.decode(body, type=_Errors).errors
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return frozenset(), ""
    codes = frozenset(entry.code.upper() for entry in entries[:10] if isinstance(entry.code, str))
    words = [entry.message for entry in entries[:10] if isinstance(entry.message, str) and entry.message]
    return codes, told("; ".join(words))


def is_rate_limit(status: int, body: bytes) -> bool:
    """Whether an answer says that the caller asked too often; some say so with status 403."""
    return status == 429 or (status >= 400 and _TOO_MANY in codes_and_words(body)[0])


def failure(registry: str, what: str, status: int, body: bytes) -> Error:
    """The error that an answer is; *what* names the thing that was asked for: ``"manifest library/app:1"``."""
    words = codes_and_words(body)[1]
    said = f": {words}" if words else ""
    login = "jackstay login" if registry == DEFAULT_REGISTRY else f"jackstay login {registry}"
    if is_rate_limit(status, body):
        return RateLimited(
            f"{registry} was asked too often ({what}){said}",
            hint=f"wait, use a mirror, or log in with `{login}`: accounts may ask more often",
        )
    if status in (401, 403):
        return Unauthorized(
            f"{registry} refuses {what}{said or f' (status {status})'}",
            hint=f"log in with an account that has the right to it: `{login}`",
        )
    if status == 404:
        return NotFound(f"{registry} has no {what}{said}", hint="check the name and the tag")
    if status >= 500:
        return RegistryFailed(
            f"{registry} is out of order: status {status} for {what}{said}", hint="try again later, or use a mirror"
        )
    if status == 400 and _WANTS_TLS in body:
        return RegistryFailed(
            f"{registry} wants TLS, and was asked without it ({what})",
            hint=f"take it out of plain_http; on the loopback, make a folder {registry!r} with its CA in certs.d",
        )
    return RegistryFailed(f"{registry} answers status {status} for {what}{said}", hint="is it a registry?")


def elsewhere(registry: str, what: str, host: str, status: int) -> Error:
    """The error of an answer that comes from another server, to which the registry redirected."""
    return RegistryFailed(
        f"{registry} redirects {what} to {host}, which answers status {status}",
        hint="try again later; if it stays so, ask who runs the registry",
    )
