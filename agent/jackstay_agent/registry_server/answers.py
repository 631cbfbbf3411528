"""What the handlers of the API answer with."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from jackstay_agent.registry_server.refusals import Refusal

JSON = "application/json"


def empty(status: int, **headers: str) -> web.Response:
    """An answer without a body; in the names of *headers* ``_`` stands for ``-``."""
    return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def document(body: bytes, headers: Mapping[str, str] | None = None, *, media_type: str = JSON) -> web.Response:
    """A document of *media_type*, as it is."""
    return web.Response(body=body, headers={**(headers or {}), "Content-Type": media_type})


def refused(refusal: Refusal) -> web.Response:
    """An error document."""
    headers = {**refusal.headers, "Content-Type": JSON}
    return web.Response(status=refusal.status, body=refusal.document, headers=headers)
