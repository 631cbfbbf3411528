"""When an agent that was started on demand may stop: nobody has called it for some time, and no container needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from jackstay_agent.rpc.activity import Activity

_LOOK = 1.0


async def wait(activity: Activity, needed: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Return once there was no call for *seconds* and *needed* says no."""
    while activity.quiet_for() < seconds or await needed():  # noqa: ASYNC110 - it is the time that is waited for
        await asyncio.sleep(min(_LOOK, seconds))
