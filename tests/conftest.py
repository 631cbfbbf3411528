"""What holds for every test: a call of the project's own code that would block the event loop fails the test."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, BlockBusterFunction

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
