"""What the agent loads when it starts, and what it leaves to whoever needs it first."""

from __future__ import annotations

import pytest

from tests.lab.host import Host
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab


def loaded(host: Host, since: int) -> set[str]:
    """The modules that the agent's log names, after its first *since* characters."""
    lines = host.log_text()[since:].splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


def test_http_is_loaded_when_the_registry_is_asked() -> None:
    with Lab(1) as lab:
        host = lab.hosts["web1"]
        host.agent.stop()
        since = len(host.log_text())
        host.agent.start(env={"PYTHONPROFILEIMPORTTIME": "1"})
        at_first = loaded(host, since)
        assert {"grpc", "structlog"} <= at_first
        assert not {"aiohttp", "rich.console"} & at_first
        asked = host.exec(["curl", "-sS", "--unix-socket", "/run/jackstay/registry.sock", "http://localhost/v2/"])
        assert (asked.stdout, asked.stderr) == ("{}", "")
        assert "aiohttp" in loaded(host, since)
