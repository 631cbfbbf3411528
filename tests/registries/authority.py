"""A certificate authority of the tests' own, and the folders in which programs look for what they trust."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """A CA that lasts a day."""

    def __init__(self, folder: Path, name: str = "The tests' own CA") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._builder(self._name, self._key, authority=True).sign(self._key, hashes.SHA256())
        self.certificate = folder / "ca.crt"
        """For others to trust."""
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, *names: str) -> Pair:
        """A pair for a server with these addresses or DNS names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
        builder = self._builder(subject, key).add_extension(usage, False).add_extension(alternatives, False)
        return self._write(f"server-{names[0]}", builder, key)

    def client(self, name: str) -> Pair:
        """A pair for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._write(f"client-{name}", self._builder(subject, key).add_extension(usage, False), key)

    def context(self, client: Pair | None = None) -> ssl.SSLContext:
        """For a client that trusts this CA alone."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        return context

    def trust(self, certs: Path, registry: str, client: Pair | None = None) -> Path:
        """Write docker's layout, ``<certs>/<host:port>/{ca.crt, client.cert, client.key}``; that registry's folder."""
        folder = certs / registry
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.certificate, folder / "ca.crt")
        if client is not None:
            shutil.copy(client.certificate, folder / "client.cert")
            shutil.copy(client.key, folder / "client.key")
        return folder

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, authority: bool = False
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(_usage(authority), critical=True)
        )

    def _write(self, stem: str, builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> Pair:
        pair = Pair(self._folder / f"{stem}.crt", self._folder / f"{stem}.key")
        certificate = builder.sign(self._key, hashes.SHA256())
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(private_pem(key))
        pair.key.chmod(0o600)
        return pair


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key without a password, as programs read it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
