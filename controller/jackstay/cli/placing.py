"""``--on N``: of the hosts that were chosen, those with most room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackstay.cli.invocation import run_async
from jackstay.cli.main import print_warning
from jackstay.errors import Unreachable, UsageError

if TYPE_CHECKING:
    from jackstay.cli.container_flags import ContainerFlags
    from jackstay.library import Hosts


def place(flags: ContainerFlags, hosts: Hosts) -> Hosts:
    """*hosts*, or with ``--on`` those of them that have most room, in the order in which they were chosen.

    Raises:
        UsageError: fewer hosts were chosen.
        Unreachable: fewer answer.
    """
    if flags.on is None:
        return hosts
    if flags.on > len(hosts):
        raise UsageError(
            f"--on {flags.on}: only {len(hosts)} hosts were chosen", hint="choose more with -H, or leave out --on"
        )
    if flags.on == len(hosts):
        return hosts
    from jackstay.library import Hosts
    from jackstay.library.room import roomiest

    outcomes = run_async(hosts.system.info()).outcomes
    infos = {each.host: each.value for each in outcomes if each.ok and each.value is not None}
    errors = [f"{each.host}: {each.error.message}" for each in outcomes if each.error is not None]
    if len(infos) < flags.on:
        raise Unreachable(
            f"--on {flags.on}: only {len(infos)} of {len(hosts)} hosts answer; {errors[0]}",
            hint="choose more hosts, or fewer of them to run on",
        )
    for error in errors:
        print_warning(f"left out, since its room is not known: {error}")
    chosen = set(roomiest(infos, flags.on))
    return Hosts([host for host in hosts if host.name in chosen], hosts.fleet)
