"""Public keys and what they confirm: ECDSA on P-256, P-384 and P-521, RSA (PKCS #1 v1.5) and Ed25519.

The hash is SHA-256, as cosign and skopeo sign with keys of every kind; for the larger curves also that of their size,
which newer versions of theirs take. Guarantees that no key is weaker than RSA with 2048 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from jackstay_oci.errors import InvalidArgument

MAX_PEM = 64 << 10
"""Largest file of a public key, bytes."""

MIN_RSA, MAX_RSA = 2048, 8192
"""Bits: less is broken by those who can pay for it, more costs whoever checks a second."""

_HASHES: dict[str, tuple[HashAlgorithm, ...]] = {
    "secp256r1": (SHA256(),),
    "secp384r1": (SHA256(), SHA384()),
    "secp521r1": (SHA256(), SHA512()),
}
_HINT = "give a public key in PEM, as `skopeo generate-sigstore-key` and `cosign generate-key-pair` write it (….pub)"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are asked of; ``name`` says in errors where it is from."""

    name: str
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

    def confirms(self, signature: bytes, data: bytes) -> bool:
        """Whether who has the private key has signed *data* with this signature."""
        if isinstance(self.key, ec.EllipticCurvePublicKey):
            return any(self._confirms(signature, data, hash) for hash in _HASHES[self.key.curve.name])
        return self._confirms(signature, data, SHA256())

    def _confirms(self, signature: bytes, data: bytes, hash: HashAlgorithm) -> bool:
        try:
            if isinstance(self.key, ec.EllipticCurvePublicKey):
                self.key.verify(signature, data, ec.ECDSA(hash))
            elif isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(signature, data, padding.PKCS1v15(), hash)
            else:
                self.key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


def parse_key(pem: bytes, name: str) -> PublicKey:
    """The one key of a PEM file that errors call *name*.

    Raises:
        InvalidArgument: it is no public key, is of a kind or size that is not taken, or there are several.
    """
    if len(pem) > MAX_PEM:
        raise InvalidArgument(f"{name} has {len(pem)} bytes, too many for a public key", hint=_HINT)
    if b"PRIVATE KEY-----" in pem:
        raise InvalidArgument(f"{name} is a private key", hint=_HINT)
    if pem.count(b"-----BEGIN ") > 1:
        raise InvalidArgument(f"{name} holds several keys", hint="give each key in a file of its own")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidArgument(f"{name} is not a public key in PEM", hint=_HINT) from None
    if isinstance(key, rsa.RSAPublicKey):
        if not MIN_RSA <= key.key_size <= MAX_RSA:
            raise InvalidArgument(f"{name} is an RSA key of {key.key_size} bits, expected {MIN_RSA} to {MAX_RSA}")
        return PublicKey(name, key)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return PublicKey(name, key)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _HASHES:
        return PublicKey(name, key)
    raise InvalidArgument(f"{name} is a key of a kind that images are not signed with", hint=_HINT)
