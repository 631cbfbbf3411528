"""What is wrong with an archive is told in one line with a hint, before any host is asked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.oci.conftest import MadeImage, tar_of
from tests.unit.oci.test_bad_archives import BROKEN


def made(case: str) -> dict[str, Any]:
    form, change, _, _ = BROKEN[case]
    layers = [tar_of({"a": b"one" * 100}), tar_of({"b": b"two"})]
    diffs = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    rootfs = {"type": "layers", "diff_ids": diffs}
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/a"]}, "rootfs": rootfs}
    image = MadeImage(layers, ["app:1"], json.dumps(config).encode())
    files: dict[str, Any] = getattr(image, form)()
    change(files, image)
    return files


@pytest.mark.parametrize("case", BROKEN)
def test_one_line_and_a_hint(jackstay: Any, tmp_path: Path, case: str) -> None:
    archive = tmp_path / "bad.tar"
    archive.write_bytes(tar_of(made(case)))
    result = jackstay("-H", "down", "load", "-i", str(archive))
    assert result.code == 1
    error, hint = result.err.splitlines()
    assert error.startswith(f"Error: {archive}: ")
    assert len(error) < 600
    assert hint.startswith("Hint: ")
