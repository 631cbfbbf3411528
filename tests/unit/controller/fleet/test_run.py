"""Fan-out: with agents in memory for the rules, and through a real tunnel for the whole."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from jackstay.client import AgentClient, connect
from jackstay.client.messages import DiskUsageRequest, InfoRequest, VersionRequest
from jackstay.errors import AgentError, Unreachable, UsageError
from jackstay.fleet import FleetOptions, Outcome, exit_code, run
from jackstay.inventory import Host


class FakeAgents:
    """Connects to nothing, and counts."""

    def __init__(self, unreachable: tuple[str, ...] = ()) -> None:
        self.unreachable = unreachable
        self.asked: list[str] = []
        self.open = 0
        self.most = 0

    async def __call__(self, host: Host) -> AgentClient:
        self.asked.append(host.name)
        await asyncio.sleep(0)
        if host.name in self.unreachable:
            raise Unreachable(f"{host.name} is away", hint="wait", kind="no-agent")
        self.open += 1
        self.most = max(self.most, self.open)
        return cast(AgentClient, FakeAgent(host, self))


class FakeAgent:
    def __init__(self, host: Host, agents: FakeAgents) -> None:
        self.host = host
        self.agents = agents

    async def close(self) -> None:
        self.agents.open -= 1


def fleet(count: int) -> list[Host]:
    return [Host(name=f"web{n}", address=f"web{n}") for n in range(1, count + 1)]


def failing(*names: str) -> Callable[[AgentClient], Awaitable[str]]:
    async def work(agent: AgentClient) -> str:
        await asyncio.sleep(0.001)
        if agent.host.name in names:
            raise AgentError("NOT_FOUND", "no such image", "pull it")
        return agent.host.name.upper()

    return work


async def test_every_host_has_one_outcome_in_the_order_given() -> None:
    agents = FakeAgents(unreachable=("web2",))
    seen: list[Outcome[str]] = []
    result = await run(fleet(4), failing("web3"), on_outcome=seen.append, connector=agents)
    assert [(o.host, o.outcome) for o in result.outcomes] == [
        ("web1", "ok"),
        ("web2", "unreachable"),
        ("web3", "failed"),
        ("web4", "ok"),
    ]
    one, two, three, _ = result.outcomes
    assert (one.value, one.error) == ("WEB1", None)
    assert two.error is not None
    assert (two.error.kind, two.error.message, two.error.hint) == ("NO_AGENT", "web2 is away", "wait")
    assert three.error is not None
    assert (three.error.kind, three.error.hint) == ("NOT_FOUND", "pull it")
    assert sorted(o.host for o in seen) == ["web1", "web2", "web3", "web4"]
    assert agents.open == 0
    assert [o.host for o in result.failed] == ["web2", "web3"]
    assert exit_code(result) == 1


async def test_no_more_than_the_fan_out_are_at_work() -> None:
    agents = FakeAgents()
    result = await run(fleet(30), failing(), FleetOptions(fanout=5), connector=agents)
    assert agents.most == 5
    assert all(o.ok for o in result.outcomes)


async def test_batches_begin_when_the_one_before_has_ended() -> None:
    agents = FakeAgents()
    ended: list[int] = []
    await run(
        fleet(10),
        failing(),
        FleetOptions(serial="1,3"),
        on_outcome=lambda _: ended.append(len(agents.asked)),
        connector=agents,
    )
    assert ended[0] == 1
    assert max(ended[1:4]) == 4
    assert max(ended[4:7]) == 7


async def test_the_failure_budget_skips_those_not_begun() -> None:
    agents = FakeAgents(unreachable=("web2",))
    result = await run(fleet(6), failing("web1"), FleetOptions(fanout=1, max_fail="2"), connector=agents)
    assert [o.outcome for o in result.outcomes] == ["failed", "unreachable", *["skipped"] * 4]
    assert agents.asked == ["web1", "web2"]
    assert result.stopped_early
    assert exit_code(result) == 5


async def test_unreachable_hosts_can_be_left_out_of_the_budget() -> None:
    agents = FakeAgents(unreachable=("web1", "web2"))
    options = FleetOptions(fanout=1, max_fail="1", ignore_unreachable=True)
    result = await run(fleet(3), failing(), options, connector=agents)
    assert [o.outcome for o in result.outcomes] == ["unreachable", "unreachable", "ok"]
    assert exit_code(result) == 0


async def test_a_budget_used_up_by_the_last_host_stops_nothing() -> None:
    result = await run(fleet(2), failing("web2"), FleetOptions(fanout=1, max_fail="1"), connector=FakeAgents())
    assert not result.stopped_early
    assert exit_code(result) == 1


async def test_a_mistake_on_one_host_does_not_lose_the_others() -> None:
    async def work(agent: AgentClient) -> int:
        if agent.host.name == "web1":
            return 1 // 0
        if agent.host.name == "web2":
            raise asyncio.CancelledError
        return 7

    agents = FakeAgents()
    result = await run(fleet(3), work, connector=agents)
    one, two, three = result.outcomes
    for outcome in (one, two):
        assert outcome.outcome == "failed"
        assert outcome.error is not None
        assert outcome.error.kind == "INTERNAL"
    assert one.error is not None
    assert "ZeroDivisionError" in one.error.message
    assert three.value == 7
    assert agents.open == 0


async def test_work_that_does_not_end_times_out() -> None:
    async def work(agent: AgentClient) -> str:
        if agent.host.name == "web2":
            await asyncio.sleep(60)
        if agent.host.name == "web3":
            raise TimeoutError("its own")  # not ours: a mistake
        return "done"

    agents = FakeAgents()
    result = await run(fleet(3), work, FleetOptions(timeout=0.1), connector=agents)
    assert [o.outcome for o in result.outcomes] == ["ok", "timeout", "failed"]
    assert result.outcomes[1].error is not None
    assert result.outcomes[1].error.kind == "TIMEOUT"
    assert agents.open == 0


async def test_cancelling_closes_every_connection() -> None:
    agents = FakeAgents()

    async def work(agent: AgentClient) -> None:
        await asyncio.sleep(60)

    task = asyncio.create_task(run(fleet(10), work, FleetOptions(fanout=4), connector=agents))
    while agents.open < 4:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert agents.open == 0
    assert len(agents.asked) == 4


async def test_what_the_reporter_raises_comes_out_as_it_is() -> None:
    def report(outcome: Outcome[str]) -> None:
        raise BrokenPipeError

    agents = FakeAgents()
    with pytest.raises(BrokenPipeError):
        await run(fleet(3), failing(), on_outcome=report, connector=agents)
    assert agents.open == 0


@pytest.mark.parametrize("options", [FleetOptions(fanout=0), FleetOptions(serial="x"), FleetOptions(max_fail="0")])
async def test_malformed_options_ask_no_host(options: FleetOptions) -> None:
    agents = FakeAgents()
    with pytest.raises(UsageError):
        await run(fleet(1), failing(), options, connector=agents)
    assert agents.asked == []


async def test_no_hosts() -> None:
    result = await run([], failing(), connector=FakeAgents())
    assert result.outcomes == ()
    assert exit_code(result) == 0


async def test_a_whole_fleet_through_real_tunnels(lab: Any) -> None:
    async def work(agent: AgentClient) -> str:
        if agent.host.name == "hangs":
            await agent.system.disk_usage(DiskUsageRequest())
        if agent.host.name == "fails":
            await agent.system.info(InfoRequest())
        return (await agent.system.version(VersionRequest())).version

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hosts = [
            lab.host(name="good"),
            lab.host(name="hangs"),
            lab.host(name="fails"),
            lab.host(name="silent", port=silent.getsockname()[1]),
            lab.host(name="empty", socket="/nonexistent/agent.sock"),
        ]
        result = await run(
            hosts,
            work,
            FleetOptions(timeout=1.0),
            connector=lambda host: connect(host, lab.settings(connect_timeout=3.0)),
        )
    ends = {o.host: (o.outcome, o.error.kind if o.error else None) for o in result.outcomes}
    assert ends == {
        "good": ("ok", None),
        "hangs": ("timeout", "TIMEOUT"),
        "fails": ("failed", "NOT_FOUND"),
        "silent": ("unreachable", "TIMEOUT"),
        "empty": ("unreachable", "NO_AGENT"),
    }
    assert result.outcomes[0].value == "0.0.9"
    assert lab.left() == []


async def test_cancelling_a_real_fleet_leaves_nothing_open(lab: Any) -> None:
    async def work(agent: AgentClient) -> None:
        await agent.system.disk_usage(DiskUsageRequest())

    hosts = [lab.host(name=f"web{n}") for n in range(6)]
    task = asyncio.create_task(run(hosts, work, connector=lambda host: connect(host, lab.settings())))
    while lab.direct < 6:
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lab.left() == []
