"""What the folder of secrets must look like, compared with what it does. Pure; nothing is read of any value.

Guarantees: only a regular file counts as that of a secret.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jackstay_agent.metadata.secrets import SecretRow

FOLDER = "."
"""What the folder itself is called among its entries."""

FOLDER_MODE, FILE_MODE = 0o700, 0o600


@dataclass(frozen=True, slots=True)
class Audit:
    """What is not as it must be: secrets without a value, and entries of the folder."""

    missing: tuple[SecretRow, ...]
    orphaned: tuple[str, ...]  # entries that are no secret's
    wrong: tuple[tuple[str, str, str], ...]  # the secret's name, "" for the folder; the entry; what is wrong with it


def compare(rows: Sequence[SecretRow], found: Mapping[str, os.stat_result], uid: int, gid: int) -> Audit:
    """What is wrong with *found*, the entries of the folder and itself, in the eyes of an agent that is *uid*:*gid*."""
    files = {entry: look for entry, look in found.items() if stat.S_ISREG(look.st_mode)}
    kept = [("", FOLDER, found[FOLDER], FOLDER_MODE)] if FOLDER in found else []
    kept += [(row.name, row.id, files[row.id], FILE_MODE) for row in rows if row.id in files]
    return Audit(
        tuple(row for row in rows if row.id not in files),
        tuple(sorted(found.keys() - {FOLDER, *(row.id for row in rows)})),
        tuple((name, entry, what) for name, entry, look, mode in kept if (what := _wrong(look, mode, uid, gid))),
    )


def _wrong(look: os.stat_result, mode: int, uid: int, gid: int) -> str:
    """What is wrong with mode and owner, "" if nothing is."""
    has = stat.S_IMODE(look.st_mode)
    parts = []
    if has != mode:
        parts.append(f"has mode {has:04o} instead of {mode:04o}")
    if (look.st_uid, look.st_gid) != (uid, gid):
        parts.append(f"belongs to {look.st_uid}:{look.st_gid} instead of {uid}:{gid}")
    return " and ".join(parts)
