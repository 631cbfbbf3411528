"""Who holds credentials answers registries' challenges by them: basic, or a token that the registry's token server
gives for what is wanted (token specification of distribution: GET with basic, POST with an identity token).

Guarantees that no secret shows in a ``repr`` or an error, and that a mirror is never given what is meant for the
registry. HTTP's library is imported only when a token server is asked.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from jackstay_oci.errors import Unauthorized
from jackstay_oci.registry.authorizing import Authorization, AuthorizationWanted
from jackstay_oci.registry.places import credential_name
from jackstay_oci.registry.retrying import Patience
from jackstay_oci.registry.settings import RegistrySettings

BASIC_SECONDS = 3600.0
"""How long a name and a password count as good without asking for them again."""


@dataclass(frozen=True, slots=True)
class Credential:
    """Whom a registry knows: by name and password, or by an identity token, which stands for both."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


Lookup = Callable[[str], Awaitable[Credential | None]]
"""The credential for a registry (``docker.io``), if there is one."""


class PasswordAuthorizer:
    """Answers by credentials; an `Authorizer`.

    Args:
        lookup: gives the credential for a registry's or a mirror's name.
        settings: how the registry is reached; its CAs are the token server's, too.
        environ: where proxies are named; by default this process's environment.
    """

    def __init__(
        self,
        lookup: Lookup,
        settings: RegistrySettings | None = None,
        *,
        patience: Patience | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._lookup = lookup
        self._settings = settings or RegistrySettings()
        self._patience = patience or Patience()
        self._environ = os.environ if environ is None else environ

    async def authorize(self, wanted: AuthorizationWanted) -> Authorization | None:
        """See `Authorizer.authorize`."""
        name = credential_name(wanted.registry, wanted.url)
        credential = await self._lookup(name)
        if wanted.challenge.scheme == "basic":
            if credential is None or not credential.password:
                return None
            if wanted.refused:
                raise Unauthorized(
                    f"{name} refuses the password of {credential.username!r}", hint=f"jackstay login {name}"
                )
            return Authorization(basic(credential), BASIC_SECONDS)
        from jackstay_oci.registry import token_requests

        return await token_requests.ask(
            wanted, name, credential, self._settings, patience=self._patience, environ=self._environ
        )


class AnonymousAuthorizer(PasswordAuthorizer):
    """Gets the tokens that registries give to everybody."""

    def __init__(
        self,
        settings: RegistrySettings | None = None,
        *,
        patience: Patience | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(_nobody, settings, patience=patience, environ=environ)


async def _nobody(_: str) -> Credential | None:
    return None


def basic(credential: Credential) -> str:
    """The header of RFC 7617. A password may hold anything, also colons."""
    return "Basic " + base64.b64encode(f"{credential.username}:{credential.password}".encode()).decode()
