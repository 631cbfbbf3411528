"""``--secret`` as podman writes it. Pure; no secret is looked up on any host, and none has its value here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jackstay_oci.errors import InvalidArgument

_NAMES = {"src": "source", "dst": "target", "destination": "target"}
_OF_FILES = ("uid", "gid", "mode")
_NUMBER = re.compile(r"\d{1,10}", re.ASCII)
_MODE = re.compile(r"0?[0-7]{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SecretSpec:
    """How a container gets one secret; an empty ``target`` is the secret's name, ``mode`` None the agent's choice."""

    source: str
    type: str = "mount"
    target: str = ""
    uid: int = 0
    gid: int = 0
    mode: int | None = None


def parse_secret(text: str) -> SecretSpec:
    """``NAME[,type=mount|env][,target=…][,uid=…][,gid=…][,mode=0400]``; also with ``source=NAME``.

    Raises:
        InvalidArgument: malformed, or a variable with an owner or a mode.
    """
    what = f"--secret {text!r}"
    options: dict[str, str] = {}
    for number, part in enumerate(text.split(",")):
        key, equals, value = part.partition("=")
        if not equals and number == 0:
            key, value = "source", part
        key = _NAMES.get(key, key)
        if key not in ("source", "type", "target", *_OF_FILES) or not value:
            raise InvalidArgument(f"{what}: {part!r}", hint="options are type=, target=, uid=, gid= and mode=")
        if key in options:
            raise InvalidArgument(f"{what}: {key} is given twice")
        options[key] = value
    if "source" not in options:
        raise InvalidArgument(f"{what}: no secret is named", hint="write its name first")
    kind = options.get("type", "mount")
    if kind not in ("mount", "env"):
        raise InvalidArgument(f"{what}: invalid type {kind!r}", hint="it is mount or env")
    if kind == "env" and (given := [key for key in _OF_FILES if key in options]):
        raise InvalidArgument(f"{what}: a variable has no {given[0]}", hint="it is of type=mount")
    return SecretSpec(
        source=options["source"],
        type=kind,
        target=options.get("target", ""),
        uid=_number(what, "uid", options),
        gid=_number(what, "gid", options),
        mode=_mode(what, options["mode"]) if "mode" in options else None,
    )


def _number(what: str, key: str, options: dict[str, str]) -> int:
    text = options.get(key, "0")
    if not _NUMBER.fullmatch(text) or int(text) >= 1 << 31:
        raise InvalidArgument(f"{what}: {key} {text!r} is no number of a user or group")
    return int(text)


def _mode(what: str, text: str) -> int:
    if not _MODE.fullmatch(text):
        raise InvalidArgument(f"{what}: mode {text!r} is no octal number up to 0777")
    return int(text, 8)
