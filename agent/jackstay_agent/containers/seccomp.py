"""Seccomp: the default profile made from `seccomp_table`, and profiles that users bring. Pure.

A user's profile is in docker's format (moby ``profiles/seccomp``: the runtime specification's, with ``archMap``,
``includes`` and ``excludes`` to be decided here) or plain runtime specification.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from typing import Any

import msgspec

from jackstay_agent.containers import seccomp_table as table
from jackstay_agent.errors import InvalidArgument

MAX_PROFILE = 1 << 20
"""Bytes of a user's profile at most."""

_ALLOW = "SCMP_ACT_ALLOW"
_ERRNO = "SCMP_ACT_ERRNO"
_ACTIONS = frozenset(
    f"SCMP_ACT_{name}"
    for name in ("ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "NOTIFY", "TRACE", "TRAP")
)
_OPERATORS = frozenset(f"SCMP_CMP_{name}" for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"))
_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


def profile(text: str, *, capabilities: Collection[str], machine: str, privileged: bool) -> dict[str, Any] | None:
    """The ``linux.seccomp`` of a container; None when it runs without.

    Args:
        text: "" for the default, "unconfined", or a profile as JSON.
        capabilities: what the container has.
        machine: as uname names it.
        privileged: the default is then no profile; one that was given holds.

    Raises:
        InvalidArgument: the profile is malformed.
    """
    if text == "unconfined" or (privileged and not text):
        return None
    return _custom(text, capabilities, machine) if text else default(capabilities, machine)


def default(capabilities: Collection[str], machine: str) -> dict[str, Any]:
    """The default profile for a container with *capabilities* on *machine*."""
    names = {name for group in table.ALWAYS.values() for name in group.split()}
    names |= set(table.ON_MACHINE.get(machine, "").split())
    for capability, group in table.WITH_CAPABILITY.items():
        if capability in capabilities:
            names |= set(group.split())
    rules: list[dict[str, Any]] = [{"names": sorted(names), "action": _ALLOW}]
    if "CAP_SYS_ADMIN" not in capabilities:
        flags = 1 if machine == "s390x" else 0  # the order of clone's arguments differs there
        rules.append(_if_argument(["clone"], table.NEW_NAMESPACES, "SCMP_CMP_MASKED_EQ", index=flags))
        rules.append({"names": ["clone3"], "action": _ERRNO, "errnoRet": errno.ENOSYS})
    rules += [_if_argument(["personality"], value, "SCMP_CMP_EQ") for value in table.PERSONALITIES]
    rules.append(_if_argument(["socket"], table.FAMILIES_BELOW, "SCMP_CMP_LT"))
    rules += [_if_argument(["socket"], family, "SCMP_CMP_EQ") for family in table.FAMILIES]
    built: dict[str, Any] = {"defaultAction": _ERRNO, "defaultErrnoRet": errno.EPERM}
    if architectures := table.ARCHITECTURES.get(machine):
        built["architectures"] = list(architectures)
    return {**built, "syscalls": rules}


def _if_argument(names: list[str], value: int, operator: str, *, index: int = 0) -> dict[str, Any]:
    # For MASKED_EQ `value` is the mask and `valueTwo` what must be left.
    return {
        "names": names,
        "action": _ALLOW,
        "args": [{"index": index, "value": value, "valueTwo": 0, "op": operator}],
    }


class _Argument(msgspec.Struct, rename="camel"):
    index: int
    value: int
    op: str
    value_two: int = 0


class _Filter(msgspec.Struct, rename="camel"):
    caps: list[str] | None = None
    arches: list[str] | None = None
    min_kernel: str | None = None


class _Rule(msgspec.Struct, rename="camel"):
    action: str
    names: list[str] | None = None
    name: str = ""
    args: list[_Argument] | None = None
    errno_ret: int | None = None
    includes: _Filter | None = None
    excludes: _Filter | None = None


class _Architectures(msgspec.Struct, rename="camel"):
    architecture: str
    sub_architectures: list[str] | None = None


class _Profile(msgspec.Struct, rename="camel"):
    default_action: str
    default_errno_ret: int | None = None
    architectures: list[str] | None = None
    arch_map: list[_Architectures] | None = None
    flags: list[str] | None = None
    syscalls: list[_Rule] | None = None


def _custom(text: str, capabilities: Collection[str], machine: str) -> dict[str, Any]:
    given = _decode(text)
    built: dict[str, Any] = {"defaultAction": _known(given.default_action, _ACTIONS, "action")}
    if given.default_errno_ret is not None:
        built["defaultErrnoRet"] = _number(given.default_errno_ret)
    if given.architectures and given.arch_map:
        raise InvalidArgument("the seccomp profile has both 'architectures' and 'archMap': use either")
    native = table.ARCHITECTURES.get(machine, ("",))[0]
    architectures = given.architectures or [
        name
        for entry in given.arch_map or []
        if entry.architecture == native
        for name in (entry.architecture, *(entry.sub_architectures or []))
    ]
    if architectures:
        built["architectures"] = architectures
    if given.flags:
        built["flags"] = given.flags
    built["syscalls"] = [
        _rule(rule)
        for rule in given.syscalls or []
        if _all_hold(rule.includes, capabilities, machine) and not _any_holds(rule.excludes, capabilities, machine)
    ]
    return built


def _decode(text: str) -> _Profile:
    if len(text) > MAX_PROFILE:
        raise InvalidArgument(f"the seccomp profile is larger than {MAX_PROFILE} bytes")
    try:
        return msgspec.json.decode(text, type=_Profile)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidArgument(
            f"decoding the seccomp profile failed: {error}", hint="give the content of a profile, not its file name"
        ) from error


def _rule(rule: _Rule) -> dict[str, Any]:
    if bool(rule.name) == bool(rule.names):
        raise InvalidArgument("a rule of the seccomp profile needs either 'names' or 'name'")
    built: dict[str, Any] = {
        "names": rule.names or [rule.name],
        "action": _known(rule.action, _ACTIONS, "action"),
    }
    if rule.errno_ret is not None:
        built["errnoRet"] = _number(rule.errno_ret)
    if rule.args:
        built["args"] = [
            {
                "index": _number(argument.index, 5),
                "value": _number(argument.value, (1 << 64) - 1),
                "valueTwo": _number(argument.value_two, (1 << 64) - 1),
                "op": _known(argument.op, _OPERATORS, "operator"),
            }
            for argument in rule.args
        ]
    return built


def _all_hold(condition: _Filter | None, capabilities: Collection[str], machine: str) -> bool:
    if condition is None:
        return True
    return (
        (not condition.arches or _GO_NAMES.get(machine, machine) in condition.arches)
        and all(capability in capabilities for capability in condition.caps or [])
        and (not condition.min_kernel or _kernel_at_least(condition.min_kernel))
    )


def _any_holds(condition: _Filter | None, capabilities: Collection[str], machine: str) -> bool:
    if condition is None:
        return False
    return (
        _GO_NAMES.get(machine, machine) in (condition.arches or [])
        or any(capability in capabilities for capability in condition.caps or [])
        or bool(condition.min_kernel and _kernel_at_least(condition.min_kernel))
    )


def _kernel_at_least(version: str) -> bool:
    major, _dot, minor = version.partition(".")
    if not (version.isascii() and major.isdigit() and minor.isdigit() and len(version) < 12):
        raise InvalidArgument(f"the seccomp profile's minKernel {version[:20]!r} is malformed", hint='write "4.8"')
    running = os.uname().release.split("-")[0].split(".")
    return (int(running[0]), int(running[1])) >= (int(major), int(minor))


def _known(value: str, known: frozenset[str], what: str) -> str:
    if value not in known:
        raise InvalidArgument(f"the seccomp profile's {what} {value[:40]!r} is not known")
    return value


def _number(value: int, bound: int = 4095) -> int:
    if not 0 <= value <= bound:
        raise InvalidArgument(f"a number in the seccomp profile is out of bounds: {value}")
    return value
