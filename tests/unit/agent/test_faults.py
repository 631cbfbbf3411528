"""Fault points, in a process of their own, since they end it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BODY = """
import os
from jackstay_agent import faults
for name in "abacab":
    if name == "c" and os.fork():
        os.wait()
        continue
    print(name, flush=True)
    faults.point(name)
    if name == "c":
        faults.point("a")  # in a child
        os._exit(0)
"""


def passed(**environment: str) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", BODY], env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stderr == ""
    return done.stdout.replace("\n", ""), done.returncode


@pytest.mark.parametrize(
    ("armed", "expected"),
    [
        ("", ("abacab", 0)),
        ("x", ("abacab", 0)),
        ("a", ("a", -9)),
        ("a#1", ("a", -9)),
        ("a#2", ("aba", -9)),
        ("a#3", ("abac", -9)),  # in the child, which takes the agent with it
        ("a#4", ("abaca", -9)),
        ("a#5", ("abacab", 0)),
        ("b#2\n", ("abacab", -9)),
    ],
)
def test_armed_by_a_file(tmp_path: Path, armed: str, expected: tuple[str, int]) -> None:
    file, trace = tmp_path / "armed", tmp_path / "trace"
    file.write_text(armed)
    assert passed(JACKSTAY_FAULT=f"@{file}", JACKSTAY_FAULT_TRACE=str(trace)) == expected
    if expected == ("abacab", 0):
        assert trace.read_text().split() == list("abacaab")


def test_armed_by_name_and_not_at_all(tmp_path: Path) -> None:
    assert passed(JACKSTAY_FAULT="b") == ("ab", -9)
    assert passed(JACKSTAY_FAULT=f"@{tmp_path}/none") == ("abacab", 0)
    assert passed() == ("abacab", 0)
