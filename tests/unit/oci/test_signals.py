from __future__ import annotations

import pytest

from jackstay_oci import signals
from jackstay_oci.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "number"),
    [("KILL", 9), ("SIGTERM", 15), ("9", 9), ("sigusr1", 10), ("RTMIN+3", 37), (" hup ", 1)],
)
def test_docker_names_are_known(text: str, number: int) -> None:
    assert signals.parse(text) == number


@pytest.mark.parametrize("text", ["", "NOPE", "0", "65", "-9", "RTMIN+99", "9999999999999", "٩"])
def test_others_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid signal"):
        signals.parse(text)
