"""The process of an exec session: the container's own one, as its runtime specification has it, with what was asked for
put over it, as docker does. Pure.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from jackstay_agent.containers import process, spec
from jackstay_agent.containers.users import ResolvedUser
from jackstay_agent.errors import InvalidArgument
from jackstay_oci.config_values import absolute


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecRequest:
    """What ``exec`` was asked for; an empty text means the container's own."""

    command: tuple[str, ...]
    tty: bool = False
    stdin: bool = False
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    privileged: bool = False
    detach: bool = False
    size: tuple[int, int] | None = None  # rows and columns of the terminal


def build(
    own: dict[str, Any], request: ExecRequest, user: ResolvedUser | None, capabilities: Collection[str]
) -> dict[str, Any]:
    """The ``process`` to run.

    Args:
        own: the container's ``process``.
        request: what was asked for.
        user: whom `ExecRequest.user` means; None for the container's own user.
        capabilities: all that the host has, for a privileged session.

    Raises:
        InvalidArgument: no command, a relative working folder, a malformed variable, a NUL byte.
    """
    if not request.command or not request.command[0]:
        raise InvalidArgument("No exec command specified", hint="give a command after the container's name")
    if any("\0" in word for word in (*request.command, *request.env)):
        raise InvalidArgument("a NUL byte in the command or its environment")
    built = dict(own)
    env = list(own.get("env", []))
    if user is not None:
        built["user"] = {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups), "umask": 0o022}
        env = [f"HOME={user.home}" if variable.startswith("HOME=") else variable for variable in env]
    if request.tty and not any(variable.startswith("TERM=") for variable in env):
        env.append("TERM=xterm")
    built["args"] = list(request.command)
    built["env"] = list(process.override(env, request.env))
    built["terminal"] = request.tty
    built.pop("consoleSize", None)
    if request.tty and request.size is not None:  # runc sets it before the command starts, crun beside that
        built["consoleSize"] = {"height": request.size[0], "width": request.size[1]}
    if request.working_dir:
        built["cwd"] = absolute(request.working_dir, "the working directory")
    uid = built["user"]["uid"]
    if request.privileged:
        built["capabilities"] = spec.process_capabilities(tuple(sorted(capabilities)), uid)
        built.pop("apparmorProfile", None)
    elif user is not None:
        bounding = tuple(own.get("capabilities", {}).get("bounding", ()))
        built["capabilities"] = spec.process_capabilities(bounding, uid)
    return built
