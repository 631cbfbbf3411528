"""Measurements as a page of Markdown."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tests.bench.at_rest import CYCLES, RUNNING, WARM
from tests.bench.memory import Taken, mib
from tests.bench.rounds import Series

HEAD = """\
# Benchmarks

This page is written by `python -m tests.bench`; do not edit it. How it measures is in `tests/bench/`.

Seconds depend on the machine and on what else runs on it; the ratios were taken in turn, in the same rounds of one run,
and are the middle one of the rounds.
"""


def page(machine: Sequence[str], sections: Sequence[str]) -> str:
    """The whole page."""
    return "\n".join([HEAD, *(f"- {line}" for line in machine), "", *sections])


def machine() -> list[str]:
    """What it was measured on."""
    processor = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    system = next(
        line.partition("=")[2].strip('"')
        for line in Path("/etc/os-release").read_text().splitlines()
        if line.startswith("PRETTY_NAME=")
    )
    packages = ", ".join(f"{name} {version(name)}" for name in ("jackstay", "grpcio", "protobuf", "asyncssh"))
    return [
        f"{time.strftime('%Y-%m-%d')}, commit {_commit()}",
        f"{os.cpu_count()} × {processor}, {memory / (1 << 30):.0f} GiB, load average {load} at the start",
        f"{system}, Linux {platform.release()}, Python {platform.python_version()}, {packages}",
    ]


def memory(rows: Sequence[tuple[str, str, Taken]], bound: int) -> str:
    """Peaks of memory."""
    lines = [
        "## Memory",
        "",
        f"Peaks, sampled about every 10 ms. `tests/bench/test_memory.py` holds the agent below {mib(bound)}.",
        "*PSS* is summed over the process and its children, the spawner and its jobs among them; conmon belongs to the",
        "containers and is not counted. *Alone* counts every mapped page of a program's file in full for each process:",
        "what PSS would be at most on a host where nothing else runs the same programs.",
        "",
        *memory_rows(rows),
        "",
    ]
    return "\n".join(lines)


def memory_rows(rows: Sequence[tuple[str, str, Taken]]) -> list[str]:
    """The table of peaks."""
    lines = ["| command | process | before, PSS | peak, PSS | peak, alone |", "|---|---|--:|--:|--:|"]
    for command, process, taken in rows:
        before = mib(taken.idle["pss"]) if process != "controller" else ""
        lines.append(f"| {command} | {process} | {before} | {mib(taken.peak['pss'])} | {mib(taken.peak['alone'])} |")
    return lines


def at_rest(taken: Taken) -> str:
    """What an agent takes that has just started."""
    lines = ["An agent that has just started, by process:", "", "| process | PSS | anonymous | mapped files |",
             "|---|--:|--:|--:|"]  # fmt: skip
    for name, each in zip(("agent", "spawner"), taken.idle["processes"], strict=False):
        lines.append(f"| {name} | {mib(each['pss'])} | {mib(each['anonymous'])} | {mib(each['files'])} |")
    return "\n".join([*lines, ""])


def resting(full: Taken, warm: Taken, after: Taken, left: Sequence[str]) -> str:
    """What an agent takes with many containers, and after many."""
    lines = [
        "## Containers and the agent's memory",
        "",
        "PSS of the agent and its children; conmon not counted.",
        "",
        "| | PSS |",
        "|---|--:|",
        f"| {RUNNING} containers are running | {mib(full.idle['pss'])} |",
        f"| {WARM} have come and gone | {mib(warm.idle['pss'])} |",
        f"| {CYCLES} more have come and gone | {mib(after.idle['pss'])} |",
        "",
        f"What these {CYCLES} left of processes, mounts, namespaces, links and files: {', '.join(left) or 'nothing'}.",
    ]
    return "\n".join([*lines, ""])


def speed(title: str, text: str, series: Sequence[Series]) -> str:
    """Medians, and ratios to the first series."""
    first = series[0]
    lines = [f"## {title}", "", f"{text} {len(first.seconds)} rounds.", "", "| | median | least to most | ratio |",
             "|---|--:|--:|--:|"]  # fmt: skip
    for each in series:
        unit, name = (1000, "ms") if each.median < 0.1 else (1, "s")
        digits = 2
        lines.append(
            f"| {each.name} | {each.median * unit:.{digits}f} {name} | {min(each.seconds) * unit:.{digits}f} to "
            f"{max(each.seconds) * unit:.{digits}f} | {each.ratio(first):.2f} |"
        )
    return "\n".join([*lines, ""])


def _commit() -> str:
    ran = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return ran.stdout.strip() or "unknown"
