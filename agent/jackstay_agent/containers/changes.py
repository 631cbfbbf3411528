"""Dockerfile instructions that change an image's config: ``--change`` of commit and import. Pure.

Guarantees: nothing but `InvalidArgument` escapes, and a config that comes out is one that `process.merge` takes. The
rules are those of moby's ``builder/dockerfile`` (dispatchers.go, BuildFromConfig).
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Sequence

from msgspec import structs

from jackstay_agent.containers import dockerfile_words, signals
from jackstay_agent.containers.process import absolute, parse_exposed
from jackstay_agent.errors import InvalidArgument
from jackstay_oci.image_config import ContainerConfig, Healthcheck

MAX_TEXT = 64 << 10
_SHELL = ("/bin/sh", "-c")
_INSTRUCTION = re.compile(r"([A-Za-z]+)(?:[ \t]+(.*))?", re.ASCII | re.DOTALL)
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_MAX_DURATION = (1 << 63) - 1


def apply(config: ContainerConfig, changes: Iterable[str]) -> ContainerConfig:
    """*config* after *changes*, one or more instructions each, in their order.

    An ENTRYPOINT does away with the command of before, unless a CMD is among the changes.

    Raises:
        InvalidArgument: an unknown or malformed instruction, or one that makes no sense without a build.
    """
    command_given = False
    for name, rest in _instructions(changes):
        act = _ACTIONS.get(name)
        if act is None:
            raise InvalidArgument(
                f"{name[:40]} is not a valid change command", hint=f"known are {', '.join(sorted(_ACTIONS))}"
            )
        if not rest:
            raise InvalidArgument(f"{name} requires at least one argument")
        config = act(config, rest)
        if name == "ENTRYPOINT" and not command_given:
            config = structs.replace(config, cmd=())
        command_given = command_given or name == "CMD"
    return config


def _instructions(changes: Iterable[str]) -> Iterable[tuple[str, str]]:
    for text in changes:
        if len(text) > MAX_TEXT:
            raise InvalidArgument(f"a change is longer than {MAX_TEXT} characters")
        if "\0" in text:
            raise InvalidArgument("a change has a NUL byte")
        pending = ""
        for line in text.splitlines():
            stripped = line.strip()
            if not stripped or stripped.startswith("#"):
                continue
            if stripped.endswith("\\"):
                pending += stripped[:-1]
                continue
            yield _instruction(pending + stripped)
            pending = ""
        if pending.strip():
            yield _instruction(pending.strip())


def _instruction(line: str) -> tuple[str, str]:
    match = _INSTRUCTION.fullmatch(line)
    if match is None:
        raise InvalidArgument(f"a change must begin with an instruction: {line[:60]!r}")
    return match[1].upper(), (match[2] or "").strip()


def _variables(config: ContainerConfig) -> dict[str, str]:
    pairs = (variable.partition("=") for variable in config.env)
    return {name: value for name, equals, value in pairs if equals}


def _json(rest: str) -> list[str] | None:
    """The strings of the JSON form; None when it is not that form."""
    if not rest.startswith("["):
        return None
    try:
        words = json.loads(rest)
    except (ValueError, RecursionError):
        return None
    if not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
        return None
    if any(_is_unusable(word) for word in words):
        raise InvalidArgument("a word has a NUL byte or is no text")
    return words


def _is_unusable(text: str) -> bool:
    """Whether no program could be given *text*: it has a NUL, or half of a surrogate pair from a JSON escape."""
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)


def _program(config: ContainerConfig, rest: str) -> tuple[str, ...]:
    words = _json(rest)
    return tuple(words) if words is not None else (*(config.shell or _SHELL), rest)


def _cmd(config: ContainerConfig, rest: str) -> ContainerConfig:
    return structs.replace(config, cmd=_program(config, rest))


def _entrypoint(config: ContainerConfig, rest: str) -> ContainerConfig:
    return structs.replace(config, entrypoint=_program(config, rest))


def _pairs(config: ContainerConfig, name: str, rest: str) -> list[tuple[str, str]]:
    """The pairs of ENV and LABEL: ``A=b C="d e"``, or of old ``A the rest``."""
    variables = _variables(config)
    words = dockerfile_words.split(rest)
    if not words:
        raise InvalidArgument(f"{name} requires at least one argument")
    if "=" not in words[0]:
        key, value = words[0], rest[len(words[0]) :].strip()
        if not value:
            raise InvalidArgument(f"{name} must have two arguments, or NAME=value")
        found = [(key, value)]
    else:
        found = []
        for word in words:
            key, equals, value = word.partition("=")
            if not equals:
                raise InvalidArgument(f"syntax error: can't find = in {word[:60]!r}", hint=f"write {name} NAME=value")
            found.append((key, value))
    expanded = [
        (dockerfile_words.expand(key, variables), dockerfile_words.expand(value, variables)) for key, value in found
    ]
    if any(not key for key, _value in expanded):
        raise InvalidArgument(f"{name} names can not be blank")
    return expanded


def _env(config: ContainerConfig, rest: str) -> ContainerConfig:
    env = list(config.env)
    for key, value in _pairs(config, "ENV", rest):
        if "=" in key:
            raise InvalidArgument(f"ENV name {key[:60]!r} has an equals sign")
        text = f"{key}={value}"
        places = [index for index, variable in enumerate(env) if variable.partition("=")[0] == key]
        if places:
            env[places[0]] = text
        else:
            env.append(text)
    return structs.replace(config, env=tuple(env))


def _label(config: ContainerConfig, rest: str) -> ContainerConfig:
    return structs.replace(config, labels={**config.labels, **dict(_pairs(config, "LABEL", rest))})


def _expose(config: ContainerConfig, rest: str) -> ContainerConfig:
    variables = _variables(config)
    ports = dict(config.exposed_ports)
    for word in dockerfile_words.split(rest):
        for text in dockerfile_words.expand(word, variables).split():
            ports.update({f"{port}/{protocol}": {} for port, protocol in parse_exposed(text)})
    return structs.replace(config, exposed_ports=ports)


def _onbuild(config: ContainerConfig, rest: str) -> ContainerConfig:
    trigger, _ = _instruction(rest)
    if trigger in ("ONBUILD", "FROM", "MAINTAINER"):
        raise InvalidArgument(f"{trigger} isn't allowed as an ONBUILD trigger")
    return structs.replace(config, on_build=(*config.on_build, rest))


def _stopsignal(config: ContainerConfig, rest: str) -> ContainerConfig:
    signal = _word(config, "STOPSIGNAL", rest)
    signals.parse(signal)
    return structs.replace(config, stop_signal=signal)


def _user(config: ContainerConfig, rest: str) -> ContainerConfig:
    return structs.replace(config, user=_word(config, "USER", rest))


def _workdir(config: ContainerConfig, rest: str) -> ContainerConfig:
    path = _word(config, "WORKDIR", rest)
    base = config.working_dir if config.working_dir.startswith("/") else "/"
    return structs.replace(config, working_dir=absolute(posixpath.join(base, path), "the working directory"))


def _volume(config: ContainerConfig, rest: str) -> ContainerConfig:
    variables = _variables(config)
    paths = _json(rest)
    if paths is None:
        paths = dockerfile_words.split(rest)
    volumes = dict(config.volumes)
    for path in (dockerfile_words.expand(path, variables).strip() for path in paths):
        if not path:
            raise InvalidArgument("VOLUME specified can not be an empty string")
        target = absolute(path, "the volume")
        if target == "/":
            raise InvalidArgument("VOLUME can not be '/'")
        volumes[target] = {}
    return structs.replace(config, volumes=volumes)


def _word(config: ContainerConfig, name: str, rest: str) -> str:
    word = dockerfile_words.expand(rest, _variables(config)).strip()
    if not word:
        raise InvalidArgument(f"{name} requires exactly one argument")
    return word


def _healthcheck(config: ContainerConfig, rest: str) -> ContainerConfig:
    durations: dict[str, int] = {}
    retries = 0
    while rest.startswith("--"):
        option, _, rest = rest.partition(" ")
        rest = rest.strip()
        key, _, value = option[2:].partition("=")
        if key in ("interval", "timeout", "start-period", "start-interval"):
            durations[key.replace("-", "_")] = _duration(key, value)
        elif key == "retries" and value.isascii() and value.isdigit() and len(value) < 10:
            retries = int(value)
        else:
            raise InvalidArgument(f"invalid HEALTHCHECK option {option[:60]!r}")
    kind, _, command = rest.partition(" ")
    kind, command = kind.upper(), command.strip()
    if kind == "NONE":
        if command or durations or retries:
            raise InvalidArgument("HEALTHCHECK NONE takes no arguments")
        return structs.replace(config, healthcheck=Healthcheck(test=("NONE",)))
    if kind != "CMD":
        raise InvalidArgument(f"unknown type {kind[:20]!r} in HEALTHCHECK", hint="write CMD or NONE")
    if not command:
        raise InvalidArgument("missing command after HEALTHCHECK CMD")
    words = _json(command)
    test: Sequence[str] = ("CMD-SHELL", command) if words is None else ("CMD", *words)
    if len(test) == 1:
        raise InvalidArgument("missing command after HEALTHCHECK CMD")
    return structs.replace(config, healthcheck=Healthcheck(test=tuple(test), retries=retries, **durations))


def _duration(key: str, text: str) -> int:
    """Nanoseconds of a duration as Go writes it: "1m30s"."""
    parts = _DURATION.findall(text) if len(text) < 40 else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidArgument(f"invalid HEALTHCHECK --{key} {text[:40]!r}", hint='write a duration such as "30s"')
    total = sum(int(float(number) * _UNITS[unit]) for number, unit in parts)
    if not 10**6 <= total <= _MAX_DURATION and total != 0:
        raise InvalidArgument(f"HEALTHCHECK --{key} {text[:40]!r} is out of bounds", hint="at least 1ms")
    return total


_ACTIONS: dict[str, Callable[[ContainerConfig, str], ContainerConfig]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
