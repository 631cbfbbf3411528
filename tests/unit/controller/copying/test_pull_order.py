"""Who asks a registry, and who copies from whom."""

from __future__ import annotations

import random

import pytest

from jackstay.copying.pull_order import BY_POLICY, FINAL, HERE, TRIES, Ask, Copy, Fail, PullOrder, Turn, Wait
from jackstay.errors import AgentError, Error

BLOCKED = AgentError("REGISTRY_FAILED", "cannot be reached")


def order_of(*hosts: str) -> PullOrder:
    order = PullOrder()
    for host in hosts:
        order.arrive(host)
    return order


def kind(turn: Turn) -> type:
    return type(turn)


def test_the_first_asks_and_the_others_copy_from_it() -> None:
    order = order_of("a", "b")
    assert order.turn("b", more=True) == Ask("b")
    assert order.turn("a", more=True) == Wait()
    order.has("b")
    assert order.turn("a", more=False) == Copy("b")
    assert order.turn("c", more=False) == Copy("b")


def test_a_host_s_policy_says_nothing_of_the_others() -> None:
    order = order_of("a", "b")
    order.turn("a", more=False)
    order.failed("a", AgentError(BY_POLICY, "no"))
    order.leave("a")
    assert order.turn("b", more=False) == Ask("b")


@pytest.mark.parametrize("reason", sorted(FINAL))
def test_what_the_registry_says_is_final(reason: str) -> None:
    order = order_of("a", "b")
    order.turn("a", more=False)
    error = AgentError(reason, "no")
    order.failed("a", error)
    order.leave("a")
    assert order.turn("b", more=False) == Fail(error)
    assert order.turn("late", more=False) == Fail(error)


@pytest.mark.parametrize("error", [AgentError("DISK_FULL", "full"), AgentError("INTERNAL", "a mistake"), None])
def test_after_a_host_s_own_failure_the_next_asks(error: Error | None) -> None:
    order = order_of("a", "b")
    order.turn("a", more=False)
    order.failed("a", error)
    order.leave("a")
    assert order.turn("b", more=False) == Ask("b")


def test_a_host_without_a_way_out_copies_from_the_next_that_has_one() -> None:
    order = order_of("a", "b")
    order.turn("a", more=False)
    order.failed("a", BLOCKED)
    assert order.turn("a", more=False) == Wait()
    assert order.turn("b", more=False) == Ask("b")
    order.has("b")
    assert order.turn("a", more=False) == Copy("b")


def test_it_waits_for_hosts_that_may_come_and_then_this_machine_asks() -> None:
    order = order_of("a")
    order.turn("a", more=True)
    order.failed("a", BLOCKED)
    assert order.turn("a", more=True) == Wait()
    assert order.turn("a", more=False) == Ask(HERE)
    assert order.turn("b", more=False) == Wait()
    order.has(HERE)
    assert order.turn("a", more=False) == Copy(HERE)


def test_a_host_that_comes_while_this_machine_has_failed_still_asks() -> None:
    order = order_of("a")
    order.turn("a", more=False)
    order.failed("a", BLOCKED)
    order.turn("a", more=False)
    order.failed(HERE, AgentError("NAME", "no such name"))
    assert order.turn("a", more=False) == Fail(BLOCKED)
    order.arrive("b")
    assert order.turn("b", more=False) == Ask("b")


def test_not_every_host_of_a_large_fleet_tries() -> None:
    hosts = [f"web{number}" for number in range(50)]
    order = order_of(*hosts)
    for host in hosts[:TRIES]:
        assert order.turn(host, more=True) == Ask(host)
        order.failed(host, BLOCKED)
    assert order.turn(hosts[TRIES], more=True) == Ask(HERE)
    order.failed(HERE, BLOCKED)
    assert {kind(order.turn(host, more=True)) for host in hosts} == {Fail}


def test_who_is_lost_is_replaced() -> None:
    order = order_of("a", "b", "c")
    order.turn("a", more=False)
    order.has("a")
    order.has("b")
    order.lost("a", AgentError("SOURCE_FAILED", "gone"))
    assert order.turn("c", more=False) == Copy("b")
    order.lost("b", AgentError("SOURCE_FAILED", "gone"))
    assert order.turn("c", more=False) == Ask("c")
    order.failed("c", BLOCKED)
    assert order.turn("c", more=False) == Ask(HERE)
    order.has(HERE)
    order.lost(HERE, AgentError("SOURCE_FAILED", "gone"))
    assert kind(order.turn("c", more=False)) is Fail


@pytest.mark.parametrize("seed", range(50))
def test_whatever_happens_nobody_waits_for_ever_and_one_asks_at_a_time(seed: int) -> None:
    chance = random.Random(seed)
    hosts = [f"web{number}" for number in range(chance.randint(1, 8))]
    coming, here, order = list(hosts), [], PullOrder()
    ended: dict[str, Turn] = {}
    asking: list[str] = []
    idle = 0
    while coming or here or asking:
        assert idle < 200, "everybody waits"
        idle += 1
        step = chance.random()
        if coming and step < 0.3:
            host = coming.pop()
            if chance.random() < 0.8:
                order.arrive(host)
                here.append(host)
            idle = 0
        elif asking and step < 0.6:
            by = asking.pop()
            idle = 0
            fate = chance.choice(["has", "blocked", "full", "final"])
            if fate == "has":
                order.has(by)
            else:
                reason = {"blocked": "REGISTRY_FAILED", "full": "DISK_FULL", "final": "NOT_FOUND"}[fate]
                order.failed(by, AgentError(reason, "no"))
            if fate in ("has", "full") and by in here:
                here.remove(by)
                order.leave(by)
        elif here:
            host = chance.choice(here)
            turn = order.turn(host, more=bool(coming))
            if isinstance(turn, Ask):
                assert not asking
                asking.append(turn.by)
                idle = 0
            elif not isinstance(turn, Wait):
                ended[host] = turn
                here.remove(host)
                order.leave(host)
                idle = 0
