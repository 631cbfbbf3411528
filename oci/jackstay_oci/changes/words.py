"""The words of a Dockerfile instruction: quotes, escapes and variables, as BuildKit's shell lexer has them. Pure.

Nothing but `InvalidArgument` escapes. No shell is involved, and a variable's value is never looked into again.
"""

from __future__ import annotations

from collections.abc import Mapping

from jackstay_oci.errors import InvalidArgument

_MAX_DEPTH = 20


def split(text: str) -> list[str]:
    """*text* at spaces outside quotes, with quotes and escapes still in the words."""
    words: list[str] = []
    word, quote, index, inside = "", "", 0, False
    while index < len(text):
        character = text[index]
        if not quote and character.isspace():
            if inside:
                words.append(word)
            word, inside = "", False
        else:
            inside = True
            if character == "\\" and quote != "'":
                index += 1
                if index == len(text):
                    break
                word += character
                character = text[index]
            elif not quote and character in "'\"":
                quote = character
            elif character == quote:
                quote = ""
            word += character
        index += 1
    if inside:
        words.append(word)
    return words


def expand(text: str, variables: Mapping[str, str]) -> str:
    """*text* without its quotes and escapes, and with the values of ``$NAME``, ``${NAME}``, ``${NAME:-word}``.

    After the colon may be ``-``, ``+`` or ``?``. A variable that is not set is empty; without the colon an empty one
    counts as set. Raises `InvalidArgument` for a quote or brace that does not end, and for what ``?`` demands.
    """
    return _Expansion(text, variables).all()


class _Expansion:
    def __init__(self, text: str, variables: Mapping[str, str], depth: int = 0) -> None:
        if depth > _MAX_DEPTH:
            raise InvalidArgument("variables are nested too deeply")
        self._text = text
        self._variables = variables
        self._depth = depth
        self._at = 0

    def all(self) -> str:
        parts: list[str] = []
        quote = ""
        while self._at < len(self._text):
            character = self._text[self._at]
            self._at += 1
            if character == "'" and quote != '"':
                parts.append(self._until("'"))
            elif character == '"':
                quote = "" if quote else '"'
            elif character == "\\" and self._at < len(self._text):
                follower = self._text[self._at]
                self._at += 1
                # Inside double quotes a backslash only escapes what would mean something there.
                parts.append(follower if not quote or follower in '"$\\' else character + follower)
            elif character == "$":
                parts.append(self._variable())
            else:
                parts.append(character)
        if quote:
            raise InvalidArgument(f"a quote does not end in {self._text[:60]!r}")
        return "".join(parts)

    def _until(self, end: str) -> str:
        found = self._text.find(end, self._at)
        if found < 0:
            raise InvalidArgument(f"a quote does not end in {self._text[:60]!r}")
        taken = self._text[self._at : found]
        self._at = found + 1
        return taken

    def _variable(self) -> str:
        if self._at < len(self._text) and self._text[self._at] == "{":
            self._at += 1
            return self._braced()
        name = self._name()
        return self._variables.get(name, "") if name else "$"

    def _braced(self) -> str:
        name = self._name()
        colon = self._text.startswith(":", self._at)
        self._at += colon
        modifier = self._text[self._at : self._at + 1]
        if modifier and modifier in "-+?":
            self._at += 1
        elif colon or modifier != "}":
            raise InvalidArgument(f"bad substitution in {self._text[:60]!r}")
        word = self._to_brace()
        if not name:
            raise InvalidArgument(f"bad substitution in {self._text[:60]!r}")
        value = self._variables.get(name, "")
        there = bool(value) if colon else name in self._variables
        if modifier == "?" and not there:
            raise InvalidArgument(f"{name}: {self._expand(word) or 'is not allowed to be unset'}")
        if modifier == "+" or (modifier == "-" and not there):
            return self._expand(word) if there == (modifier == "+") else ""
        return value

    def _expand(self, word: str) -> str:
        return _Expansion(word, self._variables, self._depth + 1).all()

    def _to_brace(self) -> str:
        begin, depth = self._at, 1
        while self._at < len(self._text):
            character = self._text[self._at]
            self._at += 1
            depth += {"{": 1, "}": -1}.get(character, 0)
            if depth == 0:
                return self._text[begin : self._at - 1]
        raise InvalidArgument(f"a brace does not end in {self._text[:60]!r}")

    def _name(self) -> str:
        begin = self._at
        while self._at < len(self._text) and (
            (self._text[self._at].isascii() and self._text[self._at].isalnum()) or self._text[self._at] == "_"
        ):
            self._at += 1
        return self._text[begin : self._at]
