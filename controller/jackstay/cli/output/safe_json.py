"""JSON of what hosts tell, which a terminal may show: the same values, but nothing in it can drive one. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

_DRIVING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON does not make escape: DEL and the second set of control characters (U+009B is ESC [), directions."""


def safe_json(value: object, **layout: Any) -> str:
    """*value* as `json.dumps` with *layout* writes it; other letters than ASCII's stay as they are."""
    text = json.dumps(value, ensure_ascii=False, **layout)
    return _DRIVING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
