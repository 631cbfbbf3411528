"""``jackstayd dial-stdio``: joins standard input and output to the agent's socket, for SSH servers that forward no
sockets. Ends when the agent does, or when nobody reads; the two directions never wait for each other. Only the standard
library, since one runs for every such connection.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading

_PIECE = 1 << 18


def dial(path: str) -> int:
    """Pump until the end; the exit code: 0, or 1 when no agent listens at *path*."""
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        agent.connect(path)
    except OSError as error:
        sys.stderr.write(f"Error: no agent at {path}: {error.strerror}\nStart it with: systemctl start jackstayd\n")
        return 1
    threading.Thread(target=_take, args=(agent,), daemon=True).start()
    with contextlib.suppress(OSError):  # the agent was killed, or whoever reads has gone
        while data := agent.recv(_PIECE):
            view = memoryview(data)
            while view:
                view = view[os.write(1, view) :]
    return 0


def _take(agent: socket.socket) -> None:
    """Carry standard input to the agent."""
    with contextlib.suppress(OSError):
        while data := os.read(0, _PIECE):
            agent.sendall(data)
        agent.shutdown(socket.SHUT_WR)
