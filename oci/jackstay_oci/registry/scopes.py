"""Scopes of bearer tokens, as the token specification of distribution writes them: ``repository:library/app:pull``."""

from __future__ import annotations

from collections.abc import Iterable

CATALOG = "registry:catalog:*"


def pull(repository: str) -> str:
    """The scope that reads a repository."""
    return f"repository:{repository}:pull"


def push(repository: str) -> str:
    """The scope that reads and writes a repository. Registries grant no writing without reading."""
    return f"repository:{repository}:pull,push"


def delete(repository: str) -> str:
    """The scope that deletes from a repository."""
    return f"repository:{repository}:delete,pull"


def merged(scopes: Iterable[str]) -> tuple[str, ...]:
    """The same scopes, each resource once with all of its actions, sorted: equal sets of rights are equal values."""
    actions: dict[str, set[str]] = {}
    for scope in scopes:
        resource, _, wanted = scope.rpartition(":")
        if resource:
            actions.setdefault(resource, set()).update(filter(None, wanted.split(",")))
    return tuple(f"{resource}:{','.join(sorted(wanted))}" for resource, wanted in sorted(actions.items()))
