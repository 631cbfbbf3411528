"""import: a tar that lies here, comes in, or is downloaded becomes an image on hosts.

The image is made here and given to every host by the ordinary fetch: verified there, resumed where an earlier try was
cut, and sent to each host once at most. A host that says no in advance (a malformed change) costs nothing: everything
that can be checked is checked before the first byte is read.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from jackstay.copying import download
from jackstay.copying.copy import copy_to_agent
from jackstay.copying.host_source import canonical
from jackstay.copying.import_source import ImportSource
from jackstay.copying.imported_image import make_image
from jackstay.copying.tar_layer import TarLayer, read_file, read_stream
from jackstay.copying.unwaited import begin
from jackstay.errors import InvalidReference, LimitExceeded, NotFound, UsageError
from jackstay.inventory.archive_limits import HINT, archive_limits
from jackstay_oci import platforms
from jackstay_oci.changes import instructions
from jackstay_oci.documents import Platform
from jackstay_oci.image_config import ContainerConfig

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.copying.progress import CopyProgress
    from jackstay.fleet import FleetResult
    from jackstay.library.hosts import Hosts


async def import_tar(
    hosts: Hosts,
    source: str,
    name: str = "",
    *,
    changes: Sequence[str] = (),
    message: str = "",
    platform: str = "",
    progress: CopyProgress | None = None,
) -> FleetResult[str]:
    """Make an image of the tar *source* on the hosts; its id. See :meth:`jackstay.library.images.Images.import_tar`."""
    run = instructions.apply(ContainerConfig(), changes)
    names = [_full(name)] if name else []
    wanted = platforms.parse(platform) if platform else None
    origin = download.shown(source) if download.is_url(source) else "-"
    comment = message or f"Imported from {origin}"
    async with open_layer(source, os.environ) as layer:
        created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        made: dict[Platform, ImportSource] = {}

        async def work(agent: AgentClient) -> str:
            version = agent.version
            there = wanted or platforms.normalise(Platform(os=version.os, architecture=version.architecture))
            if there not in made:
                image = make_image(layer, there, run, created=created, comment=comment)
                made[there] = ImportSource(_shown(source), layer, image, names)
            fetched = await copy_to_agent(agent, made[there], [made[there].image], progress)
            return fetched.done.images[0].image_id

        return await hosts.run(work)


@asynccontextmanager
async def open_layer(source: str, environ: Mapping[str, str]) -> AsyncIterator[TarLayer]:
    """The tar *source* (a path, ``-`` for standard input, a URL) as a layer, for as long as the block runs.

    Raises:
        NotFound, UsageError: the file is not there, or is none; the user's bounds on archives are malformed.
        DownloadFailed: see :func:`jackstay.copying.download.download`.
        InvalidArchive, LimitExceeded, DiskFull: see :func:`jackstay.copying.tar_layer.read_file`.
    """
    stop = threading.Event()
    try:
        layer = await begin(partial(_read, source, environ, stop), lambda late: os.close(late.fd))
    except asyncio.CancelledError:
        stop.set()
        raise
    try:
        yield layer
    finally:
        os.close(layer.fd)


def _read(source: str, environ: Mapping[str, str], stop: threading.Event) -> TarLayer:
    from jackstay.copying.archive_source import spool_folder

    folder, limits = partial(spool_folder, environ), archive_limits(environ)
    try:
        if download.is_url(source):
            with download.download(source) as body:
                return read_stream(body, _shown(source), folder, stop, limits)
        return read_file(os.dup(0) if source == "-" else _open(source), _shown(source), folder, stop, limits)
    except LimitExceeded as error:
        error.hint = HINT
        raise


def _open(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file", hint="check the path") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be opened: {error.strerror}") from None
    if os.path.isdir(path):
        os.close(fd)
        raise UsageError(f"{path} is a folder", hint=f"import takes a tar: tar -C {path} -c . | jackstay import -")
    return fd


def _shown(source: str) -> str:
    if source == "-":
        return "standard input"
    return download.shown(source) if download.is_url(source) else source


def _full(name: str) -> str:
    if "@" in name:
        raise InvalidReference(f"{name!r} cannot name an image: it has a digest", hint="give a name and a tag")
    return canonical(name)
