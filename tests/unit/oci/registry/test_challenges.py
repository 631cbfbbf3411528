"""``WWW-Authenticate`` in all its forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_oci.registry.authorizing import Challenge
from jackstay_oci.registry.challenges import parse

BEARER = Challenge("bearer", "https://auth.test/token", "registry", ("repository:a/b:pull,push",))
BASIC = Challenge("basic", "here")
TEXT = 'Bearer realm="https://auth.test/token",service="registry",scope="repository:a/b:pull,push"'


@pytest.mark.parametrize(
    ("headers", "challenges"),
    [
        ([TEXT], [BEARER]),
        ([TEXT.replace(",s", " , s").replace("=", " = ")], [BEARER]),
        ([TEXT.replace("Bearer realm", "bEARER REALM")], [BEARER]),
        (['Basic realm="here"'], [BASIC]),
        (["Basic realm=here"], [BASIC]),
        (["Basic"], [Challenge("basic")]),
        ([f'Basic realm="here", {TEXT}'], [BEARER, BASIC]),
        ([f'{TEXT}, Basic realm="here"'], [BEARER, BASIC]),
        (['Basic realm="here"', TEXT], [BEARER, BASIC]),
        ([f'Negotiate, Digest realm="x", nonce="y, Basic realm=z", {TEXT}'], [BEARER]),
        ([f"Negotiate YIIabc==, {TEXT}"], [BEARER]),
        ([f",, ,{TEXT},,"], [BEARER]),
        ([r'Basic realm="a \"quoted\", word\\"'], [Challenge("basic", 'a "quoted", word\\')]),
        (['Bearer realm="https://a.test",scope="b c"'], [Challenge("bearer", "https://a.test", "", ("b", "c"))]),
        (['Bearer realm="https://a.test",realm="https://b.test"'], [Challenge("bearer", "https://a.test")]),
        (['Bearer service="no realm"'], []),
        (['Bearer realm="not ended'], []),
        (["Unknown x=y"], []),
        ([""], []),
        ([], []),
    ],
)
def test_challenges(headers: list[str], challenges: list[Challenge]) -> None:
    assert parse(headers) == challenges


@given(st.lists(st.text(alphabet='Bearscbi ="\\,;\t/:é\n', max_size=60), max_size=3))
def test_nothing_breaks_it(headers: list[str]) -> None:
    for challenge in parse(headers):
        assert challenge.scheme in ("basic", "bearer")


@pytest.mark.parametrize("text", ['Bearer a="', "Bearer " + "a=" * 9, 'Basic realm="\\', "a " * 9, ", " * 9, "=" * 18])
def test_long_headers_take_no_longer_than_their_length(text: str) -> None:
    # Quadratic or worse, a header of a hundred thousand characters would outlast the test's time.
    assert parse([(text + "a" * 100_000), text * 10_000]) is not None
