"""Memory that was freed is used again: counted in page faults of a process that passes pieces on."""

from __future__ import annotations

import subprocess
import sys

PIECES = """
import resource, sys
from jackstay_agent.kernel.memory import keep_freed_pieces
if sys.argv[1] == "kept":
    keep_freed_pieces()
source = bytes(1 << 20)
def passed_on():
    for _ in range(200):
        pieces = [b"".join((b"head", source)) for _ in range(3)]
passed_on()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
passed_on()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    ran = subprocess.run([sys.executable, "-c", PIECES, how], check=True, capture_output=True, text=True)
    return int(ran.stdout)


def test_pieces_take_the_memory_of_those_before() -> None:
    assert faults("kept") < 2_000
    assert faults("given back") > 20_000  # without it, most of the 150,000 pages are cleared each time
