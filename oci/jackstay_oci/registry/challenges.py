"""``WWW-Authenticate`` as challenges (RFC 9110, section 11.6.1). Pure; what is malformed is no challenge.

A header may hold several challenges, whose parameters are separated by the same commas as the challenges themselves;
values may be quoted, with commas and escapes inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from jackstay_oci.registry.authorizing import Challenge

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# Runs that a regular expression may take in one way only, so that no header takes more than linear time.
_PARAMETER = re.compile(rf'({_WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))', re.ASCII | re.DOTALL)
_SCHEME = re.compile(rf"({_WORD})(?=[ \t]|,|$)", re.ASCII)
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))", re.ASCII)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SPACE = re.compile(r"[ \t,]*")

MAX_HEADER = 16 << 10
"""Characters of one header that are looked at."""


def parse(headers: Iterable[str]) -> list[Challenge]:
    """The challenges that ``WWW-Authenticate`` headers give and that can be answered, bearer ones first."""
    found = [challenge for header in headers for challenge in _header(header[:MAX_HEADER])]
    return sorted(found, key=lambda challenge: challenge.scheme != "bearer")


def _header(text: str) -> list[Challenge]:
    challenges: list[Challenge] = []
    position = _SPACE.match(text).end()  # type: ignore[union-attr]
    while position < len(text):
        scheme = _SCHEME.match(text, position)
        if scheme is None:
            return challenges
        position = _after(text, scheme.end())
        # "Negotiate YII=" has a token where ours have parameters; without a "=" it could be the next scheme as well.
        if (token := _TOKEN68.match(text, position)) and token[0].endswith("="):
            position = _after(text, token.end())
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(text, position):
            value = parameter[3] if parameter[2] is None else _ESCAPE.sub(r"\1", parameter[2])
            parameters.setdefault(parameter[1].lower(), value)
            position = _after(text, parameter.end())
        if (challenge := _challenge(scheme[1].lower(), parameters)) is not None:
            challenges.append(challenge)
    return challenges


def _after(text: str, position: int) -> int:
    return _SPACE.match(text, position).end()  # type: ignore[union-attr]


def _challenge(scheme: str, parameters: dict[str, str]) -> Challenge | None:
    if scheme == "basic":
        return Challenge("basic", realm=parameters.get("realm", ""))
    if scheme == "bearer" and parameters.get("realm"):
        return Challenge(
            "bearer",
            realm=parameters["realm"],
            service=parameters.get("service", ""),
            scopes=tuple(parameters.get("scope", "").split()),
        )
    return None
