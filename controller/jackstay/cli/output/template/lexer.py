"""A template's text as tokens, as Go's text/template/parse cuts it: spaces count, trim markers take the text's away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jackstay.cli.output.template.errors import TemplateError, complaint

_SPACES = " \t\r\n"
_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<string>"(?:[^"\\\n]|\\[^\n])*")
  | (?P<raw>`[^`]*`)
  | (?P<char>'(?:[^'\\\n]|\\[^\n])*')
  | (?P<number>[+-]?\.?[0-9](?:[eEpP][+-](?=[0-9])|[\w.])*)
  | (?P<variable>\$\w*)
  | (?P<field>\.\w+)
  | (?P<dot>\.)
  | (?P<word>[^\W\d]\w*)
  | (?P<mark>:=|[=|(),])
    """,
    re.VERBOSE,
)
_TERMINATORS = frozenset(_SPACES + ".,|:()")
_KEYWORDS = frozenset(["if", "else", "end", "range", "with", "break", "continue", "define", "template", "block"])


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is ``text``, ``open``, ``close``, ``keyword``, ``end`` or a group of the expression above."""

    kind: str
    text: str
    at: int


def tokens(text: str, start: int, end: int, *, escapes: bool) -> Iterator[Token]:
    r"""The tokens of ``text[start:end]``, an ``end`` last.

    ``escapes``: ``\t`` and ``\n`` in the text and between backquotes are a tab and a new line, as in docker's listings.

    Raises:
        TemplateError: something is not closed, or is nothing that a template has.
    """
    at, trim = start, False
    while True:
        opened = text.find("{{", at, end)
        stop = end if opened < 0 else opened
        shown = text[at:stop]
        if escapes:
            shown = _unescape(shown)
        if trim:
            shown = shown.lstrip(_SPACES)
        trims_left = opened >= 0 and text[opened + 2 : opened + 3] == "-" and text[opened + 3 : opened + 4] in _SPACES
        trims_left = trims_left and opened + 3 < end
        if trims_left:
            shown = shown.rstrip(_SPACES)
        if shown:
            yield Token("text", shown, at)
        if opened < 0:
            break
        inner = opened + (4 if trims_left else 2)
        if text.startswith("/*", inner, end):
            at, trim = _comment(text, opened, inner, end)
            continue
        yield Token("open", "{{", opened)
        at = inner - 1 if trims_left else inner  # the space after the marker counts as one
        for token in _inside(text, at, end, opened):
            yield Token(token.kind, _unescape(token.text), token.at) if escapes and token.kind == "raw" else token
        at, trim = token.at + len(token.text), token.text != "}}"
    yield Token("end", "", end)


def _unescape(text: str) -> str:
    return text.replace("\\t", "\t").replace("\\n", "\n")


def _comment(text: str, opened: int, inner: int, end: int) -> tuple[int, bool]:
    """Where the text goes on behind a comment, and whether it is trimmed there."""
    closed = text.find("*/", inner, end)
    if closed < 0:
        raise TemplateError(complaint("unclosed comment", text, opened))
    after = closed + 2
    if text.startswith("}}", after, end):
        return after + 2, False
    if text[after : after + 1] in _SPACES and text.startswith("-}}", after + 1, end):
        return after + 4, True
    raise TemplateError(complaint("a comment is not alone between its braces", text, opened), hint="write {{/* … */}}")


def _inside(text: str, at: int, end: int, opened: int) -> Iterator[Token]:
    """The tokens of an action, its ``close`` last, which takes in the space and the dash of a trim marker."""
    while True:
        if text.startswith("}}", at, end):
            yield Token("close", "}}", at)
            return
        if at >= end:
            raise TemplateError(complaint("'{{' is not closed", text, opened))
        match = _TOKEN.match(text, at, end)
        if match is None:
            raise TemplateError(complaint(_reason(text[at]), text, at))
        kind, found = match.lastgroup or "", match[0]
        if kind == "space" and text.startswith("-}}", match.end(), end):
            if len(found) > 1:
                yield Token("space", found[:-1], at)
            yield Token("close", f"{found[-1]}-}}}}", match.end() - 1)
            return
        after = text[match.end() : match.end() + 1] if match.end() < end else ""
        ended = not after or after in _TERMINATORS or text.startswith("}}", match.end(), end)
        if kind in ("variable", "field", "dot", "word") and not ended:
            raise TemplateError(complaint(f"unexpected {after!r}", text, match.end()))
        yield Token("keyword" if kind == "word" and found in _KEYWORDS else kind, found, at)
        at = match.end()


def _reason(char: str) -> str:
    if char in "\"'`":
        return "a quoted text is not closed"
    return f"unexpected {char!r}"
