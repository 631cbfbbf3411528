from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_oci.digest import Digest, hasher, verify
from jackstay_oci.errors import DigestMismatch, InvalidDigest
from jackstay_oci.identity import chain_ids

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_digest_of_nothing() -> None:
    digest = Digest.of(b"")
    assert digest == EMPTY
    assert (digest.algorithm, digest.hex) == ("sha256", EMPTY[7:])
    assert Digest.parse(EMPTY) == digest


@pytest.mark.parametrize(
    "text",
    [
        "", "sha256", "sha256:", "sha256:abc", EMPTY.upper(), EMPTY + "0", EMPTY + "\n", " " + EMPTY, EMPTY[:-1] + "g",
        "sha512:" + "a" * 128, "sha256:" + "../" * 21 + "a", "sha256:" + "٠" * 64, "md5:" + "a" * 32,
    ],
)  # fmt: skip
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidDigest):
        Digest.parse(text)


@given(st.text())
def test_any_text_is_a_canonical_digest_or_refused(text: str) -> None:
    try:
        digest = Digest.parse(text)
    except InvalidDigest:
        return
    assert digest == text == f"sha256:{digest.hex}"


@given(st.lists(st.binary()))
def test_a_hasher_gives_the_digest_of_all_it_took(parts: list[bytes]) -> None:
    state = hasher()
    for part in parts:
        state.update(part)
    assert Digest.finish(state) == Digest.of(b"".join(parts))


def test_verify_names_what_is_wrong() -> None:
    verify(b"abc", Digest.of(b"abc"))
    with pytest.raises(DigestMismatch, match="blob x has digest"):
        verify(b"abd", Digest.of(b"abc"), what="blob x")


def test_chain_ids_follow_the_specification() -> None:
    first, second, third = (Digest.of(name) for name in (b"1", b"2", b"3"))
    one_two = "sha256:" + hashlib.sha256(f"{first} {second}".encode()).hexdigest()
    all_three = "sha256:" + hashlib.sha256(f"{one_two} {third}".encode()).hexdigest()
    assert chain_ids([first, second, third]) == [first, one_two, all_three]
    assert chain_ids([]) == []
