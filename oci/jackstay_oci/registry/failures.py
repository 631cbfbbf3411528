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


def failure(registry: str, what: str, status: int, body: bytes, *, anonymous: bool = False) -> Error:
    """The error that an answer is.

    Args:
        what: the thing that was asked for: ``"manifest library/app:1"``.
        anonymous: nothing was said of who asks.
    """
    words = codes_and_words(body)[1]
    said = f": {words}" if words else ""
    if is_rate_limit(status, body):
        log_in = f"or log in with `jackstay login {registry}`: accounts may ask more often" if anonymous else ""
        return RateLimited(
            f"{registry} was asked too often ({what}){said}",
            hint=f"wait{', ' if log_in else ', or '}{log_in or 'use a mirror'}",
        )
    if status in (401, 403):
        hint = (
            f"log in with `jackstay login {_named(registry)}`"
            if anonymous
            else f"the account has no right to it; log in with another one: `jackstay login {_named(registry)}`"
        )
        return Unauthorized(f"{registry} refuses {what}{said or f' (status {status})'}", hint=hint)
    if status == 404:
        return NotFound(f"{registry} has no {what}{said}", hint="check the name and the tag")
    if status >= 500:
        return RegistryFailed(
            f"{registry} is out of order: status {status} for {what}{said}", hint="try again later, or use a mirror"
        )
    return RegistryFailed(f"{registry} answers status {status} for {what}{said}", hint="is it a registry?")


def _named(registry: str) -> str:
    return "" if registry == DEFAULT_REGISTRY else registry
