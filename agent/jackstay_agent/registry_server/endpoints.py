"""Which endpoint of the API a path means (distribution-spec, endpoints). Pure.

Read from its end, since a repository's name may have the words of the API in it. The name means what it means in
`jackstay images`: ``app`` is ``docker.io/library/app``, and ``ghcr.io/foo/app`` keeps its registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jackstay_agent.errors import InvalidReference
from jackstay_agent.registry_server.refusals import Refusal
from jackstay_oci.reference import Reference

Kind = Literal["base", "catalogue", "tags", "manifest", "referrers", "blob", "uploads", "upload"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is asked for: of a repository, `path` being its name as it was written, and a tag, digest or upload."""

    kind: Kind
    path: str = ""
    repository: str = ""  # canonical: "docker.io/library/app"
    argument: str = ""


def parse(path: str) -> Endpoint:
    """The endpoint of a request's decoded *path*. Raises `Refusal` for a path or a name that is none."""
    if not path.startswith("/v2"):
        raise _unknown(path)
    if path in ("/v2", "/v2/"):
        return Endpoint("base")
    parts = path.removeprefix("/v2/").split("/")
    match parts:
        case ["_catalog"]:
            return Endpoint("catalogue")
        case [*name, "tags", "list"] if name:
            return _of(name, "tags")
        case [*name, "blobs", "uploads"] | [*name, "blobs", "uploads", ""] if name:
            return _of(name, "uploads")
        case [*name, "blobs", "uploads", upload] if name:
            return _of(name, "upload", upload)
        case [*name, "manifests", reference] if name and reference:
            return _of(name, "manifest", reference)
        case [*name, "referrers", digest] if name and digest:
            return _of(name, "referrers", digest)
        case [*name, "blobs", digest] if name and digest:
            return _of(name, "blob", digest)
    raise _unknown(path)


def _of(name: list[str], kind: Kind, argument: str = "") -> Endpoint:
    path = "/".join(name)
    try:
        reference = Reference.parse(path)
    except InvalidReference as error:
        raise Refusal(400, "NAME_INVALID", error.message) from error
    if reference.tag is not None or reference.digest is not None or reference.familiar_name == "sha256":
        raise Refusal(400, "NAME_INVALID", f"{path[:200]!r} is no name of a repository")
    return Endpoint(kind, path, reference.name, argument)


def _unknown(path: str) -> Refusal:
    return Refusal(404, "UNSUPPORTED", f"there is nothing at {path[:200]!r}")
