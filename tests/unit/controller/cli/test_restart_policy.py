"""``--restart``."""

from __future__ import annotations

import pytest

from jackstay.cli.parsing.restart_policy import RestartSpec, parse_restart
from jackstay.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("no", RestartSpec("no")),
        ("always", RestartSpec("always")),
        ("unless-stopped", RestartSpec("unless-stopped")),
        ("on-failure", RestartSpec("on-failure")),
        ("on-failure:0", RestartSpec("on-failure")),
        ("on-failure:12", RestartSpec("on-failure", 12)),
    ],
)
def test_forms(text: str, policy: RestartSpec) -> None:
    assert parse_restart(text) == policy


@pytest.mark.parametrize("text", ["", "Always", "always:", "no:1", "on-failure:", "on-failure:-1", "on-failure:1x"])
def test_malformed(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--restart: invalid restart policy"):
        parse_restart(text)
