"""TLS of registries by docker's layout of ``certs.d``: ``<host:port>/*.crt`` are CAs that are trusted beside the
system's, ``NAME.cert`` with ``NAME.key`` is a client's certificate. Everything here reads files, so it blocks."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from jackstay_oci.errors import RegistryFailed

_AUTHORITY = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[a-fA-F0-9:]+\])(?::[0-9]{1,5})?", re.ASCII)


def folder(certs: Sequence[str], authority: str) -> Path | None:
    """The first folder that there is for ``host:port``. No name leads out of *certs*."""
    if _AUTHORITY.fullmatch(authority) is None:
        return None
    return next((path for top in certs if (path := Path(top) / authority).is_dir()), None)


def context(found: Path | None, *, client: bool = True) -> ssl.SSLContext:
    """What a client uses: the system's CAs and those of the folder, and the folder's client certificate.

    Args:
        client: use the client certificate.

    Raises:
        RegistryFailed: a file of the folder is malformed, cannot be read, or has no counterpart.
    """
    tls = ssl.create_default_context()
    if found is None:
        return tls
    try:
        names = sorted(found.iterdir())
    except OSError as error:
        raise _unreadable(found, error) from None
    for path in names:
        if path.suffix == ".crt":
            _load(path, partial(tls.load_verify_locations, cafile=str(path)))
        elif path.suffix == ".cert":
            key = path.with_suffix(".key")
            if key not in names:
                raise RegistryFailed(f"the client certificate {path} has no key", hint=f"put it into {key}")
            if not client:
                continue
            # A password that is wanted must not be asked for on the terminal.
            _load(path, partial(tls.load_cert_chain, path, key, password=""))
        elif path.suffix == ".key" and path.with_suffix(".cert") not in names:
            raise RegistryFailed(f"the key {path} has no client certificate", hint=f"put it into {path.stem}.cert")
    return tls


def _load(path: Path, load: Callable[[], None]) -> None:
    try:
        load()
    except (ssl.SSLError, ValueError):  # SSLError is an OSError
        raise RegistryFailed(f"{path} is no certificate in PEM, or does not fit its key") from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> RegistryFailed:
    return RegistryFailed(f"{path} cannot be read: {error.strerror}", hint="check its owner and its mode")
