"""How a registry is told who asks: the challenge that it gave, and who answers it.

Guarantees that what is secret here does not show in a ``repr``. Implementations: ``tokens`` (who holds the credentials
speaks to the token server), and the agent's, which asks the controller, so that passwords stay on the laptop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Challenge:
    """What ``WWW-Authenticate`` asks for (RFC 9110, section 11.6.1; distribution-spec, token authentication)."""

    scheme: Literal["basic", "bearer"]
    realm: str = ""  # bearer: URL of the token server
    service: str = ""
    scopes: tuple[str, ...] = ()  # "repository:library/app:pull,push"


@dataclass(frozen=True, slots=True)
class AuthorizationWanted:
    """One registry wants to know who asks."""

    registry: str  # as in references: "docker.io", "127.0.0.1:5000"
    url: str  # base URL of the server that asks, which may be a mirror's: "https://registry-1.docker.io"
    challenge: Challenge
    refused: bool = False  # the authorization given before was not enough


@dataclass(frozen=True, slots=True)
class Authorization:
    """The value of an ``Authorization`` header, good for the challenge's scopes only."""

    header: str = field(repr=False)
    seconds: float = 60.0  # for which it holds, from when it was given


class Authorizer(Protocol):
    """Answers challenges."""

    async def authorize(self, wanted: AuthorizationWanted) -> Authorization | None:
        """What to send; ``None``: nothing more can be said than an anonymous caller's word.

        Raises:
            Unauthorized: the credentials that are there were refused by the token server.
            RegistryFailed: the token server cannot be reached, or is not one that may be asked.
        """
        ...
