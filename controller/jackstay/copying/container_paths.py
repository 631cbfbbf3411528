"""What ``cp SRC DST`` means, as docker has it. Pure: texts and facts in, a decision or an error out.

Paths end in ``/.`` when what is in a folder is meant, and in ``/`` when it must be a folder; so nothing here cleans
them before that was looked at. The four cases, by what the destination is: a folder takes the source in; a file is
replaced by a file; nothing becomes the source, under the name that is given; and a folder never goes onto a file.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from jackstay.errors import InvalidArgument, UsageError

STREAM = "-"


@dataclass(frozen=True, slots=True)
class Ends:
    """The two arguments: one side is in ``container``, the other one a local path or ``STREAM``."""

    container: str
    path: str  # in the container
    local: str
    to_container: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """A side as it is. ``path``: as it was given, links at its end followed where they are."""

    path: str
    exists: bool
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The folder that the tar is unpacked in, and what the source is called there; "." for what is in it."""

    folder: str
    name: str


def parse_ends(source: str, destination: str) -> Ends:
    """Which side is in a container.

    Raises:
        UsageError: none is, or both are.
    """
    (from_container, from_path), (to_container, to_path) = split_argument(source), split_argument(destination)
    if from_container is not None and to_container is not None:
        raise UsageError(
            "cp: copying between containers is not supported",
            hint=f"jackstay cp {source} - | jackstay cp - {destination}",
        )
    if to_container is not None:
        return Ends(_named(to_container, destination), to_path or "/", source, True)
    if from_container is not None:
        return Ends(_named(from_container, source), from_path or "/", destination, False)
    raise UsageError("cp: must specify at least one container source", hint="write CONTAINER:PATH on one side")


def split_argument(text: str) -> tuple[str | None, str]:
    """``app:/x`` to the container and the path; no container for what is absolute or begins with a dot."""
    if text.startswith("/"):
        return None, text
    container, colon, path = text.partition(":")
    if not colon or container.startswith("."):
        return None, text
    return container, path


def split_entry(path: str) -> tuple[str, str]:
    """The folder that *path* is in, and its name there, which is "." for a path that ends in one."""
    clean = posixpath.normpath(path)
    if clean.startswith("//"):
        clean = clean[1:]
    if clean == "/" or path in (".", "/.") or path.endswith("/."):
        return clean, "."
    return posixpath.dirname(clean) or ".", posixpath.basename(clean)


def asserts_folder(path: str) -> bool:
    """Whether *path* says that it is a folder."""
    return path.endswith(("/", "/.")) or path == "."


def plan(source: Facts, destination: Facts) -> Plan:
    """Where the source goes.

    Raises:
        InvalidArgument: it cannot go there.
    """
    name = split_entry(source.path)[1]
    above, called = split_entry(destination.path)
    if destination.exists and destination.is_folder:
        return Plan(destination.path, name)
    if destination.exists:
        if source.is_folder:
            raise InvalidArgument(f"cannot copy directory {source.path} onto the file {destination.path}")
        if asserts_folder(destination.path):
            raise InvalidArgument(f"{destination.path}: not a directory")
        return Plan(above, called)
    if called == "." or (asserts_folder(destination.path) and not source.is_folder):
        raise InvalidArgument(f"{destination.path}: no such directory", hint="make it first")
    return Plan(above, called)


def _named(container: str, argument: str) -> str:
    if not container:
        raise UsageError(f"cp: {argument!r} names no container", hint="write CONTAINER:PATH")
    return container
