"""Who may call: programs, and no pages of a browser. Pure.

The API has no passwords: who may open the socket may use it. Where the socket is given a port on somebody's loopback,
the pages that they look at can make requests to it, too, and read the answers when their server's name leads there
(DNS rebinding). A browser says where a page is from, and by which name it came.
"""

from __future__ import annotations

import ipaddress

from jackstay_agent.registry_server.refusals import Refusal

_NAMES = ("localhost", "host.docker.internal", "host.containers.internal", "gateway.docker.internal")


def check(host: str | None, origin: str | None) -> None:
    """Refuse a request of a page: with an ``Origin``, or to a *host* that is neither an address nor a local name."""
    if origin is not None:
        raise Refusal(403, "DENIED", "this registry answers no pages of a browser")
    name = (host or "").strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name and name not in _NAMES and not name.endswith(".localhost") and not _is_address(name):
        raise Refusal(403, "DENIED", f"this registry is not called {name[:100]!r}; name it 127.0.0.1 or localhost")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
