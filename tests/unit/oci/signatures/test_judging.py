"""What makes an image trusted, and what does not.

Each refusal is seen to be no more when the test switches it off.
"""

from __future__ import annotations

import json

import pytest

from jackstay_oci.digest import Digest
from jackstay_oci.errors import Untrusted
from jackstay_oci.signatures import judging, keys, simple_signing
from jackstay_oci.signatures.judging import Signature, judge
from jackstay_oci.signatures.simple_signing import Claim, parse_payload
from tests.unit.oci.signatures.signed import IMAGE, REPOSITORY, Signer, payload

OURS = Signer()
TRUE = OURS.sign(payload())


def trusted(*signatures: Signature, keys: list[keys.PublicKey] | None = None) -> None:
    judge(signatures, [OURS.key] if keys is None else keys, REPOSITORY, IMAGE)


def test_one_signature_by_one_of_the_keys_is_enough() -> None:
    trusted(TRUE)
    trusted(Signer().sign(payload()), OURS.sign(payload(Digest.of(b"another"))), TRUE)
    trusted(TRUE, keys=[Signer("old.pub").key, OURS.key])
    trusted(OURS.sign(payload(reference=f"{REPOSITORY}:1.0")))
    trusted(OURS.sign(json.dumps({"critical": json.loads(payload())["critical"]}).encode()))
    judge([OURS.sign(payload(reference="app:1"))], [OURS.key], "docker.io/library/app", IMAGE)


def test_no_signature() -> None:
    with pytest.raises(Untrusted, match=rf"^{REPOSITORY}@{IMAGE} is not signed$"):
        trusted()


def test_no_key_confirms_nothing() -> None:
    with pytest.raises(Untrusted):
        trusted(TRUE, keys=[])


def test_a_signature_by_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = Signer("theirs.pub").sign(payload())
    with pytest.raises(Untrusted, match=r"has 1 signature, but none by release\.pub$"):
        trusted(theirs)
    with pytest.raises(Untrusted, match=r"has 2 signatures, but none by release\.pub or new\.pub$"):
        trusted(theirs, theirs, keys=[OURS.key, Signer("new.pub").key])
    monkeypatch.setattr(keys.PublicKey, "confirms", lambda *_: True)
    trusted(theirs)


def test_a_payload_that_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = Signature(payload(), OURS.sign(payload(Digest.of(b"another"))).signature)
    with pytest.raises(Untrusted, match="none by"):
        trusted(changed)
    monkeypatch.setattr(keys.PublicKey, "confirms", lambda *_: True)
    trusted(changed)


def test_a_signature_of_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Digest.of(b"another")
    with pytest.raises(Untrusted, match=rf"the signature by release\.pub is for another image, {other}"):
        trusted(OURS.sign(payload(other)))
    monkeypatch.setattr(judging, "parse_payload", lambda data: Claim(IMAGE, parse_payload(data).reference))
    trusted(OURS.sign(payload(other)))


@pytest.mark.parametrize(
    "elsewhere", ["registry.example/team/other:1", "app", "other.example/team/app", f"{REPOSITORY}/x"]
)
def test_a_signature_for_another_repository(monkeypatch: pytest.MonkeyPatch, elsewhere: str) -> None:
    """Who may write to a test repository's registry must not make its images those of the release's repository."""
    signature = OURS.sign(payload(reference=elsewhere))
    with pytest.raises(Untrusted, match=r"the signature by release\.pub is for another repository"):
        trusted(signature)
    claim = parse_payload(payload())
    monkeypatch.setattr(judging, "parse_payload", lambda data: Claim(parse_payload(data).digest, claim.reference))
    trusted(signature)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "malformed"),
        (b"[]", "malformed"),
        (b"\xff", "malformed"),
        (b"[" * 60_000, "malformed"),
        (b'{"critical": {}}', "malformed"),
        (payload(digest="sha256:abc"), "malformed"),
        (payload(digest="sha512:" + "0" * 128), "malformed"),
        (payload(reference=""), "malformed"),
        (payload(reference="registry.example/UPPER/case"), "malformed"),
        (payload(image={"docker-manifest-digest": [str(IMAGE)]}), "malformed"),
        (payload(type="atomic container signature"), "is of type"),
        (payload(image={"docker-manifest-digest": str(IMAGE), "only-until": "1999"}), "malformed"),
        (payload(expires="1999"), "malformed"),
        (json.dumps(json.loads(payload()) | {"more": 1}).encode(), "malformed"),
        (payload() + b" " * simple_signing.MAX_PAYLOAD, "the bound is"),
    ],
)
def test_a_payload_that_cannot_be_understood(data: bytes, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = OURS.sign(data)
    with pytest.raises(Untrusted, match=f"cannot be understood: the payload.* {why}"):
        trusted(signature)
    trusted(signature, TRUE)
    monkeypatch.setattr(judging, "parse_payload", lambda _: parse_payload(payload()))
    trusted(signature)


def test_nothing_is_read_that_no_key_has_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    monkeypatch.setattr(judging, "parse_payload", lambda data: (read.append(data), parse_payload(data))[1])
    strange = Signature(b"[" * 100_000, b"no signature")
    trusted(strange, TRUE)
    assert read == [TRUE.payload]
