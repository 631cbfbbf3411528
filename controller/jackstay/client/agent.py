"""One agent, connected: the tunnel, the channel on it, and the services of the protocol.

gRPC and SSH code is imported when a connection is made, not with this module.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from jackstay.errors import Unreachable, VersionMismatch
from jackstay.tunnel.settings import TunnelSettings

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from types import TracebackType
    from typing import Self

    import grpc.aio

    from jackstay.client.calls import Calls
    from jackstay.client.containers import Containers
    from jackstay.client.content import Content
    from jackstay.client.images import Images
    from jackstay.client.lanes import FetchLane
    from jackstay.client.messages import VersionReply
    from jackstay.client.networks import Networks
    from jackstay.client.secrets import Secrets
    from jackstay.client.system import System
    from jackstay.client.volumes import Volumes
    from jackstay.inventory.host import Host
    from jackstay.tunnel.exposure import Exposure, Told
    from jackstay.tunnel.tunnel import Tunnel

PROTOCOL = 1
"""The protocol number that this controller speaks; an agent must have the same."""

MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes of one message, either way. Streams send pieces of at most 1 MiB."""

AHEAD = 8 * 1024 * 1024
"""Bytes that an agent may send on one stream before they are read here: what a stream holds of our memory. It bounds a
stream's speed, too: to 80 MB/s from a host that is 100 ms away."""


async def connect(host: Host, settings: TunnelSettings | None = None) -> AgentClient:
    """Open the way to an agent and make sure that it speaks our protocol.

    Raises :class:`~jackstay.errors.Unreachable` or :class:`~jackstay.errors.VersionMismatch`; then, and when it is
    cancelled, nothing stays open. The caller closes what it returns (``async with await connect(host) as agent``).
    """
    from jackstay.tunnel.tunnel import open_tunnel

    settings = settings or TunnelSettings()
    try:
        async with asyncio.timeout(settings.connect_timeout):
            tunnel = await open_tunnel(host, settings)
            try:
                return await _greet(host, tunnel)
            except BaseException:
                await tunnel.close()
                raise
    except TimeoutError:
        raise Unreachable(
            f"{host.name} did not answer within {settings.connect_timeout:g} seconds",
            hint=f"is {host.address} up and reachable from here? wait longer with --connect-timeout",
            kind="timeout",
        ) from None


async def _greet(host: Host, tunnel: Tunnel) -> AgentClient:
    """The client on an open tunnel, once the agent has told its version."""
    import grpc.aio

    from jackstay.client.calls import Calls
    from jackstay.client.messages import VersionRequest
    from jackstay.client.system import System

    channel = grpc.aio.insecure_channel(
        f"unix:{tunnel.socket_path}",
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
            ("grpc.http2.bdp_probe", 0),  # it would grow what waits here without bound when SSH is slow
            ("grpc.http2.lookahead_bytes", AHEAD),
            ("grpc.use_local_subchannel_pool", 1),  # or two channels to one agent share a connection
            ("grpc.default_authority", "jackstay"),
            ("grpc.max_reconnect_backoff_ms", 2000),  # an agent is back soon after a restart
        ],
    )
    try:
        calls = Calls(host.name, lambda: tunnel.failure)
        version = await System(channel, calls).version(VersionRequest())
        if version.protocol != PROTOCOL:
            from importlib.metadata import version as installed

            raise version_mismatch(host.name, version, await asyncio.to_thread(installed, "jackstay"))
    except BaseException:
        await channel.close()
        raise
    return AgentClient(host, version, tunnel, channel, calls)


def version_mismatch(host: str, version: VersionReply, ours: str) -> VersionMismatch:
    """The error for an agent of another protocol; ``ours`` is this program's version."""
    older = version.protocol < PROTOCOL
    return VersionMismatch(
        f"the agent on {host} is {version.version} and speaks protocol {version.protocol}; "
        f"this is jackstay {ours}, protocol {PROTOCOL}",
        hint=f"upgrade the agent: jackstay host upgrade -H {host}" if older else "upgrade jackstay on this machine",
    )


class AgentClient:
    """One agent's services. Made by :func:`connect`; closed by its user, once or more often."""

    def __init__(
        self, host: Host, version: VersionReply, tunnel: Tunnel, channel: grpc.aio.Channel, calls: Calls
    ) -> None:
        self.host = host
        self.version = version
        self._tunnel = tunnel
        self._channel = channel
        self._calls = calls

    @property
    def cut_off(self) -> bool:
        """Whether the connection to the host is known to be lost: an agent that comes back is not seen through it."""
        failure = self._tunnel.failure
        return failure is not None and failure.kind == "lost"

    @cached_property
    def images(self) -> Images:
        """Images: fetch, save, list, tag, remove, commit."""
        from jackstay.client.images import Images

        return Images(self._channel, self._calls)

    @cached_property
    def content(self) -> Content:
        """Blobs, read."""
        from jackstay.client.content import Content

        return Content(self._channel, self._calls)

    @cached_property
    def containers(self) -> Containers:
        """Containers and what runs in them."""
        from jackstay.client.containers import Containers

        return Containers(self._channel, self._calls)

    @cached_property
    def secrets(self) -> Secrets:
        """Secrets."""
        from jackstay.client.secrets import Secrets

        return Secrets(self._channel, self._calls)

    @cached_property
    def volumes(self) -> Volumes:
        """Named and anonymous volumes."""
        from jackstay.client.volumes import Volumes

        return Volumes(self._channel, self._calls)

    @cached_property
    def networks(self) -> Networks:
        """Networks."""
        from jackstay.client.networks import Networks

        return Networks(self._channel, self._calls)

    @cached_property
    def system(self) -> System:
        """The agent itself and its host."""
        from jackstay.client.system import System

        return System(self._channel, self._calls)

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[FetchLane | None]:
        """A lane for one fetch, ``None`` where the agent or the way to it knows none."""
        from jackstay.client.lanes import FetchLane

        opened = await self._tunnel.open_lane()
        lane = None if opened is None else FetchLane(opened)
        try:
            yield lane if lane is not None and await _begun(lane) else None
        finally:
            if lane is not None:
                lane.close()

    @asynccontextmanager
    async def exposed_registry(self, listener: socket.socket, told: Told) -> AsyncIterator[Exposure]:
        """The agent's registry at ``listener``, a bound TCP socket, for the time of the block; see
        :meth:`~jackstay.tunnel.tunnel.Tunnel.expose_registry`.
        """
        exposure = await self._tunnel.expose_registry(listener, told)
        try:
            yield exposure
        finally:
            await exposure.close()

    async def close(self) -> None:
        """Cancel every running call, then close the channel and the tunnel."""
        try:
            await self._channel.close()
        finally:
            await self._tunnel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def _begun(lane: FetchLane) -> bool:
    try:
        await lane.begin()
    except OSError:
        return False
    return True
