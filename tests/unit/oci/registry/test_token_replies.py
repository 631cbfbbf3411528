"""What token servers answer."""

from __future__ import annotations

import json

import pytest

from jackstay_oci.errors import RegistryFailed
from jackstay_oci.registry.authorizing import Challenge
from jackstay_oci.registry.token_replies import authorization, request
from jackstay_oci.registry.tokens import Credential

DATE = "Tue, 24 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("reply", "header", "seconds"),
    [
        ({"token": "a"}, "Bearer a", 60),
        ({"access_token": "b"}, "Bearer b", 60),
        ({"token": "a", "access_token": "b", "expires_in": 300}, "Bearer a", 300),
        ({"token": "a", "expires_in": 300, "issued_at": "2026-11-24T12:00:00Z"}, "Bearer a", 300),
        ({"token": "a", "expires_in": 300, "issued_at": "2026-11-24T11:58:00.123456Z"}, "Bearer a", 180.123456),
        ({"token": "a", "expires_in": 300, "issued_at": "2026-11-24T12:58:00+01:00"}, "Bearer a", 180),
        ({"token": "a", "expires_in": 300, "issued_at": "2026-11-24T13:00:00Z"}, "Bearer a", 300),
        ({"token": "a", "expires_in": 300, "issued_at": "2020-01-01T00:00:00Z"}, "Bearer a", 0),
        ({"token": "a", "expires_in": 300, "issued_at": "yesterday"}, "Bearer a", 300),
        ({"token": "a", "expires_in": 1e12}, "Bearer a", 86400),
        ({"token": "a", "expires_in": -1}, "Bearer a", 0),
    ],
)
def test_how_long_a_token_is_good(reply: dict[str, object], header: str, seconds: float) -> None:
    given = authorization("registry.test", json.dumps(reply).encode(), DATE)
    assert given.header == header
    assert given.seconds == pytest.approx(seconds)


def test_a_server_without_a_date_does_not_make_tokens_older() -> None:
    reply = b'{"token": "a", "expires_in": 300, "issued_at": "2020-01-01T00:00:00Z"}'
    assert authorization("registry.test", reply, None).seconds == 300


@pytest.mark.parametrize("token", ["", "a b", "a\r\nb", "é", "x" * 60_001])
def test_what_cannot_be_a_header_is_no_token(token: str) -> None:
    with pytest.raises(RegistryFailed, match=r"registry\.test gives no token"):
        authorization("registry.test", json.dumps({"token": token}).encode(), DATE)


def test_requests_show_no_secret_and_lose_nothing_of_the_realm() -> None:
    challenge = Challenge("bearer", "", "a service", ("repository:a:pull", "repository:b:pull"))
    credential = Credential("alice", "secret")
    asked = request("https://auth.test/token?tenant=1", challenge, credential)
    query = "service=a+service&scope=repository%3Aa%3Apull&scope=repository%3Ab%3Apull&account=alice&client_id=jackstay"
    assert asked.url == f"https://auth.test/token?tenant=1&{query}"
    assert "Basic" not in repr(asked)
    asked = request("https://auth.test/token", challenge, Credential("alice", identity_token="secret"))
    assert asked.url == "https://auth.test/token"
    assert asked.body is not None
    assert b"scope=repository%3Aa%3Apull+repository%3Ab%3Apull" in asked.body
    assert "secret" not in repr(asked)
