"""A htpasswd file with bcrypt, the only kind that the Distribution registry takes."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

# Debian's libc has bcrypt, and perl, which every Debian has, reaches it. The cost is the least that there is.
_HASH = "chomp(my $password = <STDIN>); print crypt($password, q($2y$04$) . q(abcdefghijklmnopqrstuu));"


def write_htpasswd(path: Path, users: Mapping[str, str]) -> Path:
    """Write the users and their passwords."""
    path.write_text("".join(f"{user}:{_hash(password)}\n" for user, password in users.items()))
    return path


def _hash(password: str) -> str:
    made = subprocess.run(["perl", "-e", _HASH], input=password, check=True, capture_output=True, text=True).stdout
    assert made.startswith("$2y$"), made
    return made
