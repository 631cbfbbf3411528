"""How long property tests look for a counter-example.

``JACKSTAY_EXAMPLES=50`` makes each look at fifty times as many examples, without its time limit, for a night's search.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("JACKSTAY_EXAMPLES", "1"))


def examples(count: int) -> Callable[[Any], Any]:
    """Marks a property test: *count* examples in an ordinary run, however long each takes."""
    look = settings(
        max_examples=count * TIMES,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    # A busy machine takes its time for all of them together.
    return lambda test: pytest.mark.timeout(180 if TIMES == 1 else 0)(look(test))
