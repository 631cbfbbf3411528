"""Image references, normalised exactly as Docker does.

``httpd`` means ``docker.io/library/httpd``; a first part is a registry only when it has a dot, a colon, an upper-case
letter or is ``localhost``. The rules are those of github.com/distribution/reference (grammar in ``reference.go``,
normalisation in ``normalize.go``). Nothing but ``InvalidReference`` escapes :meth:`Reference.parse`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from jackstay_oci.digest import Digest
from jackstay_oci.errors import InvalidDigest, InvalidReference

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
OFFICIAL = "library/"
MAX_NAME = 255
"""Longest repository, registry not counted (``RepositoryNameTotalLengthMax``)."""
MAX_TEXT = 4096

_LEGACY_REGISTRY = "index.docker.io"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?", re.ASCII)
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image is: ``registry/repository``, and a tag or a digest or both or neither."""

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The reference that ``text`` writes, short forms completed. A missing tag stays missing.

        Raises:
            InvalidReference: Docker would refuse it, too.
        """
        if not text:
            raise InvalidReference("invalid reference: it is empty")
        if len(text) > MAX_TEXT:
            raise InvalidReference(f"invalid reference {text[:60]!r}…: longer than {MAX_TEXT} characters")
        if _IDENTIFIER.fullmatch(text):
            raise InvalidReference(
                f"invalid reference {text!r}: 64 hex digits are an image id, not a name",
                hint="use sha256: before the digits for an id",
            )
        rest, at, digest_text = text.partition("@")
        digest = _digest(text, digest_text) if at else None
        slash, colon = rest.rfind("/"), rest.rfind(":")
        tag: str | None = None
        if colon > slash:
            rest, tag = rest[:colon], rest[colon + 1 :]
            if _TAG.fullmatch(tag) is None:
                raise _invalid(text, f"the tag {tag[:140]!r} is malformed")
        registry, repository = _split(rest)
        _check(text, registry, repository)
        return cls(registry, repository, tag, digest)

    def __str__(self) -> str:
        return f"{self.name}{self._suffix}"

    @property
    def name(self) -> str:
        """``registry/repository``, in full."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar_name(self) -> str:
        """The name as Docker shows it: without ``docker.io/library/``, without tag and digest."""
        if self.registry != DEFAULT_REGISTRY:
            return self.name
        short = self.repository.removeprefix(OFFICIAL)
        # docker.io/library/a/b must not become a/b, and a name that reads as another registry keeps its prefix.
        if "/" in short and short != self.repository:
            return self.repository
        return short if _split(short) == (self.registry, self.repository) else self.name

    @property
    def familiar(self) -> str:
        """The whole reference as Docker shows it: ``httpd:2.4``."""
        return f"{self.familiar_name}{self._suffix}"

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def with_default_tag(self) -> Reference:
        """Itself, or with the tag ``latest`` when it has neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def with_tag(self, tag: str) -> Reference:
        """The same name with ``tag`` and no digest.

        Raises:
            InvalidReference: the tag is malformed.
        """
        if _TAG.fullmatch(tag) is None:
            raise InvalidReference(f"invalid tag {tag[:140]!r}")
        return replace(self, tag=tag, digest=None)

    def with_digest(self, digest: Digest) -> Reference:
        """The same name with ``digest`` and no tag."""
        return replace(self, tag=None, digest=digest)


def _invalid(text: str, why: str) -> InvalidReference:
    return InvalidReference(f"invalid reference {text[:200]!r}: {why}")


def _digest(text: str, digest_text: str) -> Digest:
    try:
        return Digest.parse(digest_text)
    except InvalidDigest as error:
        raise _invalid(text, error.message) from error


def _split(name: str) -> tuple[str, str]:
    """Registry and repository of a name, as ``splitDockerDomain`` of distribution/reference decides."""
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or any(mark in first for mark in ".:") or first.lower() != first):
        registry, repository = first, rest
    else:
        registry, repository = DEFAULT_REGISTRY, name
    if registry == _LEGACY_REGISTRY:
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = OFFICIAL + repository
    return registry, repository


def _check(text: str, registry: str, repository: str) -> None:
    if repository.lower() != repository:
        raise InvalidReference(
            f"invalid reference {text[:200]!r}: the repository must be lower case", hint=f"try {text[:200].lower()!r}"
        )
    if _REPOSITORY.fullmatch(repository) is None:
        raise _invalid(text, "the repository is malformed")
    if _REGISTRY.fullmatch(registry) is None:
        raise _invalid(text, "the registry is malformed")
    if len(repository) > MAX_NAME:
        raise _invalid(text, f"the repository is longer than {MAX_NAME} characters")
