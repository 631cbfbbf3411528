"""``pull --verify-key``: what is no public key is told before any host is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

PRIVATE = "-----BEGIN PRIVATE KEY-----\nnot to be repeated\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("verb", [("pull",), ("image", "pull")])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file or directory"),
        ("", "is not a public key in PEM"),
        ("ssh-ed25519 AAAAC3 me@laptop\n", "is not a public key in PEM"),
        (PRIVATE, "is a private key"),
    ],
)
def test_what_is_no_public_key(
    jackstay: Any, tmp_path: Path, verb: tuple[str, ...], content: str | None, told: str
) -> None:
    path = tmp_path / "release.pub"
    if content is not None:
        path.write_text(content)
    result = jackstay("-H", "web1", *verb, "--verify-key", str(path), "registry.example/app:1")
    assert result.code == 2, result
    assert told in result.err
    assert str(path) in result.err
    assert "not to be repeated" not in result.err
    assert "cannot be reached" not in result.err  # which the host would say


def test_a_folder(jackstay: Any, tmp_path: Path) -> None:
    result = jackstay("-H", "web1", "pull", "--verify-key", str(tmp_path), "registry.example/app:1")
    assert result.code == 2
    assert "Is a directory" in result.err
