"""What is done with a container that is unhealthy: ``--health-on-failure``, as podman has it.

It is done after every probe that finds it unhealthy, so that an agent that comes after one that died goes on with it.
"""

from __future__ import annotations

import structlog

from jackstay_agent.containers import stopping
from jackstay_agent.containers.engine import Engine, settings_of
from jackstay_agent.errors import Error, NotFound, WrongState

_log = structlog.get_logger("containers")


async def act(engine: Engine, container: str) -> None:
    """Do with *container*, which is unhealthy, what its settings say. Never raises: what goes wrong is logged."""
    try:
        action = settings_of(await engine.get(container)).health_on_failure
        if action == "kill":
            await stopping.kill(engine, container, "KILL")
        elif action == "stop":
            await stopping.stop(engine, container, None)
        elif action == "restart":
            await stopping.restart(engine, container, None)
    except (NotFound, WrongState):
        return  # it has ended meanwhile
    except Error as error:
        _log.error("cannot act on an unhealthy container", container=container, error=error.message)
