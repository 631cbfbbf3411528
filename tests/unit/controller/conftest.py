"""What the controller's tests share."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest


def _load_lab() -> Any:
    spec = importlib.util.spec_from_file_location("ssh_lab", Path(__file__).with_name("ssh_lab.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["ssh_lab"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Any]:
    """An SSH server that leads to a gRPC agent, both in this event loop; nothing of the user's own is read."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    lab = await (sys.modules.get("ssh_lab") or _load_lab()).Lab.make()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(lab.runtime))
    yield lab
    await lab.stop()
