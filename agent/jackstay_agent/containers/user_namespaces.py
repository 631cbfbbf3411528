"""``--userns``: what it asks for, and of which host ids containers get their own. Pure, but for `pool`, which blocks.

The ids are those that ``/etc/subuid`` and ``/etc/subgid`` give the user ``jackstay``, the same ones in both; without
such lines a range far above those of users, as podman's for ``containers``.
"""

from __future__ import annotations

import re

from jackstay_agent.containers import namespaces
from jackstay_agent.containers.settings import Settings
from jackstay_agent.containers.users import ResolvedUser
from jackstay_agent.errors import InvalidArgument

OWNER = "jackstay"
DEFAULT = range(1 << 31, (1 << 32) - (1 << 16))
SIZE = 1 << 16
"""Ids of a container that asks for no other number."""

_AUTO = re.compile(r"auto(?::size=(\d{1,10}))?", re.ASCII)


def size(settings: Settings) -> int:
    """How many ids the container is to have of its own; 0 when it has the host's user namespace.

    Raises:
        InvalidArgument: a mode that does not exist, or that goes with nothing else that was asked for.
    """
    mode = settings.userns
    if mode in ("", "host"):
        return 0
    found = _AUTO.fullmatch(mode)
    if found is None:
        raise InvalidArgument(
            f"--userns: invalid mode {mode[:60]!r}", hint="give auto, auto:size=N or host, or leave it out"
        )
    wanted = SIZE if found[1] is None else int(found[1])
    if not 1 <= wanted <= len(DEFAULT):
        raise InvalidArgument(f"--userns: a size of {wanted} ids is out of bounds")
    shared = namespaces.parse(settings)
    for what, given in [
        ("--privileged", settings.privileged),
        ("the host's network namespace", settings.network == "host"),
        ("another container's network namespace", bool(namespaces.other(settings.network))),
        ("the host's process namespace", shared.pid),
        ("another container's process namespace", bool(shared.pid_of)),
        ("the host's IPC namespace", shared.ipc),
        ("another container's IPC namespace", bool(shared.ipc_of)),
        ("the host's UTS namespace", shared.uts),
    ]:
        if given:
            raise InvalidArgument(
                f"{what} is incompatible with a user namespace of the container's own",
                hint="use --userns host, or leave one of them out",
            )
    return wanted


def check(user: ResolvedUser, own: int) -> None:
    """Raise `InvalidArgument` for a *user* with an id that a container of *own* ids does not have."""
    for number in (user.uid, user.gid, *user.groups):
        if own and number >= own:
            raise InvalidArgument(
                f"id {number} is not among the {own} of the container's user namespace",
                hint=f"ask for more: --userns auto:size={number + 1}",
            )


def pool() -> range:
    """The ids that containers get theirs of. Blocking.

    Raises:
        InvalidArgument: the files give the user jackstay different ids.
    """
    users, groups = (_of_owner(path) for path in ("/etc/subuid", "/etc/subgid"))
    if users is None and groups is None:
        return DEFAULT
    if users is None or users != groups:
        raise InvalidArgument(
            f"/etc/subuid and /etc/subgid give the user {OWNER} different ids",
            hint=f"one line of the same in both: {OWNER}:FIRST:COUNT",
        )
    return users


def _of_owner(path: str) -> range | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return parse_subordinate(file.read())
    except OSError:
        return None


def parse_subordinate(text: str) -> range | None:
    """The first range that *text*, as of subuid(5), gives the user jackstay."""
    for line in text.splitlines():
        name, _, rest = line.strip().partition(":")
        first, _, count = rest.partition(":")
        if name == OWNER and first.isascii() and first.isdigit() and count.isascii() and count.isdigit():
            return range(int(first), min(int(first) + int(count), DEFAULT.stop))
    return None
