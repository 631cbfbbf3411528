"""The figures that the project holds itself to: how many times as fast as a peer, in the same rounds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.rounds import Series


@dataclass(frozen=True, slots=True)
class Figure:
    """One comparison; *wanted* is how many times as fast as the peer it shall be at least."""

    what: str
    ours: Series
    peer: Series
    wanted: float

    @property
    def times(self) -> float:
        """How many times as fast; the middle one of the rounds."""
        return statistics.median(
            theirs / mine for theirs, mine in zip(self.peer.seconds, self.ours.seconds, strict=True)
        )

    @property
    def holds(self) -> bool:
        """Whether it is as wanted."""
        return self.times >= self.wanted


def table(figures: Sequence[Figure]) -> str:
    """The figures as Markdown, the most telling part of the page."""
    lines = [
        "## Figures",
        "",
        "How many times as fast as the peer, in turn with it; the middle one of the rounds. The sections below have",
        "the seconds.",
        "",
        "| what | ours | peer | times as fast | wanted | |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for each in figures:
        lines.append(
            f"| {each.what} | {seconds(each.ours.median)} | {seconds(each.peer.median)} | {each.times:.2f} | "
            f"{each.wanted:.1f} | {'holds' if each.holds else '**missed**'} |"
        )
    return "\n".join([*lines, ""])


def seconds(value: float) -> str:
    """A time as people read it."""
    return f"{value * 1000:.2f} ms" if value < 0.1 else f"{value:.2f} s"


def against(what: str, series: Sequence[Series], ours: str, wanted: Mapping[str, float]) -> list[Figure]:
    """The figures of one measurement: its series *ours* beside that of each peer of *wanted*.

    A peer is how its series begins, after the first backtick. Raises `LookupError` when a series is missing.
    """
    mine = _of(series, ours)
    return [
        Figure(f"{what}, beside {peer.replace('`', '')}", mine, _of(series, f"`{peer} "), times)
        for peer, times in wanted.items()
    ]


def _of(series: Sequence[Series], start: str) -> Series:
    for each in series:
        if each.name.startswith(start):
            return each
    raise LookupError(f"nothing that begins with {start!r} was measured")
