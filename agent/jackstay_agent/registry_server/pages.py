"""Lists that are given page by page (distribution-spec, listing tags). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from jackstay_agent.registry_server.refusals import Refusal

LONGEST = 1000
"""Names on one page at most."""


def page(names: Sequence[str], query: Mapping[str, str], path: str) -> tuple[list[str], dict[str, str]]:
    """Of the sorted *names* those that the *query* (``n``, ``last``) asks for, and the header that leads to the next.

    *path* is the list's own. Raises `Refusal` for an ``n`` that is no number.
    """
    count = limit(query)
    after = query.get("last", "")
    left = [name for name in names if name > after]
    shown = left[:count]
    more = len(left) > count and bool(shown)
    return shown, link(path, {"last": shown[-1], "n": str(count)}) if more else {}


def limit(query: Mapping[str, str]) -> int:
    """How many at most. Raises `Refusal`."""
    text = query.get("n", str(LONGEST))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Refusal(400, "PAGINATION_NUMBER_INVALID", f"n={text[:40]!r} is no number of names")
    return min(int(text), LONGEST)


def link(path: str, query: Mapping[str, str]) -> dict[str, str]:
    """The header that leads to the next page (RFC 8288)."""
    return {"Link": f'<{path}?{urlencode(query)}>; rel="next"'}
