"""The filters of ``images`` and ``image prune``: parsed, and matched as docker does (moby ``daemon/images``). Pure.

Different filters must all hold. Of one filter's values every label must hold, any reference; of several times the
narrowest counts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.images import document_times

LIST = ("before", "dangling", "label", "reference", "since", "until")
PRUNE = ("label", "label!", "until")
_MAX_PATTERN = 4096
_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}

Label = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters as given, each checked. `before` and `since` name images, which the caller looks up."""

    dangling: bool | None = None
    label: tuple[Label, ...] = ()
    without_label: tuple[Label, ...] = ()
    reference: tuple[re.Pattern[str], ...] = ()
    before: tuple[str, ...] = ()
    since: tuple[str, ...] = ()
    until: int | None = None  # nanoseconds since 1970

    def labels_fit(self, labels: Mapping[str, str]) -> bool:
        """Whether an image with *labels* passes; one that has every label of ``label!`` does not."""
        return all(_has(labels, label) for label in self.label) and not (
            self.without_label and all(_has(labels, label) for label in self.without_label)
        )

    def named(self, repository: str, tag: str) -> bool:
        """Whether the familiar name *repository*:*tag* fits a pattern, if there is any."""
        return not self.reference or any(
            pattern.fullmatch(f"{repository}:{tag}") or pattern.fullmatch(repository) for pattern in self.reference
        )


def parse(texts: Iterable[str], keys: Sequence[str], *, now: int) -> Filters:
    """The filters that *texts*, "key=value" each, write; *keys* are those that there are, *now* is in nanoseconds.

    Raises `InvalidArgument`.
    """
    values: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().lower()
        if not equals:
            raise InvalidArgument(f"bad format of filter {text[:60]!r}", hint="write name=value, e.g. label=tier=web")
        if key not in keys:
            raise InvalidArgument(f"invalid filter '{key[:40]}'", hint=f"known are {', '.join(keys)}")
        values.setdefault(key, []).append(value.strip())
    return Filters(
        dangling=_dangling(values.get("dangling", ())),
        label=tuple(_label(value) for value in values.get("label", ())),
        without_label=tuple(_label(value) for value in values.get("label!", ())),
        reference=tuple(pattern(value) for value in values.get("reference", ())),
        before=tuple(values.get("before", ())),
        since=tuple(values.get("since", ())),
        until=min((document_times.moment(value, now, "until") for value in values.get("until", ())), default=None),
    )


def pattern(text: str) -> re.Pattern[str]:
    r"""What Go's ``path.Match`` takes *text* for: ``*`` and ``?`` fit anything but "/", ``[a-z]`` and ``[^a-z]`` one of
    several, a backslash takes the next character as it is.

    A star takes as little as it can and never more afterwards, but the last one: that finds every match, in a time
    that does not explode. Raises `InvalidArgument`.
    """
    if len(text) > _MAX_PATTERN:
        raise InvalidArgument(f"invalid filter 'reference': longer than {_MAX_PATTERN} characters")
    chunks = [""]
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == "*":
            chunks.append("")
        elif char == "?":
            chunks[-1] += "[^/]"
        elif char == "[":
            part, position = _class(text, position)
            chunks[-1] += part
        else:
            if char == "\\":
                if position == len(text):
                    raise _bad_pattern(text)
                char = text[position]
                position += 1
            chunks[-1] += re.escape(char)
    first, *rest = chunks
    middle, last = rest[:-1], rest[-1:]
    return re.compile(
        first + "".join(f"(?>[^/]*?{chunk})" for chunk in middle) + "".join(f"[^/]*{chunk}" for chunk in last),
        re.DOTALL,
    )


def _class(text: str, position: int) -> tuple[str, int]:
    """The characters after the "[" before *position* as a regular expression; where they end."""
    negated = text[position : position + 1] == "^"
    position += negated
    ranges: list[tuple[str, str]] = []
    while not (text[position : position + 1] == "]" and ranges):
        low, position = _member(text, position)
        high = low
        if text[position : position + 1] == "-":
            high, position = _member(text, position + 1)
        ranges.append((low, high))
    kept = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in ranges if low <= high)
    if not kept:
        return ("[^/]" if negated else "(?!)"), position + 1
    return (f"(?:(?!/)[^{kept}])" if negated else f"(?:(?!/)[{kept}])"), position + 1


def _member(text: str, position: int) -> tuple[str, int]:
    char = text[position : position + 1]
    if char in ("", "-", "]"):
        raise _bad_pattern(text)
    if char == "\\":
        position += 1
        char = text[position : position + 1]
        if not char:
            raise _bad_pattern(text)
    return char, position + 1


def _bad_pattern(text: str) -> InvalidArgument:
    return InvalidArgument(f"syntax error in pattern {text[:60]!r}", hint=r"* ? [a-z] [^a-z], and \ before a character")


def _dangling(values: Collection[str]) -> bool | None:
    if not values:
        return None
    found = {_BOOLEANS.get(value.lower()) for value in values}
    if len(found) > 1 or None in found:
        raise InvalidArgument(f"invalid filter 'dangling=[{' '.join(sorted(values))[:60]}]'", hint="true or false")
    return found.pop()


def _label(value: str) -> Label:
    key, equals, wanted = value.partition("=")
    return key, wanted if equals else None


def _has(labels: Mapping[str, str], label: Label) -> bool:
    key, value = label
    return key in labels and (value is None or labels[key] == value)
