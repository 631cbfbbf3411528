"""Answers of registries as errors, and the scopes that requests need."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jackstay_oci.errors import NotFound, RateLimited, RegistryFailed, Unauthorized
from jackstay_oci.registry import scopes
from jackstay_oci.registry.failures import MAX_WORDS, codes_and_words, failure, told

DENIED = b'{"errors": [{"code": "denied", "message": "because"}, {"code": "OTHER", "message": "and more"}]}'


def test_what_a_registry_says_drives_no_terminal() -> None:
    assert told("a\x1b[31m\r\nb\u202ec\x00\u0085d  e") == "a [31m b c d e"
    assert len(told("x" * 10_000)) == MAX_WORDS + 1


@pytest.mark.parametrize(
    ("body", "codes", "words"),
    [
        (DENIED, {"DENIED", "OTHER"}, "because; and more"),
        (b'{"errors": [{"code": 1, "message": ["x"], "detail": {}}]}', set(), ""),
        (b'{"errors": null}', set(), ""),
        (b"<html>", set(), ""),
        (b"\xff\xfe", set(), ""),
        (b"[" * 100_000, set(), ""),
        (b"", set(), ""),
    ],
)
def test_error_documents(body: bytes, codes: set[str], words: str) -> None:
    assert codes_and_words(body) == (codes, words)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, RegistryFailed),
        (400, RegistryFailed),
        (401, Unauthorized),
        (403, Unauthorized),
        (404, NotFound),
        (429, RateLimited),
        (500, RegistryFailed),
    ],
)
def test_kinds(status: int, kind: type[Exception]) -> None:
    error = failure("docker.io", "manifest a/b:1", status, DENIED)
    assert type(error) is kind
    assert error.message.startswith("docker.io ") or "docker.io" in error.message
    assert "manifest a/b:1" in error.message
    assert error.message.endswith("because; and more")
    assert error.hint


def test_a_rate_limit_that_comes_as_a_refusal() -> None:
    body = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "slowly"}]}'
    assert isinstance(failure("ghcr.test", "manifest a/b:1", 403, body), RateLimited)


def test_login_is_named_as_it_is_typed() -> None:
    assert "`jackstay login`" in failure("docker.io", "x", 401, b"").hint
    assert "`jackstay login registry.test:5000`" in failure("registry.test:5000", "x", 401, b"").hint


def test_a_registry_that_wants_tls_is_told_as_such() -> None:
    error = failure("127.0.0.1:5000", "x", 400, b"Client sent an HTTP request to an HTTPS server.\n")
    assert "wants TLS" in error.message


def test_equal_rights_are_equal_scopes() -> None:
    assert scopes.merged(["repository:a:push,pull", "repository:b:pull"]) == scopes.merged(
        [scopes.pull("b"), scopes.push("a"), scopes.pull("a")]
    )
    assert scopes.merged([scopes.CATALOG, "nonsense", ""]) == (scopes.CATALOG,)
    assert scopes.merged(["repository:registry.test:5000/a:pull"]) == ("repository:registry.test:5000/a:pull",)


@pytest.mark.parametrize("module", ["tokens", "token_replies", "places", "manifests", "sending", "listing", "pushing"])
def test_what_is_pure_does_not_bring_the_http_library_along(module: str) -> None:
    program = f"import sys, jackstay_oci.registry.{module}; sys.exit('aiohttp' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
