"""One authenticated SSH connection: options from the host, ``~/.ssh/config`` and our own defaults, then the login.

Handshakes with one server are bounded, and tried again when it hangs up at once: sshd drops bursts (``MaxStartups``).
"""

from __future__ import annotations

import asyncio
import os
import random
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.constants import MSG_IGNORE

from jackstay.errors import Unreachable, UsageError
from jackstay.inventory.host import Host
from jackstay.inventory.places import state_folder
from jackstay.tunnel.failures import Attempt, explain, is_temporary
from jackstay.tunnel.host_keys import SYSTEM_KNOWN_HOSTS, HostKeyJudge, load_known_hosts, remember
from jackstay.tunnel.settings import TunnelSettings

CIPHERS = (
    "aes128-gcm@openssh.com",  # several times faster than the library's first choice where the CPU knows AES
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
AEAD = ("gcm", "chacha20")  # what the name of a cipher that vouches for each packet by itself has in it
HANDSHAKES = 8  # at once with one server; sshd's MaxStartups begins to drop at 10
ATTEMPTS = 4
DEFAULT_KEYS = ("id_ed25519_sk", "id_ecdsa_sk", "id_ed448", "id_ed25519", "id_ecdsa", "id_rsa", "id_dsa")

_handshakes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]]
_handshakes = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Plan:
    """How to reach one host, with ``~/.ssh/config`` applied."""

    arguments: dict[str, Any]  # of asyncssh.connect, without known hosts, client and tunnel
    attempt: Attempt
    known_hosts: tuple[str, ...]
    jumps: tuple[str, ...]  # bastions, the nearest first


async def plan_login(host: Host, settings: TunnelSettings) -> Plan:
    """Read ``~/.ssh/config`` and see what it makes of the host; nothing is sent.

    Raises :class:`~jackstay.errors.Unreachable` (``auth``) for a key file that is missing or not a key, and
    :class:`~jackstay.errors.UsageError` for a configuration that cannot be read.
    """
    arguments = _arguments(host, settings)
    await asyncio.to_thread(_check_keys, host)
    try:
        options = await asyncssh.SSHClientConnectionOptions.construct(None, known_hosts=b"", **arguments)
    except (asyncssh.ConfigParseError, asyncssh.KeyImportError, ValueError, OSError) as error:
        raise UsageError(f"the SSH configuration for {host.name} cannot be used: {error}") from None
    config = options.config
    given = host.known_hosts or _known_hosts_files(config)
    jump = host.jump or (options.tunnel if isinstance(options.tunnel, str) else "")
    return Plan(
        arguments,
        Attempt(
            host=host.name,
            address=options.host,
            port=options.port,
            user=options.username,
            keys=await asyncio.to_thread(_offered, host, config.get("IdentityFile", ())),
            ssh_agent=str(options.agent_path or ""),
        ),
        (*given, accepted_keys(settings)),
        tuple(part.strip() for part in jump.split(",") if part.strip() and part.strip() != "none"),
    )


async def login(
    plan: Plan, settings: TunnelSettings, through: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHClientConnection:
    """Connect and authenticate, ``through`` a bastion when given. Raises :class:`~jackstay.errors.Unreachable`."""
    attempt = plan.attempt
    known = await asyncio.to_thread(load_known_hosts, plan.known_hosts)
    tries = 0
    while True:
        tries += 1
        judge = HostKeyJudge(attempt.host, known, accept_new=settings.accept_new)
        try:
            async with _slot(f"{id(through) if through else ''}/{attempt.address}:{attempt.port}", through):
                connection = await asyncssh.connect(
                    **plan.arguments,
                    known_hosts=known.keys,
                    client_factory=lambda judge=judge: judge,
                    tunnel=through,
                )
            break
        except (OSError, asyncssh.Error, asyncssh.ChannelOpenError, TimeoutError) as error:
            if refusal := await asyncio.to_thread(judge.explain_refusal):
                raise refusal from None
            if not is_temporary(error) or tries == ATTEMPTS:
                raise explain(error, attempt) from None
        await asyncio.sleep(0.2 * 2**tries * random.uniform(0.5, 1.5))  # noqa: S311  # to spread, not to hide
    _without_ignored_packets(connection)
    if judge.accepted:
        try:
            await asyncio.to_thread(remember, accepted_keys(settings), *judge.accepted)
        except BaseException:
            connection.abort()
            raise
    return connection


def _without_ignored_packets(connection: asyncssh.SSHClientConnection) -> None:
    """Send no empty packet ahead of each one, where it protects nothing.

    The library does so with every cipher, which doubles the packets of a long transfer. It hides the chaining value of
    CBC (RFC 4251, 9.3.1); an AEAD cipher has none, and OpenSSH sends no such packets with it either.
    """
    if not any(part in str(connection.get_extra_info("send_cipher")) for part in AEAD):
        return
    send: Callable[..., None] = connection.send_packet

    def quieter(kind: int, *arguments: bytes, **named: Any) -> None:
        if kind != MSG_IGNORE:
            send(kind, *arguments, **named)

    connection.send_packet = quieter  # type: ignore[assignment]


def accepted_keys(settings: TunnelSettings) -> str:
    """The file of keys accepted on first sight."""
    return settings.accepted_keys or str(state_folder(os.environ) / "known_hosts")


def _arguments(host: Host, settings: TunnelSettings) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "host": host.address,
        "encryption_algs": list(CIPHERS),
        "compression_algs": ["none"],  # gRPC's bytes are compressed where that pays
        "keepalive_interval": settings.keepalive_interval,
        "keepalive_count_max": 3,
        "login_timeout": settings.connect_timeout,
        "connect_timeout": settings.connect_timeout,
        "ignore_encrypted": True,  # they are used through the SSH agent
    }
    if settings.ssh_config is not None:
        arguments["config"] = [settings.ssh_config] if settings.ssh_config else None
    if host.port is not None:
        arguments["port"] = host.port
    if host.user is not None:
        arguments["username"] = host.user
    if host.identity_files:
        arguments["client_keys"] = list(host.identity_files)
    if not settings.use_ssh_agent:
        arguments["agent_path"] = None
    return arguments


def _check_keys(host: Host) -> None:
    for path in host.identity_files:
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise Unreachable(
                f"the key {path} for {host.name} cannot be read: {error.strerror}",
                hint="correct `identity` in the inventory",
                kind="auth",
            ) from None


def _offered(host: Host, configured: object) -> tuple[str, ...]:
    """The key files that a login offers."""
    if host.identity_files:
        return host.identity_files
    names = configured if isinstance(configured, list) else []
    paths = [str(Path(name).expanduser()) for name in names or (f"~/.ssh/{name}" for name in DEFAULT_KEYS)]
    return tuple(path for path in paths if os.path.exists(path))


def _known_hosts_files(config: Any) -> tuple[str, ...]:
    """Those that ``~/.ssh/config`` names, else OpenSSH's defaults."""
    user = _or(config.get("UserKnownHostsFile", ()), ("~/.ssh/known_hosts", "~/.ssh/known_hosts2"))
    system = _or(config.get("GlobalKnownHostsFile", ()), (SYSTEM_KNOWN_HOSTS,))
    return tuple(str(Path(one).expanduser()) for one in (*user, *system))


def _or(configured: object, default: tuple[str, ...]) -> tuple[str, ...]:
    """What the configuration names; ``none`` does not switch checking off, it only names no file."""
    return tuple(str(one) for one in configured) if isinstance(configured, list) else default


@asynccontextmanager
async def _slot(server: str, through: object) -> AsyncIterator[None]:
    """One of the handshakes that may run at once: with one server, and through one bastion."""
    slots = _handshakes.setdefault(asyncio.get_running_loop(), {})
    key = f"through {id(through)}" if through else server
    async with slots.setdefault(key, asyncio.Semaphore(HANDSHAKES)):
        yield
