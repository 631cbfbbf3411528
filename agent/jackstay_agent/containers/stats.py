"""stats: what containers use, sample by sample, for one who asks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from jackstay_agent.containers import state
from jackstay_agent.containers.engine import Engine
from jackstay_agent.containers.sampler import Sample, Sampler, Usage
from jackstay_agent.metadata.containers import Outline


@dataclass(frozen=True, slots=True)
class Line:
    """One container of a sample. `usage` None: it does not run. `memory_limit` in bytes: its own, else the host's."""

    container: Outline
    usage: Usage | None
    memory_limit: int


async def stats(
    engine: Engine, sampler: Sampler, texts: Sequence[str], *, every: bool, follow: bool
) -> AsyncGenerator[list[Line], None]:
    """Samples of the containers that *texts* mean, in that order, else of the running ones, newest first.

    With *every* those that do not run too; one that is named is told also when it does not run, until it is removed.
    Without *follow* one sample, else until all that were named are gone, or the caller is. Raises `NotFound`,
    `Ambiguous`.
    """
    wanted = list(dict.fromkeys([(await engine.find(text)).id for text in texts]))
    async with aclosing(sampler.follow()) as samples:
        async for sample in samples:
            lines = chosen(sample, wanted if texts else None, every=every)
            yield lines
            if not follow or (texts and not lines):
                return


def chosen(sample: Sample, wanted: Sequence[str] | None, *, every: bool) -> list[Line]:
    """The lines of *sample* for the ids *wanted*, or without such a wish the running ones, or *every* one."""
    if wanted is None:
        found = [container for container in sample.containers if every or state.is_live(container.state)]
    else:
        there = {container.id: container for container in sample.containers}
        found = [there[container] for container in wanted if container in there]
    return [_line(sample, container) for container in found]


def _line(sample: Sample, container: Outline) -> Line:
    usage = sample.used.get(container.id)
    if usage is None:
        return Line(container, None, 0)
    limit = usage.accounts.memory_limit
    return Line(container, usage, min(limit, sample.memory) if limit else sample.memory)
