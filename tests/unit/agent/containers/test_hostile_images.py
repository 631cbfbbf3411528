"""Runs `hostile_images.py`, whose tests need root, conmon, crun and runc, in a sandbox."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.timeout(240)
def test_hostile_images() -> None:
    inner = [sys.executable, "-m", "pytest", str(HERE / "hostile_images.py"), "-q", "-p", "no:cacheprovider"]
    running = subprocess.Popen(
        [sys.executable, str(HERE / "sandbox.py"), "--", *inner],
        cwd=HERE.parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = running.communicate(timeout=220)
    finally:
        running.terminate()  # not kill: the sandbox cleans up after itself
        running.wait()
    assert running.returncode == 0, output
    assert "6 passed" in output, output
