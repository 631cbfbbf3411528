"""The OCI distribution API (distribution-spec 1.1) over the agent's store, on a Unix socket of its own.

Guarantees that each request is answered, with an error document when it fails; that what is not of the error vocabulary
is logged and told without details; that memory does not grow with what is sent: `TRANSFERS` bodies are on their way at
a time, and of each a piece (`body`) and what the connection buffers are in memory. There is no password: who may open
the socket is root on this host (see `callers` for who may not).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

import structlog
from aiohttp import web

from jackstay_agent.config import Limits
from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import Error, from_os_error
from jackstay_agent.events.event import Record
from jackstay_agent.gc.collect import Collector
from jackstay_agent.images.receiving import Receiver
from jackstay_agent.registry_server import answers, callers, endpoints
from jackstay_agent.registry_server.blob_requests import BlobRequests
from jackstay_agent.registry_server.deleting import Deleter
from jackstay_agent.registry_server.endpoints import Endpoint, Kind
from jackstay_agent.registry_server.listing import Listing
from jackstay_agent.registry_server.manifest_requests import ManifestRequests
from jackstay_agent.registry_server.manifests import Manifests
from jackstay_agent.registry_server.pushing import Pusher
from jackstay_agent.registry_server.refusals import Refusal, refusal_of
from jackstay_agent.registry_server.upload_requests import UploadRequests
from jackstay_agent.registry_server.uploads import Uploads

TRANSFERS = 16
_BUFFER = 1 << 18

_VERSION = ("Docker-Distribution-API-Version", "registry/2.0")
_log = structlog.get_logger("registry")

Handler = Callable[[web.BaseRequest, Endpoint], Awaitable[web.StreamResponse]]


class RegistryServer:
    """Serves one agent's images. *busy* is entered for the time of each request."""

    def __init__(
        self,
        content: ContentStore,
        receiver: Receiver,
        collector: Collector,
        limits: Limits,
        record: Record,
        busy: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._busy = busy
        self._uploads = Uploads(content, largest=limits.layer_bytes)
        transfers = asyncio.Semaphore(TRANSFERS)
        deleter = Deleter(content, collector, record)
        blobs = BlobRequests(content, self._uploads, deleter, transfers)
        uploads = UploadRequests(self._uploads, transfers)
        manifests = ManifestRequests(
            Manifests(content), Pusher(content, receiver, limits), deleter, Listing(content), limits
        )
        self._handlers: dict[Kind, dict[str, Handler]] = {
            "base": {"GET": _base},
            "catalogue": {"GET": manifests.catalogue},
            "tags": {"GET": manifests.tags},
            "manifest": {"GET": manifests.get, "PUT": manifests.put, "DELETE": manifests.delete},
            "referrers": {"GET": manifests.referrers},
            "blob": {"GET": blobs.get, "HEAD": blobs.head, "DELETE": blobs.delete},
            "uploads": {"POST": uploads.begin},
            "upload": {
                "GET": uploads.status, "PATCH": uploads.append, "PUT": uploads.finish, "DELETE": uploads.cancel,
            },
        }  # fmt: skip
        self._runner: web.ServerRunner | None = None

    async def serve(self, listening: socket.socket, *, grace: float, backlog: int) -> None:
        """Accept on the socket *listening*, and close it in the end; then, requests get *grace* seconds to end."""
        server = web.Server(
            self._answer, access_log=None, logger=_silent(), auto_decompress=False, read_bufsize=_BUFFER
        )
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=grace)
        await self._runner.setup()
        await web.SockSite(self._runner, listening, backlog=backlog).start()

    async def close(self) -> None:
        """Accept no more, end the requests that are under way, and keep uploads for the next start."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self._uploads.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        begun, told = time.monotonic(), {}
        with self._busy():
            try:
                response = await self._handle(request)
            except Refusal as refusal:
                response = answers.refused(refusal)
                told = {"message": refusal.message[:300]}
        _log.info(
            "request", method=request.method, path=request.path[:300], status=response.status,
            seconds=round(time.monotonic() - begun, 4), **told,
        )  # fmt: skip
        if not response.prepared:
            response.headers[_VERSION[0]] = _VERSION[1]
        return response

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer; raises only `Refusal`, and `ConnectionError` for a client that has gone."""
        try:
            callers.check(request.headers.get("Host"), request.headers.get("Origin"))
            endpoint = endpoints.parse(request.path)
            known = self._handlers[endpoint.kind]
            handler = known.get(request.method) or (known.get("GET") if request.method == "HEAD" else None)
            if handler is None:
                raise Refusal(
                    405, "UNSUPPORTED", f"{request.method[:20]} is not for {request.path[:200]!r}",
                    headers={"Allow": ", ".join(known)},
                )  # fmt: skip
            return await handler(request, endpoint)
        except (Refusal, ConnectionError):
            raise
        except Error as error:
            raise refusal_of(error) from error
        except OSError as error:
            raise refusal_of(from_os_error(error, f"answering {request.method} {request.path[:200]}")) from error
        except Exception as error:
            _log.error("failure", method=request.method, path=request.path[:300], exc_info=error)
            raise Refusal(500, "UNKNOWN", "the agent failed; its log says more (journalctl -u jackstayd)") from error


def _silent() -> logging.Logger:
    """A logger for what aiohttp has to say: each request that is no HTTP, with a traceback."""
    logger = logging.getLogger(__name__)
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    return logger


async def _base(request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
    return answers.document(b"{}")
