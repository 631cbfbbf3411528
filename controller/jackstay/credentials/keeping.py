"""Keeping and forgetting credentials: in docker's ``config.json``, or with the program that it names."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from jackstay.credentials.credential_helper import Helper
from jackstay.credentials.docker_config import DockerConfig, config_path
from jackstay_oci.registry.tokens import Credential


async def store(registry: str, credential: Credential, environ: Mapping[str, str]) -> Path | None:
    """Keep the credential; the file in which it lies unencrypted, if it does.

    Raises:
        UsageError: docker's ``config.json`` is malformed or cannot be written.
        HelperFailed: the helper does not keep it.
    """
    config = await asyncio.to_thread(DockerConfig.load, config_path(environ))
    if helper := config.helper(registry):
        await Helper(helper, environ).store(registry, credential)
        config.note(registry)
    else:
        config.store(registry, credential)
    await asyncio.to_thread(config.save)
    return None if helper else config.path


async def erase(registry: str, environ: Mapping[str, str]) -> bool:
    """Forget the credential; whether there was one.

    Raises: as :func:`store`.
    """
    config = await asyncio.to_thread(DockerConfig.load, config_path(environ))
    known = False
    if name := config.helper(registry):
        helper = Helper(name, environ)
        if known := await helper.get(registry) is not None:
            await helper.erase(registry)
    if config.forget(registry):
        await asyncio.to_thread(config.save)
        known = True
    return known
