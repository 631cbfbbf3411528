"""What the rest of the agent knows of an image that is here: a value."""

from __future__ import annotations

from dataclasses import dataclass

from jackstay_oci.digest import Digest
from jackstay_oci.reference import Reference


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One row of ``images`` with its names."""

    root: Digest  # of the manifest or index
    media_type: str  # of the root
    manifest: Digest  # of this platform's manifest; the root itself unless that is an index
    image_id: Digest  # of the config
    chain_id: str  # snapshot key of the whole stack of layers, "" for none
    names: tuple[str, ...]  # canonical references
    created: int  # nanoseconds since 1970, from the config
    stored: int  # nanoseconds since 1970
    labels: dict[str, str]
    pushed: tuple[str, ...] = ()  # canonical references with the digests by which registries know it, the latest first

    def digests_in(self, repository: str) -> tuple[Digest, ...]:
        """By which digests it is known in a canonical *repository*: as what it was pushed to it, the latest first;
        its root, where it was not pushed or was pulled by that."""
        by_digest = {Digest(each.rpartition("@")[2]): None for each in self.pushed if _repository(each) == repository}
        if not by_digest or f"{repository}@{self.root}" in self.names:
            by_digest[self.root] = None
        return tuple(by_digest)

    @property
    def repo_digests(self) -> list[str]:
        """Docker's `RepoDigests`: familiar references with these digests, of every repository that it has a name in or
        was pushed to."""
        repositories = {_repository(each) for each in (*self.names, *self.pushed)}
        return sorted(
            Reference.parse(repository).with_digest(digest).familiar
            for repository in repositories
            for digest in self.digests_in(repository)
        )


def _repository(name: str) -> str:
    return Reference.parse(name).name
