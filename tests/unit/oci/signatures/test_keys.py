"""Keys of every kind that is taken, and what is no such key."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519

from jackstay_oci.errors import InvalidArgument
from jackstay_oci.signatures import keys
from jackstay_oci.signatures.keys import parse_key
from tests.unit.oci.signatures.signed import public_pem

DATA = b"what is signed"
SHA256, SHA384, SHA512 = hashes.SHA256(), hashes.SHA384(), hashes.SHA512()

KINDS = {
    "P-256": (lambda: ec.generate_private_key(ec.SECP256R1()), (ec.ECDSA(SHA256),)),
    "P-384": (lambda: ec.generate_private_key(ec.SECP384R1()), (ec.ECDSA(SHA256),)),
    "P-384 with SHA-384": (lambda: ec.generate_private_key(ec.SECP384R1()), (ec.ECDSA(SHA384),)),
    "P-521": (lambda: ec.generate_private_key(ec.SECP521R1()), (ec.ECDSA(SHA256),)),
    "P-521 with SHA-512": (lambda: ec.generate_private_key(ec.SECP521R1()), (ec.ECDSA(SHA512),)),
    "RSA": (lambda: rsa.generate_private_key(65537, 2048), (padding.PKCS1v15(), SHA256)),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate, ()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_confirms_what_its_owner_has_signed(kind: str) -> None:
    generate, how = KINDS[kind]
    private: Any = generate()
    key, other = (parse_key(public_pem(each.public_key()), "k") for each in (private, generate()))  # type: ignore[attr-defined]
    signature = private.sign(DATA, *how)
    assert key.confirms(signature, DATA)
    assert not key.confirms(signature, DATA + b"!")
    assert not key.confirms(signature[:-1] + bytes([signature[-1] ^ 1]), DATA)
    assert not key.confirms(b"", DATA)
    assert not other.confirms(signature, DATA)


def test_a_hash_that_does_not_go_with_the_key_is_not_taken() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    key = parse_key(public_pem(private.public_key()), "k")
    assert not key.confirms(private.sign(DATA, ec.ECDSA(hashes.SHA1())), DATA)


def test_a_weak_key(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = public_pem(rsa.generate_private_key(65537, 1024).public_key())
    with pytest.raises(InvalidArgument, match="RSA key of 1024 bits"):
        parse_key(weak, "weak.pub")
    monkeypatch.setattr(keys, "MIN_RSA", 1024)
    assert parse_key(weak, "weak.pub").name == "weak.pub"


def test_a_private_key_is_named_and_not_shown() -> None:
    private = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(InvalidArgument, match=r"^release\.key is a private key$") as raised:
        parse_key(private, "release.key")
    assert private.decode()[40:60] not in str(raised.value) + raised.value.hint
    # what skopeo and cosign write
    with pytest.raises(InvalidArgument, match="is a private key"):
        parse_key(
            b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n", "k"
        )


def test_what_is_no_key() -> None:
    good = public_pem(ec.generate_private_key(ec.SECP256R1()).public_key())
    unknown = public_pem(ec.generate_private_key(ec.SECP256K1()).public_key())
    exchange = public_pem(x25519.X25519PrivateKey.generate().public_key())
    for pem, why in (
        (b"", "not a public key in PEM"),
        (b"ssh-ed25519 AAAA", "not a public key in PEM"),
        (good.replace(b"MF", b"M!"), "not a public key in PEM"),
        (good[: len(good) // 2], "not a public key in PEM"),
        (good + good, "several keys"),
        (unknown, "of a kind that images are not signed with"),
        (exchange, "of a kind that images are not signed with"),
        (bytes(keys.MAX_PEM + 1), "too many for a public key"),
    ):
        with pytest.raises(InvalidArgument, match=why):
            parse_key(pem, "release.pub")
