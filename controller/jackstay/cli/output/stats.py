"""What a container uses as docker's object of ``stats``. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackstay.cli.output.go_values import Row
from jackstay.cli.output.units import binary_size, human_size, short_id

if TYPE_CHECKING:
    from jackstay.client.messages import ContainerStats


def stats_object(item: ContainerStats, *, full: bool = False) -> Row:
    """A row of ``stats``; without ``full`` the id is short."""
    share = item.memory / item.memory_limit * 100 if item.memory_limit else 0.0
    identifier = item.id if full else short_id(item.id)
    return Row(
        {
            "BlockIO": f"{human_size(item.block_read)} / {human_size(item.block_written)}",
            "CPUPerc": f"{item.cpu_percent:.2f}%",
            "Container": identifier,
            "ID": identifier,
            "MemPerc": f"{share:.2f}%",
            "MemUsage": f"{binary_size(item.memory)} / {binary_size(item.memory_limit)}",
            "Name": item.name,
            "NetIO": f"{human_size(item.network_received)} / {human_size(item.network_sent)}",
            "PIDs": str(item.pids),
        }
    )
