"""``--log-driver`` and ``--log-opt`` as docker reads them."""

from __future__ import annotations

import pytest

from jackstay_agent.containers import log_options
from jackstay_agent.containers.log_options import LogOptions
from jackstay_agent.errors import InvalidArgument


@pytest.mark.parametrize(
    ("driver", "options", "expected"),
    [
        ("", {}, LogOptions()),
        ("json-file", {}, LogOptions()),
        ("k8s-file", {"max-size": "10m"}, LogOptions(size=10_000_000)),
        ("json-file", {"max-size": "1.5k", "max-file": "3"}, LogOptions(size=1500, files=3)),
        ("local", {}, LogOptions(size=20_000_000, files=5)),
        ("local", {"max-size": "1g"}, LogOptions(size=10**9, files=5)),
        ("local", {"max-file": "1"}, LogOptions(size=20_000_000)),
        ("none", {}, LogOptions(kept=False)),
    ],
)
def test_what_is_kept(driver: str, options: dict[str, str], expected: LogOptions) -> None:
    assert log_options.parse(driver, options) == expected


@pytest.mark.parametrize(
    ("driver", "options", "told"),
    [
        ("syslog", {}, "no log driver named 'syslog' is registered"),
        ("json-file", {"mode": "x"}, "unknown log opt 'mode' for json-file log driver"),
        ("none", {"max-size": "1m"}, "unknown log opt 'max-size' for none log driver"),
        ("", {"max-size": "0"}, "max-size=0"),
        ("", {"max-size": "-1"}, "max-size=-1"),
        ("", {"max-size": "much"}, "max-size=much"),
        ("", {"max-size": "1m", "max-file": "0"}, "max-file=0"),
        ("", {"max-size": "1m", "max-file": "1001"}, "max-file=1001"),
        ("", {"max-size": "1m", "max-file": "x"}, "max-file=x"),
        ("", {"max-file": "2"}, "cannot specify max-file without max-size"),
    ],
)
def test_refused(driver: str, options: dict[str, str], told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        log_options.parse(driver, options)
