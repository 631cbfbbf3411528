"""``html``, ``js`` and ``urlquery`` of Go's text/template. Pure."""

from __future__ import annotations

_HTML = str.maketrans(
    {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"},
)
_JS = {
    "\\": "\\\\",
    "'": "\\'",
    '"': '\\"',
    "<": "\\u003C",
    ">": "\\u003E",
    "&": "\\u0026",
    "=": "\\u003D",
}


def html(text: str) -> str:
    """Safe between HTML's tags and in its attributes."""
    return text.translate(_HTML)


def js(text: str) -> str:
    """Safe in a string of JavaScript."""
    return "".join(map(_js, text))


def urlquery(text: str) -> str:
    """Safe as a value in the query of a URL."""
    from urllib.parse import quote_plus

    return quote_plus(text)


def _js(char: str) -> str:
    if char in _JS:
        return _JS[char]
    if char < " " or (char > "\x7e" and not char.isprintable()):
        return f"\\u{ord(char):04X}"
    return char
