"""Who gets which token: what the program of ``token_server`` decides. Values in, an answer out."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.registries.authority import Pair
from tests.registries.jwt import sign


@dataclass(slots=True)
class Rules:
    """Users with their passwords, what each may do (``""``: everybody), and how long tokens are good."""

    service: str
    users: dict[str, str]
    rights: dict[str, list[str]] = field(default_factory=dict)
    seconds: int = 300
    tells_seconds: bool = True  # else the client takes 60 seconds, which the specification says
    stale_until: int = 0  # tokens that are expired when they are given: those up to this number
    fails_until: int = 0  # requests that get a 503: those up to this number


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a token and how it was answered; no secret is in it."""

    method: str
    how: str  # "basic", "password", "refresh_token"; "": anonymous
    account: str  # who that was; "": nobody, or refused
    service: str
    scopes: tuple[str, ...]
    status: int


def answer(
    rules: Rules, pair: Pair, method: str, authorization: str, form: Mapping[str, list[str]], number: int
) -> tuple[Asked, dict[str, Any]]:
    """Answer request ``number``: what is to be noted, and the document to send."""
    service = form.get("service", [""])[0]
    scopes = tuple(scope for entry in form.get("scope", []) for scope in entry.split())
    how, account, known = _who(rules, authorization, form)
    if number <= rules.fails_until:
        return Asked(method, how, "", service, scopes, 503), {"errors": [{"code": "UNAVAILABLE", "message": "later"}]}
    if not known or service != rules.service:
        return Asked(method, how, "", service, scopes, 401), {"errors": [{"code": "UNAUTHORIZED", "message": "no"}]}
    age = 3600 if number <= rules.stale_until else 0
    token = issue(rules, pair, account, granted(rules, account, scopes), age)
    document: dict[str, Any] = {"token": token, "access_token": token}
    if rules.tells_seconds:
        document["expires_in"] = rules.seconds
    if account and (form.get("offline_token") or form.get("access_type") == ["offline"]):
        document["refresh_token"] = refresh_token(account, rules.users[account])
    return Asked(method, how, account, service, scopes, 200), document


def issue(rules: Rules, pair: Pair, account: str, access: list[dict[str, Any]], age: int = 0) -> str:
    """A token that was given ``age`` seconds ago."""
    now = int(time.time()) - age
    claims = {"iss": "the tests", "sub": account, "aud": rules.service, "jti": secrets.token_hex(8), "access": access}
    return sign(pair, claims | {"iat": now, "nbf": now - 10, "exp": now + rules.seconds})


def granted(rules: Rules, account: str, scopes: tuple[str, ...]) -> list[dict[str, Any]]:
    """What of the scopes an account may do."""
    allowed = set(rules.rights.get(account, ["pull", "push", "delete", "*"] if account else []))
    access = []
    for scope in scopes:
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        if may := [action for action in actions.split(",") if action in allowed]:
            access.append({"type": kind, "name": name, "actions": may})
    return access


def refresh_token(account: str, password: str) -> str:
    """An account's identity token: one that changes with its password."""
    return base64.urlsafe_b64encode(f"identity {account} {len(password)}".encode()).decode()


def _who(rules: Rules, authorization: str, form: Mapping[str, list[str]]) -> tuple[str, str, bool]:
    """How somebody says who they are, who that is, and whether it is so."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "basic":
        try:
            account, _, password = base64.b64decode(value).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "basic", "", False
        return "basic", account, rules.users.get(account) == password
    grant = form.get("grant_type", [""])[0]
    if grant == "password":
        account = form.get("username", [""])[0]
        return grant, account, rules.users.get(account) == form.get("password", [""])[0]
    if grant == "refresh_token":
        offered = form.get("refresh_token", [""])[0]
        for account, password in rules.users.items():
            if refresh_token(account, password) == offered:
                return grant, account, True
        return grant, "", False
    return "", "", True


def pair_in(folder: Path) -> Pair:
    """Where the key that tokens are signed with lies."""
    return Pair(folder / "signing.crt", folder / "signing.key")
