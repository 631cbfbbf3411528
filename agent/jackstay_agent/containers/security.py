"""``--security-opt``, parsed against what the host has. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jackstay_agent.containers import masked_paths
from jackstay_agent.containers.host_facts import HostFacts
from jackstay_agent.errors import InvalidArgument, Unsupported

_HINT = "known are no-new-privileges, seccomp=, apparmor=, label=disable, systempaths=unconfined, mask=, unmask="


@dataclass(frozen=True, slots=True)
class Security:
    """What the options ask for. `seccomp` is "" for the default profile, "unconfined", or a profile's JSON text."""

    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""  # name of a profile, "" for none
    masked: tuple[str, ...] = masked_paths.MASKED
    read_only: tuple[str, ...] = masked_paths.READ_ONLY


def parse(options: Iterable[str], facts: HostFacts, *, privileged: bool = False) -> Security:
    """What *options* mean on the host of *facts*; a later one of a kind wins.

    Raises:
        InvalidArgument: an unknown or malformed option.
        Unsupported: a profile was asked for that this host cannot enforce.
    """
    no_new_privileges, seccomp, apparmor = False, "", ""
    paths = []
    for option in options:
        key, value = split(option)
        if key == "no-new-privileges" and value in ("", "true", "false"):
            no_new_privileges = value != "false"
        elif key == "seccomp" and value:
            seccomp = "" if value == "builtin" else value
        elif key == "apparmor" and value:
            apparmor = _apparmor(value, facts)
        elif masked_paths.is_about_them(key, value):
            paths.append((key, value))
        elif key == "label" and value:
            if value != "disable" and facts.selinux:
                raise Unsupported(f"--security-opt {option[:60]}: SELinux labels are not supported")
        else:
            raise InvalidArgument(f"invalid --security-opt: {option[:60]!r}", hint=_HINT)
    masked, read_only = masked_paths.build(paths, privileged=privileged)
    return Security(no_new_privileges, seccomp, apparmor, masked, read_only)


def split(option: str) -> tuple[str, str]:
    """Docker takes "key=value" and, from of old, "key:value"."""
    ends = [at for at in (option.find("="), option.find(":")) if at >= 0]
    return (option[: min(ends)], option[min(ends) + 1 :]) if ends else (option, "")


def _apparmor(profile: str, facts: HostFacts) -> str:
    if profile == "unconfined" or not facts.apparmor:
        return ""  # a host without AppArmor has nothing to confine by, as docker sees it too
    if any(character in profile for character in "\0\n "):
        raise InvalidArgument(f"invalid AppArmor profile name {profile[:60]!r}")
    return profile
