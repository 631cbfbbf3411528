from __future__ import annotations

from typing import Any

import pytest

from jackstay_agent.containers.creating import create
from jackstay_agent.containers.settings import Settings
from jackstay_agent.errors import InvalidArgument


@pytest.mark.parametrize(
    "given",
    [
        {"dns": ("192.0.2.1", "nine")},
        {"dns": (f"192.0.2.1\n{'a' * 64} 10.89.0.9  victim",)},  # a line for the nameserver of a whole network
        {"add_host": ("db",)},
        {"add_host": ("db:192.0.2.1\n192.0.2.2 bank.example",)},
    ],
)
async def test_what_goes_into_files_is_refused_before_anything_is_made(given: dict[str, Any]) -> None:
    engine: Any = None  # is not asked
    with pytest.raises(InvalidArgument, match=r"nameserver|host and its|IP address"):
        await create(engine, Settings(image="i", name="", hostname="", **given))
