"""The states of a container, and what each allows. Pure: values in, a decision or `WrongState` out.

    created ──start──▸ starting ──▸ running ◂──▸ paused
       ▴                  │            │            │
       └──── undone ──────┘            ▾            │
                                    exited ◂────────┘        any ──remove──▸ removing ──▸ (gone)

``starting`` and ``removing`` mark work under way, so that an agent that died in it finds what to undo or finish.
``dead`` is a container whose removal failed. Docker shows ``starting`` as "created".

``restarting`` is no state of its own in a row: the container is exited (or starting), and the row says when its policy
starts it again.
"""

from __future__ import annotations

from typing import Literal

from jackstay_agent.errors import WrongState
from jackstay_agent.metadata.containers import ContainerRow

State = Literal["created", "starting", "running", "paused", "restarting", "exited", "removing", "dead"]

LIVE: frozenset[str] = frozenset({"running", "paused"})
"""States in which a process exists."""


def of(row: ContainerRow) -> str:
    """The state of *row*'s container, "restarting" among them."""
    return "restarting" if row.restart_at and row.state in ("exited", "starting") else row.state


def shown(state: str) -> str:
    """*state* as users see it."""
    return "created" if state == "starting" else state


def is_live(state: str) -> bool:
    """Whether the container has a process."""
    return state in LIVE


def can_start(state: str, container: str) -> bool:
    """Whether a start has anything to do: False for a container that runs or is about to, as docker's start succeeds on
    one.

    Raises `WrongState` where a start is not possible.
    """
    if state in ("running", "restarting"):
        return False
    if state == "paused":
        raise WrongState(
            "cannot start a paused container, try unpause instead", hint=f"jackstay unpause {container[:12]}"
        )
    if state in ("removing", "dead"):
        raise WrongState(
            "container is marked for removal and cannot be started", hint="create it again once it is removed"
        )
    return True


def check_can_signal(state: str, container: str) -> None:
    """Raise `WrongState` unless a signal can reach a process."""
    if state not in LIVE:
        raise _not_running(container)


def check_can_stop(state: str) -> bool:
    """Whether a stop has anything to do: False when there is no process, as docker's stop succeeds then."""
    return state in LIVE


def check_can_pause(state: str, container: str) -> None:
    """Raise `WrongState` unless the container runs and is not paused."""
    if state == "paused":
        raise WrongState(f"container {container} is already paused", hint=f"jackstay unpause {container[:12]}")
    _check_not_restarting(state, container)
    if state != "running":
        raise _not_running(container)


def check_can_unpause(state: str, container: str) -> None:
    """Raise `WrongState` unless the container is paused."""
    if state != "paused":
        raise WrongState(f"container {container} is not paused")


def check_can_exec(state: str, container: str) -> None:
    """Raise `WrongState` unless a further process can be started in the container."""
    if state == "paused":
        raise WrongState(
            f"container {container} is paused, unpause the container before exec",
            hint=f"jackstay unpause {container[:12]}",
        )
    _check_not_restarting(state, container)
    if state != "running":
        raise _not_running(container)


def check_has_processes(state: str, container: str) -> None:
    """Raise `WrongState` unless the container has processes to be looked at."""
    _check_not_restarting(state, container)
    if state not in LIVE:
        raise _not_running(container)


def check_can_attach(state: str, container: str) -> None:
    """Raise `WrongState` unless streams can be joined: also before the start, so that no output is lost."""
    if state == "paused":
        raise WrongState(
            f"container {container} is paused, unpause the container before attach",
            hint=f"jackstay unpause {container[:12]}",
        )
    _check_not_restarting(state, container)
    if state in ("removing", "dead"):
        raise _not_running(container)


def check_can_remove(state: str, container: str, *, force: bool) -> None:
    """Raise `WrongState` for a container that has a process, or is about to, unless *force*."""
    if force or (state not in LIVE and state != "restarting"):
        return
    if state == "paused":
        raise WrongState(
            f"you cannot remove a paused container {container}",
            hint="unpause and then stop the container before attempting removal, or force remove (rm -f)",
        )
    raise WrongState(
        f"you cannot remove a {state} container {container}",
        hint="stop the container before attempting removal, or force remove (rm -f)",
    )


def check_can_rename(state: str, container: str) -> None:
    """Raise `WrongState` for a container that is going away."""
    if state in ("removing", "dead"):
        raise WrongState(f"container {container} is marked for removal and cannot be renamed")


def check_can_update(state: str, container: str) -> None:
    """Raise `WrongState` for a container that is going away."""
    if state in ("removing", "dead"):
        raise WrongState(f'container {container} is marked for removal and cannot be "update"')


def _check_not_restarting(state: str, container: str) -> None:
    if state == "restarting":
        raise WrongState(
            f"container {container} is restarting, wait until the container is running",
            hint=f"jackstay stop {container[:12]} ends that",
        )


def _not_running(container: str) -> WrongState:
    return WrongState(f"container {container} is not running", hint=f"jackstay start {container[:12]}")
