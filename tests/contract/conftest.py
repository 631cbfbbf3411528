"""The fixtures of the agent's unit tests, for the suites here."""

from __future__ import annotations

from tests.unit.agent.conftest import database, jobs, mounts

__all__ = ["database", "jobs", "mounts"]
