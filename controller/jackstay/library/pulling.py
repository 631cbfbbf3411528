"""Images that many hosts want of a registry: it is asked once, and every other host copies from one that has the image.

Who does what is decided by :mod:`jackstay.copying.pull_order`; here it is done. Hosts of different platforms take
different parts of an image, so each platform has an order of its own.

Signatures are checked by whoever asks the registry; the others copy what was checked, by its digest, and take the word
of who asked. A host with a policy of its own takes no such copy: it asks the registry itself.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from jackstay.copying.copy import copy_to_agent, fetched_objects
from jackstay.copying.host_source import HostSource
from jackstay.copying.pull import pull_to_agent, pulled_object
from jackstay.copying.pull_order import BY_POLICY, HERE, NO_WAY_OUT, Copy, Fail, PullOrder, Wait
from jackstay.copying.shared_source import SharedSource
from jackstay.copying.verifying import parse_keys, verify
from jackstay.errors import AgentError, Error, InvalidReference
from jackstay_oci import platforms
from jackstay_oci.digest import Digest
from jackstay_oci.reference import Reference

if TYPE_CHECKING:
    from jackstay.client import AgentClient, messages
    from jackstay.copying.progress import CopyProgress, HostProgress
    from jackstay.copying.serve import Fetched
    from jackstay.copying.sources import RangeSource, SourceImage
    from jackstay.fleet import Outcome
    from jackstay.inventory import Host
    from jackstay.library.hosts import Hosts, OnBegin, OnOutcome
    from jackstay_oci.registry.authorizing import Authorizer

Key = tuple[str, str]
"""A reference and the platform that is taken of it."""


def parsed(name: str) -> Reference:
    """The reference that a pull of *name* means: with a digest, or with a tag.

    Raises:
        InvalidReference: it is malformed, or reads as a digest.
    """
    reference = Reference.parse(name)
    if reference.familiar_name == "sha256":
        raise InvalidReference(f"{name!r} cannot be pulled: it reads as a digest", hint="give a name and a tag")
    return reference.with_digest(reference.digest) if reference.digest else reference.with_default_tag()


@dataclass(frozen=True, slots=True)
class _Given:
    """An image where it can be copied from; `shared` reads it once for all."""

    source: RangeSource
    shared: SharedSource
    image: SourceImage

    async def close(self) -> None:
        await self.shared.close()
        await self.source.close()


class Pulling:
    """Pulls for one run over *hosts*; an async context manager around it, which closes what was opened to copy from.

    Raises:
        InvalidArgument: one of *verify_keys* (PEM) is no public key.
    """

    def __init__(
        self,
        hosts: Hosts,
        authorizer: Authorizer | None = None,
        *,
        platform: str = "",
        all_platforms: bool = False,
        verify_keys: Sequence[bytes] = (),
        progress: CopyProgress | None = None,
    ) -> None:
        self._hosts = hosts
        self._authorizer = authorizer or default_authorizer()
        self._platform = platform
        self._all_platforms = all_platforms
        self._pull = partial(
            pull_to_agent,
            authorizer=self._authorizer,
            platform=platform,
            all_platforms=all_platforms,
            verify_keys=verify_keys,
        )
        self._keys = parse_keys(verify_keys)
        self._progress = progress
        self._orders: dict[Key, PullOrder] = {}
        self._digests: dict[Key, str] = {}  # of the root, once somebody has it
        self._given: dict[tuple[Key, str], asyncio.Task[_Given]] = {}
        self._begun: set[str] = set()  # and not at its end
        self._arrived: dict[str, set[str]] = {}  # by reference
        self._changed = asyncio.Event()
        self._hooks: tuple[OnBegin | None, OnOutcome | None] | None = None

    async def __aenter__(self) -> Self:
        return self

    def watch(self) -> None:
        """Let the run that follows tell of hosts that begin and end: all of them will want the image, and none gives up
        for want of a way out while another may still come that has one."""
        began, ended = self._hooks = self._hosts.on_begin, self._hosts.on_outcome

        def on_begin(host: Host) -> None:
            self._begun.add(host.name)
            if began is not None:
                began(host)

        def on_outcome(outcome: Outcome[Any]) -> None:
            self._begun.discard(outcome.host)
            self._tell()
            if ended is not None:
                ended(outcome)

        self._hosts.on_begin, self._hosts.on_outcome = on_begin, on_outcome

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hooks is not None:
            self._hosts.on_begin, self._hosts.on_outcome = self._hooks
        for task in self._given.values():
            task.cancel()
        for given in await asyncio.gather(*self._given.values(), return_exceptions=True):
            if isinstance(given, _Given):
                await given.close()
        self._given.clear()

    async def pull(self, agent: AgentClient, reference: Reference) -> dict[str, Any]:
        """Make the image be on the agent's host; an element of ``data``.

        Raises:
            Error: why it is not: what the registry said, or what befell this host.
        """
        host = agent.host.name
        key = (str(reference), self._group(agent))
        order = self._orders.setdefault(key, PullOrder())
        arrived = self._arrived.setdefault(key[0], set())
        order.arrive(host)
        arrived.add(host)
        self._tell()
        begun = time.monotonic()
        progress = self._progress.host(host) if self._progress else None
        try:
            while True:
                turn = order.turn(host, more=bool(self._begun - arrived))
                if isinstance(turn, Fail):
                    raise AgentError(turn.error.reason, turn.error.message, turn.error.hint)
                if isinstance(turn, Wait):
                    await self._changed.wait()
                elif isinstance(turn, Copy):
                    try:
                        copied = await self._copy(order, key, turn.giver, agent)
                    except Error as error:
                        if error.reason != BY_POLICY:
                            raise
                        by_itself = await self._by_itself(agent, reference, progress, error)
                        return pulled_object(by_itself, reference, time.monotonic() - begun)
                    if copied is not None:
                        order.has(host)
                        return copied_object(*copied, reference, time.monotonic() - begun)
                elif turn.by == HERE:
                    await self._ask_from_here(order, key)
                else:
                    done = await self._ask(order, agent, reference, progress)
                    if done is not None:
                        self._digests[key] = done.image.root.digest
                        order.has(host)
                        return pulled_object(done, reference, time.monotonic() - begun)
        finally:
            order.leave(host)
            if progress is not None:
                progress.finished = True
            self._tell()

    def _group(self, agent: AgentClient) -> str:
        if self._all_platforms:
            return ""
        return self._platform or f"{agent.version.os or 'linux'}/{agent.version.architecture}"

    def _tell(self) -> None:
        """Wake whoever waits for a turn."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _ask(
        self, order: PullOrder, agent: AgentClient, reference: Reference, progress: HostProgress | None
    ) -> messages.PullDone | None:
        """Have the host ask the registry; ``None``: it has no way out, and another one's turn comes."""
        try:
            return await self._pull(agent, reference, progress=progress)
        except BaseException as error:
            known = error if isinstance(error, Error) else None
            order.failed(agent.host.name, known)
            self._tell()
            if known is None or known.reason != NO_WAY_OUT:
                raise
            return None

    async def _by_itself(
        self, agent: AgentClient, reference: Reference, progress: HostProgress | None, refused: Error
    ) -> messages.PullDone:
        """Have a host ask the registry that takes no copy, by its own policy."""
        try:
            return await self._pull(agent, reference, progress=progress)
        except Error as error:
            if error.reason != NO_WAY_OUT:
                raise
            hint = "give the host a way to the registry, or change its policy"
            raise AgentError(refused.reason, f"{refused.message}, and {error.message}", hint) from error

    async def _ask_from_here(self, order: PullOrder, key: Key) -> None:
        """Have this machine ask the registry for the image's manifests; the hosts then make it ask for the rest."""
        try:
            await self._open(key, HERE)
        except BaseException as error:
            order.failed(HERE, error if isinstance(error, Error) else None)
            if not isinstance(error, Error):
                raise
        else:
            order.has(HERE)
        finally:
            self._tell()

    async def _copy(self, order: PullOrder, key: Key, giver: str, agent: AgentClient) -> tuple[Fetched, _Given] | None:
        """Copy from who has it; ``None``: that one has it no more, or cannot be reached."""
        try:
            given = await self._open(key, giver)
        except Error as error:
            order.lost(giver, error)
            return None
        try:
            return await copy_to_agent(agent, given.shared, [given.image], self._progress), given
        except Error as error:
            if error.reason != "SOURCE_FAILED":
                raise
            order.lost(giver, error)
            return None

    async def _open(self, key: Key, giver: str) -> _Given:
        """The image at *giver*, opened once for all who copy it."""
        task = self._given.get((key, giver))
        if task is None:
            opening = self._here(key) if giver == HERE else self._at(key, giver)
            task = self._given[key, giver] = asyncio.ensure_future(opening)
        return await asyncio.shield(task)  # who asked first may leave while others wait

    async def _at(self, key: Key, giver: str) -> _Given:
        host = next(host for host in self._hosts if host.name == giver)
        name = f"{Reference.parse(key[0]).name}@{self._digests[key]}"
        given = await self._first(HostSource(await self._hosts.fleet.connect(host)), name, key)
        if given.image.root.digest != self._digests[key]:  # it has pushed the image, whose layers are others there
            await given.close()
            raise AgentError("NOT_FOUND", f"{giver} has not the copy of {name} that the registry has")
        return given

    async def _here(self, key: Key) -> _Given:
        from jackstay.copying.registry_source import RegistrySource
        from jackstay.inventory.registry_settings import registry_settings
        from jackstay_oci.registry.client import connect

        reference, group = key
        registry = await connect(Reference.parse(reference).registry, self._authorizer, registry_settings(os.environ))
        source = RegistrySource(registry, platforms.parse(group) if group else None)
        given = await self._first(source, reference, key)
        try:
            await verify(registry, Reference.parse(reference), Digest.parse(given.image.root.digest), self._keys)
        except BaseException:
            await given.close()
            raise
        return given

    async def _first(self, source: RangeSource, name: str, key: Key) -> _Given:
        try:
            found = (await source.images([name]))[0]
        except BaseException:
            await source.close()
            raise
        image = replace(found, names=(key[0],), pulled=True)
        image = image.wanting(self._platform, all_platforms=self._all_platforms)
        return _Given(source, SharedSource(source, [image]), image)


def copied_object(fetched: Fetched, given: _Given, reference: Reference, seconds: float) -> dict[str, Any]:
    """What a copy did in place of a pull, as an element of ``data``."""
    (item,) = fetched_objects(fetched, [given.image], given.source.name, given.source.via, seconds)
    return {**item, "image": str(reference), "changed": fetched.done.images[0].changed}


def default_authorizer() -> Authorizer:
    """Who we are by docker's configuration on this machine."""
    from jackstay.credentials.lookup import credentials
    from jackstay.inventory.registry_settings import registry_settings
    from jackstay_oci.registry.tokens import PasswordAuthorizer

    return PasswordAuthorizer(credentials(os.environ), registry_settings(os.environ))
