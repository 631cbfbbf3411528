"""Some hosts, chosen: every verb goes to all of them and ends in one outcome a host."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from jackstay.errors import Error
from jackstay.fleet import FleetResult, Outcome, run

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.inventory import Host
    from jackstay.library.containers import Containers
    from jackstay.library.fleet import Fleet
    from jackstay.library.images import Images
    from jackstay.library.networks import Networks
    from jackstay.library.secrets import Secrets
    from jackstay.library.system import System
    from jackstay.library.volumes import Volumes

T = TypeVar("T")
OnBegin = Callable[["Host"], None]
OnOutcome = Callable[[Outcome[Any]], None]

_ERRORS_TOLD = 10


class Hosts:
    """Hosts to work on, in order, each once."""

    def __init__(self, hosts: Sequence[Host], fleet: Fleet) -> None:
        self.hosts = tuple(hosts)
        self.fleet = fleet
        self.on_outcome: OnOutcome | None = None
        """Called as each host ends; set it to show outcomes while others still work."""
        self.on_begin: OnBegin | None = None
        """Called before a host is connected to."""

    def __len__(self) -> int:
        return len(self.hosts)

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts)

    @property
    def names(self) -> tuple[str, ...]:
        """What the user calls them."""
        return tuple(host.name for host in self.hosts)

    @cached_property
    def images(self) -> Images:
        """Images on the hosts."""
        from jackstay.library.images import Images

        return Images(self)

    @cached_property
    def containers(self) -> Containers:
        """Containers on the hosts."""
        from jackstay.library.containers import Containers

        return Containers(self)

    @cached_property
    def secrets(self) -> Secrets:
        """Secrets on the hosts."""
        from jackstay.library.secrets import Secrets

        return Secrets(self)

    @cached_property
    def volumes(self) -> Volumes:
        """Volumes on the hosts."""
        from jackstay.library.volumes import Volumes

        return Volumes(self)

    @cached_property
    def networks(self) -> Networks:
        """Networks on the hosts."""
        from jackstay.library.networks import Networks

        return Networks(self)

    @cached_property
    def system(self) -> System:
        """The agents themselves."""
        from jackstay.library.system import System

        return System(self)

    async def run(
        self,
        work: Callable[[AgentClient], Awaitable[T]],
        *,
        so_far: Mapping[str, T] | None = None,
        at_once: bool = False,
    ) -> FleetResult[T]:
        """Do ``work`` with every host's agent; what it raises becomes that host's outcome.

        ``so_far`` is what ``work`` fills in by a host's name while it goes on: the ``value`` of a host that fails.
        ``at_once``: it has no end of its own, so no host may wait for another's.

        Raises:
            UsageError: the fleet's options are malformed.
        """

        def whole(outcome: Outcome[T]) -> Outcome[T]:
            begun = None if outcome.ok or so_far is None else so_far.get(outcome.host)
            return outcome._replace(value=begun) if begun else outcome

        tell = self.on_outcome
        options = self.fleet.options
        if at_once:
            options = options._replace(fanout=max(options.fanout, len(self)), serial=None)
        result = await run(
            self.hosts,
            work,
            options,
            on_begin=self.on_begin,
            on_outcome=(lambda outcome: tell(whole(outcome))) if tell else None,
            connector=self.fleet.connector,
        )
        return result._replace(outcomes=tuple(map(whole, result.outcomes)))

    async def each(
        self, names: Sequence[str], work: Callable[[AgentClient, str], Awaitable[T]]
    ) -> FleetResult[list[T]]:
        """Do ``work`` for every name on every host, going on after one fails, as docker does.

        A host where some failed has the first error, whose message tells the others' too, and, as ``value``, what was
        done.
        """
        done: dict[str, list[T]] = {}

        async def all_names(agent: AgentClient) -> list[T]:
            finished = done[agent.host.name] = []
            errors: list[Error] = []
            for name in names:
                try:
                    finished.append(await work(agent, name))
                except Error as error:
                    errors.append(error)
            if errors:
                errors[0].message = _told(errors)
                raise errors[0]
            return finished

        return await self.run(all_names, so_far=done)


def _told(errors: Sequence[Error]) -> str:
    """The messages of several errors as one line; of very many the first ones."""
    told = list(dict.fromkeys(error.message for error in errors))
    more = f"; and {len(told) - _ERRORS_TOLD} more failed" if len(told) > _ERRORS_TOLD else ""
    return "; ".join(told[:_ERRORS_TOLD]) + more
