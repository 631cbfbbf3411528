"""Runtimes older than the fixes of what a hostile image or container could do to its host by them. Pure.

crun 1.28 (CVE-2026-47766), runc 1.3.6, 1.4.3 and 1.5 (CVE-2025-31133, CVE-2025-52565, CVE-2025-52881, CVE-2026-41579).
A warning and no more: distributions bring fixes back to the versions that they have.
"""

from __future__ import annotations

import re

_FIXED = {"crun": ((1, 28),), "runc": ((1, 3, 6), (1, 4, 3), (1, 5))}
"""The first version with the fixes, of each line that got them; later lines have them."""
_RUNTIME = re.compile(r"(\w+) v?(\d+(?:\.\d+)*)", re.ASCII)


def runtime_warning(text: str) -> str:
    """What to say of a runtime and its version (``crun 1.8.1``); empty when it has the fixes, or is not known here."""
    found = _RUNTIME.match(text)
    if found is None or found[1] not in _FIXED:
        return ""
    version = tuple(int(part) for part in found[2].split(".")[:3])
    fixed = _FIXED[found[1]]
    line = next((first for first in fixed if first[:2] >= version[:2]), None)
    if line is None or version >= line:
        return ""
    return (
        f"{found[0]} is older than {'.'.join(map(str, line))}, which is safer against hostile images: "
        "update it, unless the distribution has brought the fixes back"
    )
