"""Clients of registries for pulls and pushes: one a call, since what authorizes it is the call's alone."""

from __future__ import annotations

import asyncio
import importlib
from typing import Protocol

from jackstay_oci.registry.authorizing import Authorizer
from jackstay_oci.registry.registry import Registry
from jackstay_oci.registry.settings import RegistrySettings


class Connect(Protocol):
    """Gives clients of registries."""

    async def __call__(self, registry: str, authorizer: Authorizer) -> Registry:
        """A client of *registry*, the caller's to close, whose challenges *authorizer* answers."""
        ...


class Registries:
    """Implements `Connect` over HTTP. Its library is loaded by the first who needs it."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._settings = settings

    async def __call__(self, registry: str, authorizer: Authorizer) -> Registry:
        """See `Connect`. Raises `InvalidArgument` when the settings for *registry* are malformed."""
        await asyncio.to_thread(importlib.import_module, "jackstay_oci.registry.client")
        from jackstay_oci.registry.client import connect

        return await connect(registry, authorizer, self._settings)
