"""A process that records events and is killed at any moment: the file is whole, and has all that was written."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

RECORD = """
import asyncio, sys
from jackstay_agent.events.log import Events

async def main():
    events = await Events.open(sys.argv[1])
    told = 0
    while True:
        for _ in range(20):
            events.record("container", "start", "c0ffee", {"name": "app"})
        await asyncio.sleep(0.001)
        if events._written > told:
            told = events._written
            print(told, flush=True)

asyncio.run(main())
"""


def test_killed_while_it_records(tmp_path: Path) -> None:
    path, written = tmp_path / "events.db", 0
    for batches in (1, 3, 2):
        with subprocess.Popen([sys.executable, "-c", RECORD, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(batches):
                last = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            last = max([last, *map(int, process.stdout.read().split())])
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            count, first, highest = connection.execute(
                "SELECT count(*), min(number), max(number) FROM events"
            ).fetchone()
        assert (first, count) == (1, highest)
        assert highest >= last > written
        written = highest
