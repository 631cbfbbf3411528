from __future__ import annotations

import pytest

from jackstay_agent.containers import state
from jackstay_agent.errors import WrongState
from jackstay_agent.metadata.containers import ContainerRow

ALL = ("created", "starting", "running", "paused", "restarting", "exited", "removing", "dead")


def allowed(check: object, *arguments: object, **options: object) -> set[str]:
    found = set()
    for name in ALL:
        try:
            if check(name, *arguments, **options) is not False:  # type: ignore[operator]
                found.add(name)
        except WrongState:
            continue
    return found


def test_what_each_state_allows() -> None:
    assert allowed(state.can_start, "c") == {"created", "starting", "exited"}
    assert allowed(state.check_can_stop) == {"running", "paused"}
    assert allowed(state.check_can_signal, "c") == {"running", "paused"}
    assert allowed(state.check_can_pause, "c") == {"running"}
    assert allowed(state.check_can_unpause, "c") == {"paused"}
    assert allowed(state.check_can_exec, "c") == {"running"}
    assert allowed(state.check_can_attach, "c") == {"created", "starting", "running", "exited"}
    assert allowed(state.check_can_remove, "c", force=False) == set(ALL) - {"running", "paused", "restarting"}
    assert allowed(state.check_can_remove, "c", force=True) == set(ALL)
    assert allowed(state.check_can_rename, "c") == set(ALL) - {"removing", "dead"}


def test_starting_a_running_container_is_no_error_but_a_paused_one_is() -> None:
    assert state.can_start("running", "c") is False
    assert state.can_start("restarting", "c") is False
    with pytest.raises(WrongState, match="paused"):
        state.can_start("paused", "c")


def test_a_container_that_waits_to_be_started_again_is_restarting() -> None:
    rows = [
        ContainerRow("c", "c", "i", "r", "i", "s", "{}", name, 1, restart_at=at)
        for name, at in [("exited", 0), ("exited", 5), ("starting", 0), ("starting", 5), ("running", 5)]
    ]
    assert [state.of(row) for row in rows] == ["exited", "restarting", "starting", "restarting", "running"]


def test_users_do_not_see_that_a_start_is_under_way() -> None:
    assert [state.shown(name) for name in ("starting", "running", "dead")] == ["created", "running", "dead"]


def test_an_error_says_what_to_do() -> None:
    with pytest.raises(WrongState) as told:
        state.check_can_remove("running", "abcdef0123456789", force=False)
    assert "rm -f" in told.value.hint
