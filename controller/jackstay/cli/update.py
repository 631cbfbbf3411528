"""``jackstay update``, ``jackstay container update``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.container_flags import ContainerFlags
from jackstay.cli.invocation import names_as, select, show, with_host
from jackstay.cli.main import print_warning
from jackstay.cli.output.view import field
from jackstay.errors import UsageError


def command(
    ctx: typer.Context,
    containers: Annotated[list[str], typer.Argument(metavar="CONTAINER...")],
    memory: Annotated[str | None, typer.Option("--memory", "-m", metavar="SIZE", help="At most, e.g. 512m.")] = None,
    memory_reservation: Annotated[
        str | None, typer.Option("--memory-reservation", metavar="SIZE", help="Soft limit.")
    ] = None,
    memory_swap: Annotated[
        str | None, typer.Option("--memory-swap", metavar="SIZE", help="Memory and swap together; -1: no limit.")
    ] = None,
    cpus: Annotated[str | None, typer.Option("--cpus", metavar="NUMBER", help="CPUs, e.g. 1.5.")] = None,
    cpu_shares: Annotated[
        int, typer.Option("--cpu-shares", "-c", metavar="N", min=0, show_default=False, help="Relative weight.")
    ] = 0,
    cpu_period: Annotated[
        int, typer.Option("--cpu-period", metavar="MICROSECONDS", min=0, show_default=False, help="Of --cpu-quota.")
    ] = 0,
    cpu_quota: Annotated[
        int, typer.Option("--cpu-quota", metavar="MICROSECONDS", show_default=False, help="CPU time in each period.")
    ] = 0,
    cpuset_cpus: Annotated[
        str, typer.Option("--cpuset-cpus", metavar="LIST", help="Only these CPUs, e.g. 0-2,4.")
    ] = "",
    cpuset_mems: Annotated[str, typer.Option("--cpuset-mems", metavar="LIST", help="Only these memory nodes.")] = "",
    pids_limit: Annotated[
        int, typer.Option("--pids-limit", metavar="N", show_default=False, help="Processes at most; -1: no limit.")
    ] = 0,
    blkio_weight: Annotated[
        int, typer.Option("--blkio-weight", metavar="N", min=0, show_default=False, help="For disks, 10 to 1000.")
    ] = 0,
    restart: Annotated[
        str, typer.Option("--restart", metavar="POLICY", help="no, on-failure[:N], always or unless-stopped.")
    ] = "",
) -> int:
    """Change the limits of containers.

    Of running ones at once, of others at their next start. What is not given stays.

    \b
    Examples:
      jackstay -H '@web' update --memory 1g --memory-swap 1g app
      jackstay -H web1 update --restart unless-stopped app
    """
    from jackstay.cli.parsing.container_request import resources_of
    from jackstay.cli.parsing.restart_policy import parse_restart
    from jackstay.client import messages

    resources = resources_of(
        ContainerFlags(
            memory=memory,
            memory_reservation=memory_reservation,
            memory_swap=memory_swap,
            cpus=cpus,
            cpu_shares=cpu_shares,
            cpu_period=cpu_period,
            cpu_quota=cpu_quota,
            cpuset_cpus=cpuset_cpus,
            cpuset_mems=cpuset_mems,
            pids_limit=pids_limit,
            blkio_weight=blkio_weight,
        )
    )
    if not restart and resources == messages.Resources():
        raise UsageError("nothing to update: no limit and no restart policy was given", hint="e.g. --memory 1g")
    spec = parse_restart(restart) if restart else None
    policy = None if spec is None else messages.RestartPolicy(name=spec.name, maximum_retries=spec.maximum_retries)
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.containers.update(containers, resources=resources, restart=policy, warn=_warn),
        names_as("Name"),
        field("Name"),
    )


def _warn(host: str, warning: str) -> None:
    print_warning(with_host(host, warning))
