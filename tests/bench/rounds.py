"""Things done in turn, round after round, and compared within a round: on a busy machine only ratios mean something."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Task:
    """Something timed; ``after`` undoes it and is not timed."""

    name: str
    do: Callable[[], object]
    after: Callable[[], object] = lambda: None


@dataclass(slots=True)
class Series:
    """What one task took, in seconds, a value a round."""

    name: str
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle one, in seconds."""
        return statistics.median(self.seconds)

    def ratio(self, other: Series) -> float:
        """How many times as long as ``other`` in the same round; the middle one of the rounds."""
        return statistics.median(mine / its for mine, its in zip(self.seconds, other.seconds, strict=True))


def in_turn(tasks: list[Task], rounds: int, told: Callable[[str], None] = print) -> list[Series]:
    """Do every task once a round, every second round in the opposite order; ``told`` hears of each round.

    Each begins with an empty queue of writes, so that none waits for what the one before it has left to the disk.
    """
    series = [Series(task.name) for task in tasks]
    for number in range(rounds):
        order = list(range(len(tasks)))
        if number % 2:
            order.reverse()
        for index in order:
            os.sync()
            begin = time.perf_counter()
            tasks[index].do()
            series[index].seconds.append(time.perf_counter() - begin)
            tasks[index].after()
        told(f"round {number + 1} of {rounds}: " + ", ".join(f"{one.name} {one.seconds[-1]:.2f} s" for one in series))
    return series
