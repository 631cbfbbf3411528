"""Host keys: always checked, accepted on first sight only when asked, never when they have changed.

Files are read off the event loop (:func:`load_known_hosts`) and remembered by their time and size, so that a fleet of
hosts costs one reading. A line that cannot be read is passed over, as OpenSSH does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncssh
from asyncssh.known_hosts import SSHKnownHosts

from jackstay.errors import Unreachable

SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """What some known_hosts files say together."""

    paths: tuple[str, ...]
    keys: SSHKnownHosts = field(repr=False)

    def knows(self, host: str, addr: str, port: int) -> bool:
        """Whether any key or authority is on record for the host."""
        keys, authorities, *_ = self.keys.match(host, addr, None if port == 22 else port)
        return bool(keys or authorities)

    def places(self, host: str, addr: str, port: int) -> list[tuple[str, int]]:
        """Files and line numbers of the host's keys. Reads the files again."""
        found = []
        for path in self.paths:
            for number, line in enumerate(_lines(path), 1):
                one = SSHKnownHosts()
                _load_line(one, line)
                keys, *_ = one.match(host, addr, None if port == 22 else port)
                if keys:
                    found.append((path, number))
        return found


_lock = threading.Lock()
_read: dict[tuple[tuple[str, int, int], ...], KnownHosts] = {}


def load_known_hosts(paths: Sequence[str]) -> KnownHosts:
    """Read the files that exist. Blocks; call it in a thread."""
    signature = []
    for path in paths:
        try:
            status = os.stat(path)
            signature.append((path, status.st_mtime_ns, status.st_size))
        except OSError:
            continue
    key = tuple(signature)
    with _lock:
        if key not in _read:
            keys = SSHKnownHosts()
            for path, *_ in key:
                for line in _lines(path):
                    _load_line(keys, line)
            _read.clear()  # one fleet has one set of files; keep no history
            _read[key] = KnownHosts(tuple(path for path, *_ in key), keys)
        return _read[key]


def remember(path: str, host: str, port: int, key: str) -> None:
    """Append a key that was accepted on first sight to our own file. Blocks; call it in a thread."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    line = f"{host if port == 22 else f'[{host}]:{port}'} {key}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode())  # one write: two commands at once do not mix their lines
    finally:
        os.close(descriptor)


class HostKeyJudge(asyncssh.SSHClient):
    """Judges the one host key that SSH could not find among the known ones, and keeps what it found."""

    def __init__(self, name: str, known: KnownHosts, *, accept_new: bool) -> None:
        self._name = name
        self._known = known
        self._accept_new = accept_new
        self.refused: tuple[str, str, int, asyncssh.SSHKey] | None = None
        self.accepted: tuple[str, int, str] | None = None  # host, port, key to remember
        self.lost: Exception | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Called by SSH for a key that is not on record. Never for one that is, nor for a revoked one."""
        if self._accept_new and not self._known.knows(host, addr, port):
            self.accepted = (host, port, " ".join(key.export_public_key().decode().split()[:2]))
            return True
        self.refused = (host, addr, port, key)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep why the connection ended."""
        self.lost = exc

    def explain_refusal(self) -> Unreachable | None:
        """Why the key was refused; ``None`` when it was not. Blocks when it has changed: call it in a thread."""
        if self.refused is None:
            return None
        host, addr, port, key = self.refused
        pattern = host if port == 22 else f"[{host}]:{port}"
        if not self._known.knows(host, addr, port):
            return Unreachable(
                f"the host key of {self._name} is not known: {key.get_algorithm()} {key.get_fingerprint()}",
                hint=f"compare the fingerprint with the host's own, then: ssh-keyscan -p {port} {host} >> "
                "~/.ssh/known_hosts, or connect once with ssh",
                kind="host-key",
            )
        places = self._known.places(host, addr, port)
        where = ", ".join(f"{path}:{number}" for path, number in places) or "a certificate authority in known_hosts"
        path = places[0][0] if places else "~/.ssh/known_hosts"
        return Unreachable(
            f"the host key of {self._name} has CHANGED: it is now {key.get_algorithm()} {key.get_fingerprint()}, "
            f"not that of {where}",
            hint="somebody may be listening in. If the change was meant: "
            f"ssh-keygen -R '{pattern}' -f {path}, then add the new key",
            kind="host-key",
        )


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _load_line(keys: SSHKnownHosts, line: str) -> None:
    try:
        keys.load(line)
    except ValueError:
        pass
