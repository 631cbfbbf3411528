"""A container's secrets: where it has them, and their files and variables at its start.

Guarantees: a value is written into the container's bundle alone, which is in memory and which only root may enter, and
goes with it; the settings have the names. The files have their owners from the start, so that in a user namespace of
the container's own they are mounted as they are.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from jackstay_agent.containers import user_namespaces
from jackstay_agent.containers.engine import Engine
from jackstay_agent.containers.settings import SecretUse, Settings
from jackstay_agent.containers.spec_mounts import ResolvedMount
from jackstay_agent.errors import InvalidArgument, from_os_error
from jackstay_agent.kernel.id_maps import IdRange
from jackstay_agent.kernel.threads import finish
from jackstay_oci.config_values import absolute

FOLDER = "/run/secrets"
"""Where files are whose target is relative."""

_HIGHEST_ID = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Given:
    """What a start gives the container."""

    mounts: tuple[ResolvedMount, ...] = ()
    env: tuple[str, ...] = field(default=(), repr=False)


def checked(settings: Settings) -> tuple[SecretUse, ...]:
    """The secrets of *settings* with every target written out. Pure. Raises `InvalidArgument`."""
    own = user_namespaces.size(settings)
    uses = tuple(_checked(use, own) for use in settings.secrets)
    places = [(use.type, use.target) for use in uses]
    if twice := [target for kind, target in places if places.count((kind, target)) > 1]:
        raise InvalidArgument(f"two secrets at {twice[0]}", hint="give one of them another target=")
    return uses


def _checked(use: SecretUse, own: int) -> SecretUse:
    what = f"secret {use.source[:80]}"
    target = use.target or use.source
    if use.type == "env":
        if "=" in target or "\0" in target:
            raise InvalidArgument(f"{what}: {target[:80]!r} cannot be a variable's name")
        return msgspec.structs.replace(use, target=target)
    if use.type != "mount":
        raise InvalidArgument(f"{what}: invalid type {use.type[:40]!r}", hint="it is mount or env")
    if use.mode > 0o777:
        raise InvalidArgument(f"{what}: invalid mode {use.mode:o}", hint="0 to 777, octal")
    highest = own - 1 if own else _HIGHEST_ID
    if use.uid > highest or use.gid > highest:
        raise InvalidArgument(f"{what}: the file's user or group is not of this container", hint=f"0 to {highest}")
    path = absolute(posixpath.join(FOLDER, target), f"the target of {what}")
    if not target.startswith("/") and not path.startswith(f"{FOLDER}/"):
        raise InvalidArgument(f"{what}: the target {target[:80]!r} leads out of {FOLDER}", hint="give an absolute path")
    return msgspec.structs.replace(use, target=path)


def rehearsed(uses: Sequence[SecretUse]) -> tuple[ResolvedMount, ...]:
    """The mounts of *uses* as they will be, without files. Pure."""
    return tuple(_mount(use, "/") for use in uses if use.type == "mount")


async def give(engine: Engine, container: str, settings: Settings, ids: IdRange | None) -> Given:
    """The files and variables of *settings*' secrets, good until the bundle of *container* goes.

    Raises `NotFound` for a secret that is gone, `InvalidArgument` for a value that no variable can have, `DiskFull`.
    """
    mounts: list[ResolvedMount] = []
    env: list[str] = []
    for number, use in enumerate(settings.secrets):
        value = await engine.secrets.value(use.source)
        if use.type == "env":
            env.append(f"{use.target}={_text(use.source, value)}")
        else:
            path = os.path.join(engine.layout.secrets(container), str(number))
            await finish(_write, path, value, use, ids.first if ids else 0)
            mounts.append(_mount(use, path))
    return Given(tuple(mounts), tuple(env))


async def check_values(engine: Engine, uses: Sequence[SecretUse]) -> None:
    """Raises what `give` will raise for *uses*, as far as can be known before."""
    for use in uses:
        value = await engine.secrets.value(use.source)
        if use.type == "env":
            _text(use.source, value)


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        # Without the error above, which has the value.
        raise InvalidArgument(f"secret {name} is no text, as a variable must be", hint="give it as a file: type=mount")
    return text


def _mount(use: SecretUse, path: str) -> ResolvedMount:
    return ResolvedMount(source=path, target=use.target, read_only=True, folder=False, as_is=True)


def _write(path: str, value: bytes, use: SecretUse, first: int) -> None:
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(value)
            os.fchown(file.fileno(), first + use.uid, first + use.gid)
            os.fchmod(file.fileno(), use.mode)
    except OSError as error:
        raise from_os_error(error, f"giving the container the secret {use.source}") from error
