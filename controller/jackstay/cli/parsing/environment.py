"""Environment variables and labels from flags and files, by docker's rules. Pure, except that files are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jackstay_oci.errors import InvalidArgument, NotFound

MAX_FILE = 4 * 1024 * 1024
"""Bytes of an ``--env-file`` that are read at most."""


def parse_environment(texts: Iterable[str], outside: Mapping[str, str]) -> list[str]:
    """``NAME=value`` as it is; a bare ``NAME`` takes its value from ``outside`` and is left out when absent there.

    Raises:
        InvalidArgument: a name is empty or holds a space.
    """
    result: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        _check_name(text, name)
        if equals:
            result[name] = value
        elif name in outside:
            result[name] = outside[name]
    return [f"{name}={value}" for name, value in result.items()]


def parse_environment_lines(text: str, where: str) -> list[str]:
    """The assignments of an ``--env-file``: a line each, ``#`` starts a comment line, values are taken literally.

    Raises:
        InvalidArgument: a line has no usable name; the message has its number.
    """
    assignments = []
    for number, whole in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        line = whole.lstrip()
        if not line or line.startswith("#"):
            continue
        name = line.partition("=")[0]
        if not name or any(mark.isspace() for mark in name):
            raise InvalidArgument(f"{where}: line {number}: {name!r} is not a variable's name")
        assignments.append(line)
    return assignments


def read_environment_file(path: str) -> list[str]:
    """:func:`parse_environment_lines` of a file on this machine.

    Raises:
        NotFound: it cannot be opened.
        InvalidArgument: too large, not UTF-8, or malformed.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}") from error
    if len(data) > MAX_FILE:
        raise InvalidArgument(f"{path}: larger than {MAX_FILE} bytes")
    try:
        return parse_environment_lines(data.decode(), path)
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{path}: not UTF-8 at byte {error.start}") from error


def parse_pairs(texts: Iterable[str], what: str) -> dict[str, str]:
    """``KEY=VALUE`` pairs; a bare ``KEY`` has the empty value, as docker's labels do.

    Raises:
        InvalidArgument: a key is empty; ``what`` names the flag.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if not key:
            raise InvalidArgument(f"{what} {text!r}: the key is empty")
        pairs[key] = value
    return pairs


def _check_name(text: str, name: str) -> None:
    if not name or "\0" in text:
        raise InvalidArgument(f"--env {text!r}: the name is empty or holds a zero byte")
