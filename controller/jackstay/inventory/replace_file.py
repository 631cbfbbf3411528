"""Writing a small file of the user's so that a reader sees either the old text or the new one."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, text: str, mode: int = 0o600, *, keep_mode: bool = True) -> None:
    """Write ``text`` to ``path``; folders are made, a symbolic link is followed, an existing file keeps its mode unless
    ``keep_mode`` is false.

    Raises :class:`OSError`.
    """
    import tempfile  # which brings much that most commands do not need

    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            try:
                mode = target.stat().st_mode & 0o777 if keep_mode else mode
            except FileNotFoundError:
                pass
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
