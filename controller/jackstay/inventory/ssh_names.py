"""The host names that the user's SSH configuration knows; only the names, SSH itself reads the rest."""

from __future__ import annotations

import glob
import re
import shlex
from pathlib import Path

_MAX_DEPTH = 16  # of Include, as in OpenSSH


def ssh_config_names(path: Path, depth: int = 0) -> frozenset[str]:
    """The names of ``Host`` lines without wildcards, includes followed; none when the file cannot be read."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    names: set[str] = set()
    for line in text.splitlines():
        found = re.fullmatch(r"\s*(?P<key>\w+)(?:\s*=\s*|\s+)(?P<rest>.*)", line)
        if found is None or found["key"].lower() not in ("host", "include"):
            continue
        try:
            words = shlex.split(found["rest"], comments=True)
        except ValueError:
            continue
        if found["key"].lower() == "host":
            names.update(word for word in words if not set(word) & set("*?!"))
        elif depth < _MAX_DEPTH:
            for word in words:
                pattern = Path.home() / ".ssh" / Path(word).expanduser()  # an absolute path stays as it is
                for included in sorted(glob.glob(str(pattern))):
                    names |= ssh_config_names(Path(included), depth + 1)
    return frozenset(names)
