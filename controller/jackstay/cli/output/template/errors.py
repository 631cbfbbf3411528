"""What can be wrong with a template."""

from __future__ import annotations

from jackstay_oci.errors import Error, InvalidArgument

_SHOWN = 40


class TemplateError(InvalidArgument):
    """The template is malformed: found before any host is asked. The message has the place and what stands there."""


class EvaluationError(Error):
    """The template is well-formed, but not for this object: no such field, no such value for a function."""

    reason = "TEMPLATE"


def complaint(problem: str, text: str, at: int) -> str:
    """``--format: {problem}, at character 12 ("}}")``: what is wrong, where in the template, and what stands there."""
    found = text[at : at + _SHOWN]
    end = found.find("}}")
    found = (found[: end + 2] if end >= 0 else found).rstrip()
    mark = "" if problem.endswith("?") else ","
    return f"--format: {problem}{mark} at character {at + 1} ({_quoted(found)})"


def _quoted(found: str) -> str:
    return f'"{found}"' if found else "the end"


class Misuse(Exception):
    """A function cannot do this with these values; evaluation makes an :class:`EvaluationError` of it."""
