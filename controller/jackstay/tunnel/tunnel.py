"""What a tunnel is, and the way to open one: a Unix socket here that leads to the agent's socket there.

This module imports no SSH code; :func:`open_tunnel` does when a host needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from jackstay.tunnel.settings import TunnelSettings

if TYPE_CHECKING:
    import socket
    from types import TracebackType
    from typing import Self

    from jackstay.errors import Unreachable
    from jackstay.inventory.host import Host
    from jackstay.tunnel.exposure import Exposure, Told
    from jackstay.tunnel.lane import Lane


class Tunnel(Protocol):
    """An open way to one agent. Whoever opens it closes it; closing twice is allowed."""

    @property
    def socket_path(self) -> str:
        """The Unix socket to connect to, at most 100 bytes long, in a folder that only this user may enter."""

    @property
    def failure(self) -> Unreachable | None:
        """Why the way is broken, as far as the tunnel knows; ``None`` while it looks whole."""

    async def open_lane(self) -> Lane | None:
        """A new lane to the agent; ``None`` where there is no way for one. It ends with the tunnel at the latest."""

    async def expose_registry(self, listener: socket.socket, told: Told) -> Exposure:
        """Carry what comes to ``listener``, a bound TCP socket, to the agent's registry, until either is closed.

        Raises :class:`~jackstay.errors.Unreachable` when no registry answers; then ``listener`` stays the caller's.
        """
        ...

    async def close(self) -> None:
        """End every connection through the tunnel and the tunnel itself, and remove its socket."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


async def open_tunnel(host: Host, settings: TunnelSettings | None = None) -> Tunnel:
    """Open the way to the agent of ``host``.

    Raises :class:`jackstay.errors.Unreachable` when the host does not answer, its key is unknown or changed, no key of
    ours is accepted, or no agent accepts there. Nothing stays open when it raises or is cancelled.
    """
    settings = settings or TunnelSettings()
    if host.kind == "local":
        from jackstay.tunnel.local import open_local

        return await open_local(host)
    from jackstay.tunnel.ssh import open_ssh

    return await open_ssh(host, settings)
