"""``jackstayd remove-rules``: what the agent has put into packet filters is taken away, for when it is uninstalled."""

from __future__ import annotations

import asyncio

from jackstay_agent.errors import RuntimeFailed
from jackstay_agent.kernel.programs import LinuxPrograms, Programs
from jackstay_agent.networks import ruleset
from jackstay_agent.networks.opening import OtherFirewalls


def remove() -> None:
    """Take away the agent's own table, and its accepts in the tables of others. What is not there is no error.

    An agent that runs makes them again. Raises `RuntimeFailed` with nft's words, `Unsupported` without nft.
    """
    asyncio.run(_remove(LinuxPrograms()))


async def _remove(programs: Programs) -> None:
    done = await programs.run(["nft", "-j", "-f", "-"], stdin=ruleset.remove())
    if done.code != 0:
        words = " ".join(done.stderr.decode(errors="replace").split())[:300]
        raise RuntimeFailed(f"nft refused to remove the table {ruleset.TABLE}: {words}")
    await OtherFirewalls(programs).follow({})
