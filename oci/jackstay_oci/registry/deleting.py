"""Deletes tags and manifests, where the registry allows that."""

from __future__ import annotations

from jackstay_oci.errors import RegistryFailed
from jackstay_oci.registry import scopes
from jackstay_oci.registry.manifests import shown
from jackstay_oci.registry.sending import Sender


async def delete(sender: Sender, repository: str, reference: str) -> None:
    """Delete a tag or a manifest.

    Raises:
        NotFound: it is not there.
        RegistryFailed: the registry deletes nothing, or no tags.
    """
    what = f"manifest {shown(repository, reference)}"
    reply = await sender.send(
        "DELETE",
        f"{repository}/manifests/{reference}",
        what=what,
        scopes=(scopes.delete(repository),),
        ok=(200, 202, 204, 400, 405),
    )
    if reply.status >= 400:
        kind = "manifests" if ":" in reference else "tags"
        raise RegistryFailed(
            f"{sender.registry} deletes no {kind} ({what})",
            hint="whoever runs the registry must allow it"
            if ":" in reference
            else "delete the manifest by its digest; every tag of it goes with it",
        )
