"""The names of images in archives: ``RepoTags``, and the annotations of an index.

Docker ≥ 25 and containerd write the full name to ``io.containerd.image.name`` and the tag to
``org.opencontainers.image.ref.name``; Podman and skopeo write the whole reference to the latter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from jackstay_oci.errors import (
    DigestMismatch,
    Error,
    InvalidArchive,
    InvalidDocument,
    InvalidReference,
    LimitExceeded,
    NotFound,
)
from jackstay_oci.reference import Reference

IMAGE_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"


def canonical(name: str) -> str | None:
    """The name in full, with its tag; ``None`` for one with a digest, which says no more than the image itself.

    Raises:
        InvalidArchive: it is malformed.
    """
    try:
        reference = Reference.parse(name)
    except InvalidReference as error:
        raise InvalidArchive(f"it names an image badly: {error.message}") from error
    return None if reference.digest is not None else str(reference.with_default_tag())


def label(annotations: Mapping[str, str]) -> str:
    """What a descriptor of an index is called there, whatever that is; empty when it has no name."""
    reference = annotations.get(REF_NAME, "")
    return reference if _is_whole(reference) else annotations.get(IMAGE_NAME) or reference


def annotated_name(annotations: Mapping[str, str]) -> str | None:
    """The name that a descriptor of an index has, in full; ``None`` when it has none that Docker would take.

    A whole reference in ``ref.name`` comes first: umoci renames an image there, and copies the other annotation.

    Raises:
        InvalidArchive: ``io.containerd.image.name`` is malformed.
    """
    reference = annotations.get(REF_NAME, "")
    if _is_whole(reference):
        try:
            return canonical(reference)
        except InvalidArchive:
            pass  # the specification allows more than Docker does, and no tool promised that this is a name
    name = annotations.get(IMAGE_NAME)
    return canonical(name) if name else None  # a word alone is a tag, of a repository that nobody wrote down


def _is_whole(reference: str) -> bool:
    """Whether it says more than a tag."""
    return "/" in reference or ":" in reference


def annotations_of(name: str, *, whole: bool) -> dict[str, str]:
    """The annotations that give a descriptor the name.

    With ``whole`` the reference is as Podman and skopeo write it. They choose an image by it, which a tag that several
    images have does not allow.
    """
    reference = name if whole else Reference.parse(name).tag
    return {IMAGE_NAME: name, REF_NAME: reference} if reference else {IMAGE_NAME: name}


_HINTS: dict[type[Error], str] = {
    InvalidArchive: "it must be an archive of `docker save`, an OCI archive or an OCI folder, and whole: save it anew",
    InvalidDocument: "save the image anew",
    DigestMismatch: "it is damaged: save or copy it anew",
    NotFound: "check the name",
    LimitExceeded: "no honest image passes this bound",
}
"""What to do about an error of an archive that does not say so itself."""


@contextmanager
def errors_naming(archive: str) -> Iterator[None]:
    """Run the block; errors that it raises say which archive they are about, and what to do."""
    try:
        yield
    except Error as error:
        raise type(error)(f"{archive}: {error.message}", hint=error.hint or _HINTS.get(type(error), "")) from error
