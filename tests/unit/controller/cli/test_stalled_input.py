"""Standard input that stands still is no reason to wait: who interrupts the command gets the prompt back."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path


def test_what_reads_it_ends_when_it_is_interrupted(home: Path) -> None:
    lines = ("-H web1 load", "copy - web1::", "-H web1 import - made:1", "-H @web cp - srv:/data")
    argv = [[sys.executable, "-m", "jackstay.cli.main", *line.split()] for line in lines]
    running = [subprocess.Popen(each, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) for each in argv]
    try:
        for process in running:
            assert process.stdin is not None
            process.stdin.write(bytes(200_000))  # more than a pipe holds: it is being read
            process.stdin.flush()
            process.send_signal(signal.SIGINT)
        assert [process.wait(20) for process in running] == [130, 130, 130, 130]
    finally:
        for process in running:
            process.kill()
            process.communicate()
