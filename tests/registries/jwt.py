"""Signed tokens as the Distribution registry checks them (RFC 7519; ES256, with the certificate in ``x5c``)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.registries.authority import Pair


def sign(pair: Pair, claims: Mapping[str, Any]) -> str:
    """A token with these claims."""
    certificate = x509.load_pem_x509_certificate(Path(pair.certificate).read_bytes())
    key = serialization.load_pem_private_key(Path(pair.key).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    chain = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]
    parts = [{"typ": "JWT", "alg": "ES256", "x5c": chain}, claims]
    signed = ".".join(_text(json.dumps(part).encode()) for part in parts)
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
