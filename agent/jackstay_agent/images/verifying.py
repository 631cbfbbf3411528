"""Whether an image of a registry may be here: by the keys of who pulls it, and by the policy of this host.

A host's policy holds for what comes of a registry. This host looks at the signatures itself, there: an image that the
controller brings in place of a pull (from another host that has pulled it, or because it asks the registry itself, as
in a copy of ``docker://``) is not taken where the policy asks for signatures or rejects the image. What is loaded,
copied from another host's images, imported, committed or pushed to this host is not looked at: that is what somebody
who is root here has chosen, and a policy may fit the names of images of one's own.

Guarantees that a key that is asked for and cannot be read lets nothing through. Files of keys are read at every pull,
so that they can be changed without a restart, and a missing one holds up pulls, not the agent.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jackstay_agent.errors import InvalidArgument, PolicyRefused, Untrusted
from jackstay_agent.kernel import threads
from jackstay_oci.digest import Digest
from jackstay_oci.reference import Reference
from jackstay_oci.registry.registry import Registry
from jackstay_oci.signatures.policy import Policy, policy_for

if TYPE_CHECKING:
    from jackstay_oci.signatures.keys import PublicKey

MAX_KEYS = 20
"""Most keys that one pull may name."""

_SETTINGS = "see [registries.policy] in the agent's configuration on this host"


@dataclass(frozen=True, slots=True)
class Demand:
    """One of `keys` must have signed the image. `scope` is what the host's policy says that of; empty: who pulls
    asks for it."""

    keys: Sequence[PublicKey]
    scope: str = ""


class Verifier:
    """Knows the host's policies. The libraries that check signatures are loaded by the first who needs them."""

    def __init__(self, policies: Mapping[str, Policy] | None = None) -> None:
        self._policies = dict(policies or {})

    def accept_relayed(self, reference: Reference) -> None:
        """Accept that the controller brings what was asked for as *reference*. Raises `PolicyRefused`."""
        scope, policy = policy_for(self._policies, reference.name)
        if policy != "accept":
            raise PolicyRefused(
                f"{reference.familiar} is taken from its registry alone: this host has a policy for {_said(scope)}",
                hint="pull it on this host (copy: --via registry), or " + _SETTINGS,
            )

    async def demands(self, reference: Reference, keys: Sequence[bytes]) -> list[Demand]:
        """What is asked of the image: by *keys* (PEM, any of them), if there are any, and by the policy.

        Raises:
            PolicyRefused: the host's policy rejects it, or a key of the policy's is none or cannot be read.
            InvalidArgument: one of *keys* is none.
        """
        scope, policy = policy_for(self._policies, reference.name)
        if policy == "reject":
            message = f"{reference.familiar} is rejected: this host has a policy for {_said(scope)}"
            raise PolicyRefused(message, hint=_SETTINGS)
        demands = []
        if keys:
            demands.append(Demand(await threads.finish(_given, keys)))
        if policy != "accept":
            demands.append(Demand(await threads.finish(_read, policy.keys), scope))
        return demands

    async def verify(self, registry: Registry, name: str, digest: Digest, demands: Sequence[Demand]) -> None:
        """Accept the image *digest* of the repository *name* (in full): it is signed as the *demands* say.

        Raises:
            Untrusted: it is not, as who pulls asks for it.
            PolicyRefused: it is not, as the host's policy asks for it.
            Unauthorized, RateLimited, RegistryFailed: the registry does not say.
        """
        if not demands:
            return
        await asyncio.to_thread(importlib.import_module, "jackstay_oci.signatures.finding")
        from jackstay_oci.signatures.finding import find_signatures
        from jackstay_oci.signatures.judging import judge

        signatures = await find_signatures(registry, Reference.parse(name).repository, digest)
        for demand in demands:
            try:
                # In a thread: many signatures and many keys take their time.
                await threads.finish(judge, signatures, demand.keys, name, digest)
            except Untrusted as error:
                if not demand.scope:
                    raise
                message = f"{error.message}; this host has a policy for {_said(demand.scope)}"
                raise PolicyRefused(message, hint=f"have it signed, or {_SETTINGS}") from None


def _said(scope: str) -> str:
    return "every registry" if scope == "*" else scope


def _given(pems: Sequence[bytes]) -> list[PublicKey]:
    """The keys of who pulls."""
    from jackstay_oci.signatures.keys import parse_key

    if len(pems) > MAX_KEYS:
        raise InvalidArgument(f"{len(pems)} keys to verify an image with, expected at most {MAX_KEYS}")
    if len(pems) == 1:
        return [parse_key(pems[0], "the key given")]
    return [parse_key(pem, f"key {number}") for number, pem in enumerate(pems, 1)]


def _read(paths: Sequence[str]) -> list[PublicKey]:
    """The keys in files that the policy names."""
    from jackstay_oci.signatures.keys import MAX_PEM, parse_key

    keys = []
    for path in paths:
        try:
            with Path(path).open("rb") as file:
                pem = file.read(MAX_PEM + 1)
            keys.append(parse_key(pem, path))
        except OSError as error:
            message = f"{path}, a key of this host's policy, cannot be read: {error.strerror}"
            raise PolicyRefused(message, hint=_SETTINGS) from error
        except InvalidArgument as error:
            raise PolicyRefused(f"{error.message}: a key of this host's policy", hint=error.hint) from error
    return keys
