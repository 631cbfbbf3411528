"""Limits on memory, CPU and processes, checked and written as the runtime specification has them. Pure.

The checks and their words are those of moby's ``daemon/daemon_unix.go`` (verifyPlatformContainerResources).
"""

from __future__ import annotations

from typing import Any

from jackstay_agent.containers import cpuset
from jackstay_agent.containers.host_facts import HostFacts
from jackstay_agent.containers.settings import Resources
from jackstay_agent.errors import InvalidArgument

MIN_MEMORY = 6 << 20
"""Bytes below which no runtime can start a container."""
CPU_PERIOD = 100_000
"""Microseconds."""
_MAX_SHARES = 262_144
_MAX_INT64 = (1 << 63) - 1


def linux(resources: Resources, facts: HostFacts, warnings: list[str]) -> dict[str, Any]:
    """The ``linux.resources`` of *resources* without devices; what the host cannot do goes to *warnings*.

    Raises:
        InvalidArgument: a value is out of bounds, or two of them contradict each other.
    """
    built: dict[str, Any] = {}
    if memory := _memory(resources, facts, warnings):
        built["memory"] = memory
    if cpu := _cpu(resources, facts):
        built["cpu"] = cpu
    if resources.pids_limit < -1 or resources.pids_limit > _MAX_INT64:
        raise InvalidArgument(
            f"invalid pids limit {resources.pids_limit}", hint="give a number above 0, or -1 for none"
        )
    if resources.pids_limit > 0:
        built["pids"] = {"limit": resources.pids_limit}
    return built


def _memory(resources: Resources, facts: HostFacts, warnings: list[str]) -> dict[str, int]:
    memory, swap, reservation = resources.memory, resources.memory_swap, resources.memory_reservation
    if not (0 <= memory <= _MAX_INT64 and 0 <= reservation <= _MAX_INT64 and -1 <= swap <= _MAX_INT64):
        raise InvalidArgument("a memory limit is negative or too large")
    if 0 < memory < MIN_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if swap > 0 and memory == 0:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < swap < memory:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    if 0 < reservation < MIN_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if memory and memory < reservation:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")
    built: dict[str, int] = {}
    if memory:
        built["limit"] = memory
    if reservation:
        built["reservation"] = reservation
    if swap or memory:
        if facts.swap_limit:
            built["swap"] = swap or min(2 * memory, _MAX_INT64)
        else:
            warnings.append("This host's kernel does not support swap limits. Memory limited without swap.")
    return built


def _cpu(resources: Resources, facts: HostFacts) -> dict[str, Any]:
    built: dict[str, Any] = {}
    if resources.nano_cpus:
        count = len(facts.cpus)
        # Less than 10 ms/s is below the kernel's least quota of 1 ms a period of 100 ms.
        if not 10_000_000 <= resources.nano_cpus <= count * 10**9:
            raise InvalidArgument(f"range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available")
        built["period"] = CPU_PERIOD
        built["quota"] = resources.nano_cpus * CPU_PERIOD // 10**9
    if resources.cpu_shares:
        if not 2 <= resources.cpu_shares <= _MAX_SHARES:
            raise InvalidArgument(f"invalid CPU shares {resources.cpu_shares}: the range is from 2 to {_MAX_SHARES}")
        built["shares"] = resources.cpu_shares
    if resources.cpuset_cpus:
        wanted = cpuset.parse(resources.cpuset_cpus)
        if not wanted <= facts.cpus:
            raise InvalidArgument(
                f"requested CPUs are not available - requested {resources.cpuset_cpus}, "
                f"available: {cpuset.format_list(facts.cpus)}"
            )
        built["cpus"] = resources.cpuset_cpus.replace(" ", "")
    return built
