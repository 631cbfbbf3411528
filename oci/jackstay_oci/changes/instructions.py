"""Dockerfile instructions that change an image's config: ``--change`` of commit and import. Pure.

Guarantees: nothing but `InvalidArgument` escapes, and a config that comes out is one that a container can be made with.
The rules are those of moby's ``builder/dockerfile`` (dispatchers.go, BuildFromConfig); stricter are that a command must
be given, that ports are 1 to 65535, and that volumes are absolute and not ``/``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable

from msgspec import structs

from jackstay_oci import signals
from jackstay_oci.changes import healthcheck, words
from jackstay_oci.changes.lines import Instruction, instructions, parse, strings
from jackstay_oci.config_values import absolute, parse_exposed
from jackstay_oci.errors import InvalidArgument
from jackstay_oci.image_config import ContainerConfig

_SHELL = ("/bin/sh", "-c")


def apply(config: ContainerConfig, changes: Iterable[str]) -> ContainerConfig:
    """*config* after *changes*, one or more instructions each, in their order.

    An ENTRYPOINT does away with the command of before, unless a CMD is among the changes.

    Raises:
        InvalidArgument: an unknown or malformed instruction, or one that makes no sense without a build.
    """
    found = list(instructions(changes))
    for instruction in found:
        if instruction.name not in _ACTIONS:
            raise InvalidArgument(
                f"{instruction.name[:40]} is not a valid change command",
                hint=f"valid are {', '.join(sorted(_ACTIONS))}",
            )
    command_given = False
    for instruction in found:
        if instruction.flags and instruction.name != "HEALTHCHECK":
            raise InvalidArgument(f"unknown flag of {instruction.name}: --{instruction.flags[0][:40]}")
        if not instruction.rest:
            raise InvalidArgument(f"{instruction.name} requires at least one argument")
        config = _ACTIONS[instruction.name](config, instruction)
        if instruction.name == "ENTRYPOINT" and not command_given:
            config = structs.replace(config, cmd=())
        command_given = command_given or (instruction.name == "CMD" and bool(config.cmd))
    return config


def _variables(config: ContainerConfig) -> dict[str, str]:
    pairs = (variable.partition("=") for variable in config.env)
    return {name: value for name, equals, value in pairs if equals}


def _program(config: ContainerConfig, rest: str) -> tuple[str, ...]:
    found = strings(rest)
    return tuple(found) if found is not None else (*(config.shell or _SHELL), rest)


def _cmd(config: ContainerConfig, instruction: Instruction) -> ContainerConfig:
    return structs.replace(config, cmd=_program(config, instruction.rest))


def _entrypoint(config: ContainerConfig, instruction: Instruction) -> ContainerConfig:
    return structs.replace(config, entrypoint=_program(config, instruction.rest))


def _pairs(config: ContainerConfig, instruction: Instruction) -> list[tuple[str, str]]:
    """The pairs of ENV and LABEL: ``A=b C="d e"``, or of old ``A the rest``."""
    variables, rest = _variables(config), instruction.rest
    split = words.split(rest)
    if "=" not in split[0]:
        key, *value = rest.split(maxsplit=1)
        if not value:
            raise InvalidArgument(f"{instruction.name} must have two arguments, or NAME=value")
        found = [(key, value[0])]
    else:
        found = []
        for word in split:
            key, equals, text = word.partition("=")
            if not equals:
                raise InvalidArgument(
                    f"syntax error: can't find = in {word[:60]!r}", hint=f"write {instruction.name} NAME=value"
                )
            found.append((key, text))
    expanded = [(words.expand(key, variables), words.expand(value, variables)) for key, value in found]
    if any(not key for key, _value in expanded):
        raise InvalidArgument(f"{instruction.name} names can not be blank")
    return expanded


def _env(config: ContainerConfig, instruction: Instruction) -> ContainerConfig:
    env = list(config.env)
    for key, value in _pairs(config, instruction):
        if "=" in key:
            raise InvalidArgument(f"ENV name {key[:60]!r} has an equals sign")
        text = f"{key}={value}"
        places = [index for index, variable in enumerate(env) if variable.partition("=")[0] == key]
        if places:
            env[places[0]] = text
        else:
            env.append(text)
    return structs.replace(config, env=tuple(env))


def _label(config: ContainerConfig, instruction: Instruction) -> ContainerConfig:
    return structs.replace(config, labels={**config.labels, **dict(_pairs(config, instruction))})


def _expose(config: ContainerConfig, instruction: Instruction) -> ContainerConfig:
    variables = _variables(config)
    ports = dict(config.exposed_ports)
    for word in instruction.rest.split():
        for text in words.expand(word, variables).split():
            # A port of the host, as `-p` writes it, is passed over.
            inside = text.rpartition(":")[2]
            ports.update({f"{port}/{protocol}": {} for port, protocol in parse_exposed(inside)})
    return structs.replace(config, exposed_ports=ports)


def _onbuild(config: ContainerConfig, instruction: Instruction) -> ContainerConfig:
    trigger = parse(instruction.rest).name
    if trigger == "ONBUILD":
        raise InvalidArgument("chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("FROM", "MAINTAINER"):
        raise InvalidArgument(f"{trigger} isn't allowed as an ONBUILD trigger")
    return structs.replace(config, on_build=(*config.on_build, instruction.rest))


def _stopsignal(config: ContainerConfig, instruction: Instruction) -> ContainerConfig:
    signal = words.expand(instruction.rest, _variables(config))
    signals.parse(signal)
    return structs.replace(config, stop_signal=signal)


def _user(config: ContainerConfig, instruction: Instruction) -> ContainerConfig:
    return structs.replace(config, user=words.expand(instruction.rest, _variables(config)))


def _workdir(config: ContainerConfig, instruction: Instruction) -> ContainerConfig:
    path = words.expand(instruction.rest, _variables(config))
    if not path:
        raise InvalidArgument("WORKDIR requires exactly one argument")
    former = posixpath.join("/", config.working_dir)
    return structs.replace(config, working_dir=absolute(posixpath.join(former, path), "the working directory"))


def _volume(config: ContainerConfig, instruction: Instruction) -> ContainerConfig:
    variables = _variables(config)
    paths = strings(instruction.rest)
    if paths is None:
        paths = instruction.rest.split()
    if not paths:
        raise InvalidArgument("VOLUME requires at least one argument")
    volumes = dict(config.volumes)
    for path in (words.expand(path, variables).strip() for path in paths):
        if not path:
            raise InvalidArgument("VOLUME specified can not be an empty string")
        if absolute(path, "the volume") == "/":
            raise InvalidArgument("VOLUME can not be '/'")
        volumes[path] = {}
    return structs.replace(config, volumes=volumes)


def _healthcheck(config: ContainerConfig, instruction: Instruction) -> ContainerConfig:
    return structs.replace(config, healthcheck=healthcheck.parse(instruction.flags, instruction.rest))


_ACTIONS: dict[str, Callable[[ContainerConfig, Instruction], ContainerConfig]] = {
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
