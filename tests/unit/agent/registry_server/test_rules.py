"""What is decided without I/O: paths, ranges, pages, what is accepted, and how errors are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent import errors
from jackstay_agent.metadata import artifacts
from jackstay_agent.registry_server import endpoints, pages, ranges
from jackstay_agent.registry_server.accepting import accepts
from jackstay_agent.registry_server.refusals import Refusal, refusal_of
from jackstay_oci.reference import Reference

WORDS = st.sampled_from(
    ("v2", "a", "app", "blobs", "uploads", "manifests", "tags", "list", "referrers", "_catalog", "..", "", "sha256:0"),
)
T = TypeVar("T")


def told(decide: Callable[[], T]) -> tuple[T | None, Refusal | None]:
    """What was decided, or how it was refused."""
    try:
        return decide(), None
    except Refusal as refusal:
        return None, refusal


@given(st.one_of(st.text(), st.lists(WORDS, max_size=8).map(lambda words: "/v2/" + "/".join(words))))
def test_every_path_is_an_endpoint_or_refused(path: str) -> None:
    endpoint, refusal = told(lambda: endpoints.parse(path))
    if endpoint is None:
        assert refusal is not None
        assert refusal.status in (400, 404)
        assert json.loads(refusal.document)["errors"]
    elif endpoint.repository:
        assert Reference.parse(endpoint.path).name == endpoint.repository
        assert endpoint.repository.endswith(endpoint.path.rpartition("/")[2])


@given(st.text(max_size=40), st.integers(min_value=0, max_value=1 << 50))
def test_a_range_lies_within_the_blob(text: str, size: int) -> None:
    for header in (text, f"bytes={text}"):
        asked, refusal = told(lambda header=header: ranges.asked(header, size))  # type: ignore[misc]
        if refusal is not None:
            assert refusal.headers["Content-Range"] == f"bytes */{size}"
        elif asked is not None:
            assert 0 <= asked[0] < asked[1] <= size


@given(st.text(max_size=40))
def test_a_chunk_has_bytes_or_is_refused(text: str) -> None:
    brought, refusal = told(lambda: ranges.brought(text))
    if refusal is not None:
        assert refusal.code == "BLOB_UPLOAD_INVALID"
    else:
        assert brought is not None
        assert brought[0] < brought[1]


@pytest.mark.parametrize("header", ["0-9", "bytes 0-9/10", "bytes=0-9", "0-9/*"])
def test_how_clients_write_a_chunks_place(header: str) -> None:
    assert ranges.brought(header) == (0, 10)


@given(st.sets(st.text("abAB-.0", min_size=1, max_size=4)), st.integers(min_value=1, max_value=5))
def test_the_pages_are_the_list(names: set[str], count: int) -> None:
    found: list[str] = []
    query = {"n": str(count)}
    while True:
        shown, headers = pages.page(sorted(names), query, "/v2/_catalog")
        found += shown
        if not headers:
            break
        query["last"] = shown[-1]
    assert found == sorted(names)


def test_what_is_accepted() -> None:
    assert accepts([], "a/b")
    assert accepts([" , "], "a/b")
    assert accepts(["x/y", "A/B;q=0.9, c/d"], "a/b")
    assert accepts(["a/*"], "a/b")
    assert not accepts(["x/y, a/c"], "a/b")


def test_what_a_tag_is_about() -> None:
    digits = "0" * 64
    assert artifacts.about(f"sha256-{digits}") == artifacts.about(f"sha256-{digits}.sig") == f"sha256:{digits}"
    for tag in ("1", f"sha256-{digits[1:]}", f"sha256-{digits}x", f"sha256:{digits}", f"sha256-{digits}."):
        assert artifacts.about(tag) is None


def test_errors_are_told_with_their_hint_and_bounded() -> None:
    refusal = refusal_of(errors.DiskFull("no room", hint="make some"))
    assert (refusal.status, json.loads(refusal.document)["errors"][0]["message"]) == (507, "no room; make some")
    assert refusal_of(errors.Error("odd")).status == 500
    assert len(refusal_of(errors.InUse("x\udc80" * 10_000)).document) < 2000
