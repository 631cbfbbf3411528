"""top: the processes of a container, by the host's ``ps``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from jackstay_agent.containers import process_files, process_table, state
from jackstay_agent.containers.cgroups import Cgroups
from jackstay_agent.containers.engine import Engine
from jackstay_agent.containers.process_table import DEFAULT_OPTIONS, ProcessTable
from jackstay_agent.errors import InvalidArgument, RuntimeFailed, Unsupported
from jackstay_agent.kernel.programs import Programs


async def top(engine: Engine, programs: Programs, text: str, options: Sequence[str]) -> ProcessTable:
    """The processes of the container that *text* means, with *options* of ps, "-ef" when there are none.

    Raises `NotFound`; `WrongState` when it does not run; `InvalidArgument` for options that ps refuses or that leave
    out the pids.
    """
    wanted = tuple(options) or DEFAULT_OPTIONS
    process_table.check_options(wanted)
    row = await engine.find(text)
    state.check_has_processes(state.of(row), row.id)
    pids = await asyncio.to_thread(_pids, row.id)
    try:
        return process_table.parse(await _ps(programs, wanted, pids), frozenset(pids))
    except Unsupported:
        if wanted != DEFAULT_OPTIONS:
            raise
        return await asyncio.to_thread(process_files.read, pids)


def _pids(container: str) -> list[int]:
    return Cgroups.of_host().pids(container)


async def _ps(programs: Programs, options: Sequence[str], pids: Sequence[int]) -> str:
    ended = await programs.run(["ps", *options, f"-q{','.join(map(str, pids))}"])
    if ended.code:
        # Some options, such as "f", cannot stand beside -q, which some programs called ps do not know.
        ended = await programs.run(["ps", *options])
    if ended.code:
        told = ended.stderr.decode(errors="replace").strip().partition("\n")[0]
        error = InvalidArgument if told else RuntimeFailed
        raise error(told or f"ps failed with exit code {ended.code}", hint="see man ps on the host")
    return ended.stdout.decode(errors="replace")
