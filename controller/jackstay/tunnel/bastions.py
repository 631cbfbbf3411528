"""Jump hosts: one connection a bastion, shared by every host behind it, closed with the last of them.

asyncssh would open a connection to the bastion for each host, without our host key rules; this replaces that.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import asyncssh

from jackstay.errors import Unreachable
from jackstay.inventory.address import parse_address
from jackstay.inventory.host import Host
from jackstay.tunnel.login import login, plan_login
from jackstay.tunnel.settings import TunnelSettings

Key = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], TunnelSettings]


class Bastion:
    """A lease on the connection through a chain of jump hosts. ``release`` it once."""

    def __init__(self, connection: asyncssh.SSHClientConnection, release: Callable[[], Coroutine[Any, Any, None]]):
        self.connection = connection
        self.release = release


class Bastions:
    """The bastion connections of one event loop."""

    def __init__(self) -> None:
        self._tasks: dict[Key, asyncio.Task[tuple[asyncssh.SSHClientConnection, Bastion | None]]] = {}
        self._users: dict[Key, int] = {}

    async def lease(self, jumps: tuple[str, ...], host: Host, settings: TunnelSettings) -> Bastion:
        """The connection to the last of ``jumps``, through those before it.

        Key files and known_hosts are those of ``host``. Raises :class:`~jackstay.errors.Unreachable` that names the
        bastion.
        """
        key = (jumps, host.identity_files, host.known_hosts, settings)
        task = self._tasks.get(key)
        if task is None or (task.done() and not _usable(task)):
            task = asyncio.get_running_loop().create_task(self._open(jumps, host, settings))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever waits raises it
            self._tasks[key] = task
            self._users[key] = 0
        self._users[key] += 1
        try:
            connection, _ = await asyncio.shield(task)  # one waiter's cancellation must not fail the others
        except BaseException:
            await self._release(key, task)
            raise
        return Bastion(connection, lambda: self._release(key, task))

    async def _open(
        self, jumps: tuple[str, ...], host: Host, settings: TunnelSettings
    ) -> tuple[asyncssh.SSHClientConnection, Bastion | None]:
        *before, last = jumps
        address = parse_address(last)
        hop = Host(
            name=last,
            address=address.host,
            user=address.user,
            port=address.port,
            identity_files=host.identity_files,
            known_hosts=host.known_hosts,
        )
        try:
            plan = await plan_login(hop, settings)
            outer = await self.lease(tuple(before), host, settings) if before else None
            try:
                return await login(plan, settings, outer.connection if outer else None), outer
            except BaseException:
                if outer:
                    await outer.release()
                raise
        except Unreachable as error:
            raise Unreachable(f"bastion {last}: {error.message}", hint=error.hint, kind=error.kind) from None

    async def _release(self, key: Key, task: asyncio.Task[tuple[asyncssh.SSHClientConnection, Bastion | None]]) -> None:
        if self._tasks.get(key) is task:
            self._users[key] -= 1
            if self._users[key] > 0:
                return
            del self._tasks[key], self._users[key]
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            connection, outer = task.result()
            connection.close()
            await connection.wait_closed()
            if outer:
                await outer.release()


def _usable(task: asyncio.Task[tuple[asyncssh.SSHClientConnection, Bastion | None]]) -> bool:
    return not task.cancelled() and task.exception() is None and not task.result()[0].is_closed()


_bastions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Bastions] = weakref.WeakKeyDictionary()


def bastions() -> Bastions:
    """Those of the running loop."""
    return _bastions.setdefault(asyncio.get_running_loop(), Bastions())
