"""jackstay: container images and containers on many Linux hosts, over SSH.

``from jackstay import Fleet`` is the library; nothing is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jackstay.library import Fleet, Hosts

__all__ = ["Fleet", "Hosts"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from jackstay import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
