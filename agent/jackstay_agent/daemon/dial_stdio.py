"""``jackstayd dial-stdio``: joins standard input and output to the agent's socket, for SSH servers that forward no
sockets. Ends when either side does. Only the standard library, since one runs for every such connection.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import sys

_PIECE = 1 << 18


def dial(path: str) -> int:
    """Pump until the end; the exit code: 0, or 1 when no agent listens at *path*."""
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        agent.connect(path)
    except OSError as error:
        sys.stderr.write(f"Error: no agent at {path}: {error.strerror}\nStart it with: systemctl start jackstayd\n")
        return 1
    stdin, stdout = 0, 1
    with selectors.DefaultSelector() as selector:
        selector.register(stdin, selectors.EVENT_READ)
        selector.register(agent, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == stdin:
                    data = os.read(stdin, _PIECE)
                    if data:
                        agent.sendall(data)
                    else:
                        selector.unregister(stdin)
                        with contextlib.suppress(OSError):
                            agent.shutdown(socket.SHUT_WR)
                else:
                    data = agent.recv(_PIECE)
                    if not data:
                        return 0
                    view = memoryview(data)
                    while view:
                        view = view[os.write(stdout, view) :]
