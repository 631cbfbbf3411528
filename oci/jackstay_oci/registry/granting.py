"""What one server has granted so far: ``Authorization`` headers by what they are good for, until they end.

Guarantees that many requests at once ask the authorizer once, and that a header never shows in a ``repr``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from jackstay_oci.registry import scopes as scope
from jackstay_oci.registry.authorizing import AuthorizationWanted, Authorizer, Challenge
from jackstay_oci.registry.places import Place

_EARLY = 0.1
"""Part of a header's time that is left unused: clocks differ, and requests take a while."""


class Grants:
    """The headers that the server at *place* accepts."""

    def __init__(
        self, registry: str, place: Place, authorizer: Authorizer, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._place = place
        self._authorizer = authorizer
        self._clock = clock
        self._held: dict[tuple[str, ...], tuple[str, float]] = {}  # wanted scopes: header, end
        self._for_all: tuple[str, ...] | None = None  # under which a header for everything is held: basic
        self._lock = asyncio.Lock()

    def header(self, scopes: Sequence[str]) -> str | None:
        """What to send with a request that needs *scopes*, if that is known already."""
        for key in (self._for_all, scope.merged(scopes)):
            if key is not None and (held := self._held.get(key)) is not None and self._clock() < held[1]:
                return held[0]
        return None

    async def ask(self, scopes: Sequence[str], challenges: Sequence[Challenge], refused: str | None) -> str | None:
        """The header that answers one of *challenges*; ``None``: there is no more to say than was said.

        Args:
            refused: the header that the server did not accept, if one was sent.

        Raises:
            Unauthorized, RegistryFailed: as `Authorizer.authorize`.
        """
        async with self._lock:
            if (held := self.header(scopes)) is not None and held != refused:
                return held
            for challenge in challenges:
                wanted = AuthorizationWanted(
                    self._registry, self._place.base, self._scoped(challenge, scopes), refused=refused is not None
                )
                given = await self._authorizer.authorize(wanted)
                if given is None or given.header == refused:
                    continue
                key = scope.merged(scopes)
                if challenge.scheme == "basic":
                    self._for_all = key = ()
                self._held[key] = (given.header, self._clock() + given.seconds * (1 - _EARLY))
                return given.header
            return None

    def _scoped(self, challenge: Challenge, scopes: Sequence[str]) -> Challenge:
        if challenge.scheme == "basic":
            return challenge
        # A mirror may know the repository by another name, which its own challenge says.
        own = () if self._place.mirror and challenge.scopes else tuple(scopes)
        return replace(challenge, scopes=scope.merged((*challenge.scopes, *own)))
