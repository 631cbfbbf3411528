"""What users read when SSH does not get through, for errors that no SSH server of the tests can make."""

from __future__ import annotations

import asyncio
import errno
from types import SimpleNamespace
from typing import Any

from jackstay.tunnel.bridge import NearEnd
from jackstay.tunnel.failures import Attempt, explain


def test_errors_of_the_network_are_told_in_the_systems_words() -> None:
    error = OSError(errno.EHOSTUNREACH, "Connect call failed ('192.0.2.1', 22)")  # as asyncio words it
    told = explain(error, Attempt(host="web1", address="192.0.2.1", port=22, user="root"))
    assert told.message == "web1 (192.0.2.1 port 22) cannot be reached: no route to host"
    assert "refused" in explain(ConnectionRefusedError(111, "x"), Attempt("web1", "192.0.2.1", 22, "root")).message


def test_bytes_for_a_reader_who_is_gone_are_dropped() -> None:
    """asyncio would print "socket.send() raised exception." for each of them."""
    written: list[bytes] = []
    closing = False
    transport: Any = SimpleNamespace(
        set_write_buffer_limits=lambda high: None,
        pause_reading=lambda: None,
        is_closing=lambda: closing,
        write=written.append,
    )
    bridge: Any = SimpleNamespace(accepted=lambda near: None)
    near = NearEnd(bridge)
    assert isinstance(near, asyncio.Protocol)
    near.connection_made(transport)
    near.write(b"one")
    closing = True
    near.write(b"two")
    assert written == [b"one"]
