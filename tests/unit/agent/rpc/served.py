"""A real gRPC server of the agent's on a socket in a test's folder, and a channel to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio

from jackstay_agent.config import Config
from jackstay_agent.rpc import server as rpc_server
from jackstay_agent.rpc.activity import Activity
from jackstay_agent.rpc.lanes import SUFFIX, Lanes
from jackstay_proto.v1 import (
    containers_pb2_grpc,
    content_pb2_grpc,
    images_pb2_grpc,
    networks_pb2_grpc,
    secrets_pb2_grpc,
    system_pb2_grpc,
    volumes_pb2_grpc,
)


def config(folder: Path) -> Config:
    return Config(state=str(folder / "state"), run=str(folder), socket=str(folder / "agent" / "s"), socket_group="none")


@asynccontextmanager
async def served(folder: Path, *, lanes: Lanes | None = None, **services: Any) -> AsyncIterator[str]:
    """The address of a server of *services* by name ("images"); the others are there and implement nothing."""
    settings = config(folder)
    lanes = lanes or Lanes()
    await asyncio.to_thread(rpc_server.prepare_folder, settings)
    others: dict[str, Any] = {
        "containers": containers_pb2_grpc.ContainersServicer(),
        "content": content_pb2_grpc.ContentServicer(),
        "images": images_pb2_grpc.ImagesServicer(),
        "networks": networks_pb2_grpc.NetworksServicer(),
        "secrets": secrets_pb2_grpc.SecretsServicer(),
        "system": system_pb2_grpc.SystemServicer(),
        "volumes": volumes_pb2_grpc.VolumesServicer(),
    }
    server = rpc_server.build(settings, rpc_server.Services(**(others | services)), Activity())
    await server.start()
    await lanes.serve(settings.socket + SUFFIX)
    await asyncio.to_thread(rpc_server.open_to_group, settings)
    try:
        yield f"unix:{settings.socket}"
    finally:
        await server.stop(0)
        lanes.close()


@asynccontextmanager
async def images(folder: Path, service: Any) -> AsyncIterator[images_pb2_grpc.ImagesAsyncStub]:
    """A stub of the `Images` service *service*."""
    async with served(folder, images=service) as address, grpc.aio.insecure_channel(address) as channel:
        yield images_pb2_grpc.ImagesStub(channel)
