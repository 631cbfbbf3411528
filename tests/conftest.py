"""What holds for every test: a call of the project's own code that would block the event loop fails the test. And in
which order tests run, so that several testers end at about the same time.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster, BlockBusterFunction
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# A shell that runs the tests in the background has them ignore Ctrl-C, and every program they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What a test itself does on the loop, such as writing a file for the code to find, delays nobody.
WATCHED = ["jackstay", "jackstay_agent", "jackstay_oci"]

# Slow calls that blockbuster does not know by itself. (`os.open` is left out: it waits for no write.)
ALSO_BLOCKING = [
    "os.fsync",
    "os.fdatasync",
    "os.sync",
    "os.waitpid",
    "fcntl.flock",
    "shutil.rmtree",
    "shutil.copyfileobj",
]


LONGEST_FIRST = ("faults", "interop", "fleet", "bench")
"""Folders whose files take minutes; what comes after them fills the gaps."""

TOGETHER = "tests/interop/"
"""Files that one tester takes as if they were one, since they share Dockers and images that take long to make."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first."""
    here = Path(__file__).parent

    def turn(item: pytest.Item) -> int:
        folder = item.path.relative_to(here).parts[0]
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=turn)


class _Testers(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER if nodeid.startswith(TOGETHER) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Testers:
    """Files go to testers in the order of the tests, not those with the most tests first."""
    config.option.loadscopereorder = False
    return _Testers(config, log)


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[BlockBuster]:
    """Blocking calls below the project's packages raise in the event loop's thread; worker threads may block."""
    blockbuster = BlockBuster(WATCHED)
    for name in ALSO_BLOCKING:
        blockbuster.functions[name] = BlockBusterFunction(None, name, scanned_modules=WATCHED)
    # Rubbish of an earlier test, a gRPC channel among it, takes locks when it is collected: nobody's blocking call.
    gc.disable()
    blockbuster.activate()
    yield blockbuster
    blockbuster.deactivate()
    gc.enable()
