"""Who we are to a registry: what docker's configuration knows, or the program that it names."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from jackstay.credentials.credential_helper import Helper
from jackstay.credentials.docker_config import DockerConfig, config_path
from jackstay_oci.registry.tokens import Credential, Lookup


async def lookup(registry: str, environ: Mapping[str, str]) -> Credential | None:
    """The credential for the registry; where a helper is named for it, only that one is asked, as docker does.

    Raises:
        UsageError: docker's ``config.json`` is malformed.
        HelperFailed: the helper cannot say.
    """
    config = await asyncio.to_thread(DockerConfig.load, config_path(environ))
    helper = config.helper(registry)
    return await Helper(helper, environ).get(registry) if helper else config.credential(registry)


def credentials(environ: Mapping[str, str]) -> Lookup:
    """:func:`lookup` for one command: each registry is looked up once, however many hosts want to know."""
    found: dict[str, asyncio.Task[Credential | None]] = {}

    async def remembered(registry: str) -> Credential | None:
        task = found.get(registry)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = found[registry] = asyncio.ensure_future(lookup(registry, environ))
        return await asyncio.shield(task)  # who asked first may leave while others wait

    return remembered
