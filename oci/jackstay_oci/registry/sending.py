"""What a request to a registry is to whoever makes one: values in, a whole reply out.

:class:`Sender` is implemented by ``transport``, which authorizes, follows redirects and tries again; tests have one
that answers from a list. Nothing here knows of HTTP's library.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urljoin

from jackstay_oci.documents import MAX_DOCUMENT

Body = bytes | Callable[[], AsyncIterable[bytes | bytearray | memoryview]]
"""Bytes, or what gives them from the beginning each time it is called: a request may be sent more than once. Whoever
knows the length says it in a ``Content-Length`` header, else the body is sent in HTTP's chunks."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]  # by names of any case
    body: bytes = field(repr=False)
    url: str = field(repr=False)  # that answered, after redirects; it may hold a signature

    @property
    def location(self) -> str:
        """The URL in ``Location``, absolute; empty when there is none."""
        location = self.headers.get("Location", "")
        return urljoin(self.url, location) if location else ""


class Sender(Protocol):
    """Sends requests to one server of a registry."""

    registry: str  # as in references, for messages: "docker.io"

    async def send(
        self,
        method: str,
        target: str,
        *,
        what: str,
        scopes: Sequence[str] = (),
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        ok: Container[int] = (200,),
        limit: int = MAX_DOCUMENT,
        attempts: int | None = None,
    ) -> Reply:
        """Send a request and read the answer, whose status is one of *ok*.

        Args:
            target: a path below ``/v2/`` (``library/app/manifests/1``), or a URL that the registry gave. To another
                server than the registry's own no authorization is sent.
            what: names the thing, for messages: ``"manifest library/app:1"``.
            scopes: what the request needs to be allowed, by ``scopes``.
            limit: bytes of the answer's body.
            attempts: tries when the connection breaks or the server is out of order; by default those of the client's
                patience. Requests that must not be sent twice say 1; one that is not authorized yet is still sent anew.

        Raises:
            NotFound: status 404.
            Unauthorized: status 401 or 403, with what could be said of the caller.
            RateLimited: status 429, also after the waiting that was asked for.
            RegistryFailed: it cannot be reached or trusted, or answers with any other status.
            LimitExceeded: the body has more than *limit* bytes.
        """
        ...
