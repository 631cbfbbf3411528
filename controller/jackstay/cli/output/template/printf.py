"""``printf``, ``print`` and ``println`` of Go's fmt. Pure; a wrong verb is never an error, the text tells it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jackstay.cli.output.go_values import NO_VALUE, Map, NilList, NilMap, Row, go_text, members
from jackstay.cli.output.template.floats import formatted
from jackstay.cli.output.template.quoting import can_stand_in_backquotes, quoted

_LARGEST = 1_000_000
"""The widest field and the longest precision that Go takes from ``*``; in the format a digit more."""

_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<first>\[(?:[^\]]*\])?)?(?P<width>\*|\d+)?"
    r"(?P<dot>\.(?P<second>\[(?:[^\]]*\])?)?(?P<precision>\*|\d+)?)?(?P<third>\[(?:[^\]]*\])?)?(?P<verb>.)?",
    re.DOTALL | re.ASCII,
)


@dataclass(slots=True)
class _Form:
    """What stands between ``%`` and the verb."""

    flags: str = ""
    width: int | None = None
    precision: int | None = None
    syntax: bool = False  # Go's, which %#v asks for
    names: bool = False  # of a struct's fields, which %+v asks for

    def has(self, flag: str) -> bool:
        return flag in self.flags

    @property
    def zeros(self) -> bool:
        return "0" in self.flags and "-" not in self.flags

    def pad(self, text: str, *, zeros: bool | None = None) -> str:
        if self.width is None or len(text) >= self.width:
            return text
        fill = "0" if (self.zeros if zeros is None else zeros) else " "
        return text.ljust(self.width) if self.has("-") else text.rjust(self.width, fill)


def sprint(values: Sequence[object]) -> str:
    """``print``: a space between two values when neither is a string."""
    parts: list[str] = []
    for at, value in enumerate(values):
        if at and not isinstance(value, str) and not isinstance(values[at - 1], str):
            parts.append(" ")
        parts.append(_plain(value))
    return "".join(parts)


def sprintln(values: Sequence[object]) -> str:
    """``println``: a space between all, a new line behind."""
    return " ".join(map(_plain, values)) + "\n"


def sprintf(template: str, values: Sequence[object]) -> str:
    """``printf``."""
    return _Printer(values).run(template)


def _plain(value: object) -> str:
    return "<nil>" if value is NO_VALUE else go_text(value)


class _Printer:
    """One run over one format."""

    def __init__(self, values: Sequence[object]) -> None:
        self._values = [None if value is NO_VALUE else value for value in values]
        self._next = 0
        self._good = True  # the argument's index, when it was given
        self._reordered = False
        self._ended = False

    def run(self, template: str) -> str:
        parts: list[str] = []
        at = 0
        while (found := template.find("%", at)) >= 0:
            parts.append(template[at:found])
            match = _VERB.match(template, found)
            assert match is not None
            parts.append(self._directive(match))
            at = len(template) if self._ended else match.end()
        parts.append(template[at:])
        if not self._reordered and self._next < len(self._values):
            rest = self._values[self._next :]
            told = ("<nil>" if value is None else f"{type_name(value)}={go_text(value)}" for value in rest)
            parts.append(f"%!(EXTRA {', '.join(told)})")
        return "".join(parts)

    def _directive(self, match: re.Match[str]) -> str:
        form = _Form(match["flags"])
        told = ""
        self._good = True
        self._index(match["first"])
        if _too_large(match["width"]) or _too_large(match["precision"]):
            self._ended = True
            return "%!(NOVERB)"
        if match["width"] == "*":
            form.width = self._count()
            if form.width is None:
                told += "%!(BADWIDTH)"
            elif form.width < 0:
                form.width, form.flags = -form.width, form.flags + "-"
        elif match["width"]:
            form.width = int(match["width"])
            self._good = self._good and not match["first"]
        if match["dot"]:
            self._good = self._good and (not match["first"] or match["width"] == "*")
            self._index(match["second"])
            if match["precision"] == "*":
                form.precision = self._count()
                if form.precision is None or form.precision < 0:
                    told, form.precision = told + "%!(BADPREC)", None
            else:
                form.precision = int(match["precision"] or "0")
        self._index(match["third"])
        verb = match["verb"]
        if verb is None:
            return told + "%!(NOVERB)"
        if verb == "%":
            return told + "%"
        if not self._good:
            return f"{told}%!{verb}(BADINDEX)"
        if self._next >= len(self._values):
            return f"{told}%!{verb}(MISSING)"
        value = self._values[self._next]
        self._next += 1
        return told + _argument(value, verb, form)

    def _index(self, written: str | None) -> None:
        """``[n]`` chooses the argument that comes next, from 1."""
        if not written:
            return
        self._reordered = True
        number = written[1:-1]
        if number.isascii() and number.isdigit() and 1 <= int(number[:9]) <= len(self._values):
            self._next = int(number) - 1
        else:
            self._good = False

    def _count(self) -> int | None:
        """The argument of a ``*``."""
        if self._next >= len(self._values):
            return None
        value = self._values[self._next]
        self._next += 1
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LARGEST:
            return None
        return value


def _too_large(digits: str | None) -> bool:
    """Go gives up on the rest of the format when a number has grown past the largest and has a digit more."""
    return digits is not None and digits != "*" and (len(digits) > 4000 or int(digits[:-1] or "0") > _LARGEST)


def _argument(value: object, verb: str, form: _Form) -> str:
    """One argument by its verb; ``%T``, ``%v`` and nothing are special only here, not inside of lists and maps."""
    if verb == "T":
        return form.pad(type_name(value)[: form.precision])
    if verb == "v":
        flags = form.flags.replace("#", "").replace("+", "")
        form = _Form(flags, form.width, form.precision, syntax=form.has("#"), names=form.has("+"))
    if value is None:
        return form.pad("<nil>") if verb == "v" else "%!" + verb + "(<nil>)"
    return _value(value, verb, form)


def _value(value: object, verb: str, form: _Form) -> str:
    if isinstance(value, str):
        return _string(value, verb, form)
    if isinstance(value, bool):
        return form.pad("true" if value else "false") if verb in "tv" else _wrong(value, verb, form)
    if isinstance(value, int):
        return _integer(value, verb, form)
    if isinstance(value, float):
        return _float(value, verb, form)
    if isinstance(value, list):
        if form.syntax:
            return f"{type_name(value)}{'(nil)' if isinstance(value, NilList) else _listed(value, form)}"
        return f"[{' '.join(_value(item, verb, form) for item in value)}]"
    if isinstance(value, dict):
        return _object(value, verb, form)
    return form.pad("<nil>") if verb == "v" else f"%!{verb}(<nil>)"


def _listed(value: list[object], form: _Form) -> str:
    return f"{{{', '.join(_value(item, 'v', form) for item in value)}}}"


def _object(value: dict[str, object], verb: str, form: _Form) -> str:
    if form.syntax:
        if isinstance(value, NilMap):
            return f"{type_name(value)}(nil)"
        inner = ", ".join(f"{quoted(key)}:{_value(member, verb, form)}" for key, member in members(value))
        return f"{type_name(value)}{{{inner}}}"
    if isinstance(value, Map | Row):
        pairs = (f"{_value(key, verb, form)}:{_value(member, verb, form)}" for key, member in members(value))
        return f"map[{' '.join(pairs)}]"
    inner = " ".join((f"{key}:" if form.names else "") + _value(member, verb, form) for key, member in members(value))
    return f"{{{inner}}}"


def _wrong(value: object, verb: str, form: _Form) -> str:
    return f"%!{verb}({type_name(value)}={_value(value, 'v', form)})"


def type_name(value: object) -> str:
    """Go's name of the type; what JSON does not tell is ``interface {}``."""
    if value is None or value is NO_VALUE:
        return "<nil>"
    if isinstance(value, list):
        return "[]string" if value and all(isinstance(item, str) for item in value) else "[]interface {}"
    if isinstance(value, dict):
        return "map[string]string" if isinstance(value, Map) and value.zero == "" else "map[string]interface {}"
    return {str: "string", bool: "bool", int: "int", float: "float64"}.get(type(value), type(value).__name__)


def _string(value: str, verb: str, form: _Form) -> str:
    cut = value if form.precision is None else value[: form.precision]
    if verb == "q" or form.syntax:
        if verb == "q" and form.has("#") and can_stand_in_backquotes(cut):
            return form.pad(f"`{cut}`")
        return form.pad(quoted(cut, ascii_only=form.has("+")))
    if verb in "sv":
        return form.pad(cut)
    if verb in "xX":
        octets = value.encode("utf-8", "replace")[: form.precision]
        pairs = [f"{octet:02x}" for octet in octets]
        before = "0x" if form.has("#") and pairs else ""
        text = (f" {before}" if form.has(" ") else "").join(pairs)
        return form.pad((before + text).upper() if verb == "X" else before + text)
    return _wrong(value, verb, form)


def _integer(value: int, verb: str, form: _Form) -> str:
    if verb in "vd":
        return _digits(value, str(abs(value)), form)
    if verb == "b":
        return _digits(value, f"{abs(value):b}", form, "0b" if form.has("#") else "")
    if verb in "oO":
        digits = f"{abs(value):o}"
        lead = "0o" if verb == "O" else "0" if form.has("#") and digits[0] != "0" else ""
        return _digits(value, digits, form, lead)
    if verb in "xX":
        text = _digits(value, f"{abs(value):x}", form, "0x" if form.has("#") else "")
        return text.upper() if verb == "X" else text
    char = chr(value) if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else "\ufffd"
    if verb == "c":
        return form.pad(char)
    if verb == "q":
        return form.pad(quoted(char, "'", ascii_only=form.has("+")))
    if verb == "U":
        text = f"U+{value & (1 << 64) - 1:0{max(form.precision or 4, 4)}X}"
        return form.pad(f"{text} '{char}'" if form.has("#") and char.isprintable() else text, zeros=False)
    return _wrong(value, verb, form)


def _digits(value: int, digits: str, form: _Form, lead: str = "") -> str:
    sign = "-" if value < 0 else "+" if form.has("+") else " " if form.has(" ") else ""
    if form.precision is not None:
        if form.precision == 0 and value == 0:
            return " " * (form.width or 0)
        digits = digits.rjust(form.precision, "0")
    elif form.zeros and form.width is not None:
        digits = digits.rjust(form.width - bool(sign), "0")
    return form.pad(sign + lead + digits, zeros=False)


def _float(value: float, verb: str, form: _Form) -> str:
    if verb == "v":
        text = formatted(value, "g", form.precision, sharp=form.has("#"))
    elif verb in "eEfFgGxXb":
        text = formatted(value, verb, form.precision, sharp=form.has("#"))
    else:
        return _wrong(value, verb, form)
    sign, text = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    if sign != "-":
        sign = "+" if form.has("+") or (sign and text == "Inf") else " " if form.has(" ") else ""
    zeros = form.zeros and text not in ("Inf", "NaN")
    if sign and zeros and form.width is not None:
        return sign + text.rjust(form.width - 1, "0")
    return form.pad(sign + text, zeros=zeros)
