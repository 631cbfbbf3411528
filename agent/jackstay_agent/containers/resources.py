"""Limits on memory, CPU and processes, checked and written as the runtime specification has them. Pure.

The checks and their words are those of moby's ``daemon/daemon_unix.go`` (verifyPlatformContainerResources).
"""

from __future__ import annotations

from typing import Any

import msgspec

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
    if weight := resources.blkio_weight:
        if not 10 <= weight <= 1000:
            raise InvalidArgument("Range of blkio weight is from 10 to 1000")
        if facts.blkio_weight:
            built["blockIO"] = {"weight": weight}
        else:
            warnings.append("This host's kernel does not support Block I/O weight. Weight discarded.")
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
    period, quota = resources.cpu_period, resources.cpu_quota
    if resources.nano_cpus and period:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set.")
    if resources.nano_cpus and quota:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Quota cannot both be set.")
    if period and not 1000 <= period <= 1_000_000:
        raise InvalidArgument("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if not -1 <= quota <= _MAX_INT64:
        raise InvalidArgument(f"invalid CPU cfs quota {quota}", hint="give microseconds, or -1 for no limit")
    built: dict[str, Any] = {}
    if period:
        built["period"] = period
    if quota:
        built["quota"] = quota
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
    if resources.cpuset_mems:
        if not cpuset.parse(resources.cpuset_mems, "mems") <= facts.mems:
            raise InvalidArgument(
                f"requested memory nodes are not available - requested {resources.cpuset_mems}, "
                f"available: {cpuset.format_list(facts.mems)}"
            )
        built["mems"] = resources.cpuset_mems.replace(" ", "")
    return built


def merge(old: Resources, given: Resources) -> Resources:
    """*old* with those of *given* that are not 0 or "".

    As in docker (moby ``container/container_unix.go``), a limit of swap that was twice the memory stays what it was.

    Raises:
        InvalidArgument: the two contradict each other.
    """
    for one, other, told in (
        ("nano_cpus", "cpu_period", "Nano CPUs cannot be updated as CPU Period has already been set"),
        ("nano_cpus", "cpu_quota", "Nano CPUs cannot be updated as CPU Quota has already been set"),
        ("cpu_period", "nano_cpus", "CPU Period cannot be updated as NanoCPUs has already been set"),
        ("cpu_quota", "nano_cpus", "CPU Quota cannot be updated as NanoCPUs has already been set"),
    ):
        if getattr(given, one) > 0 and getattr(old, other) > 0:
            raise InvalidArgument(f"Conflicting options: {told}")
    changes = {name: value for name, value in msgspec.structs.asdict(given).items() if value}
    if given.memory and old.memory and not given.memory_swap:
        swap = old.memory_swap or 2 * old.memory
        if given.memory > swap > 0:
            raise InvalidArgument(
                "Memory limit should be smaller than already set memoryswap limit, "
                "update the memoryswap at the same time"
            )
        changes["memory_swap"] = swap
    return msgspec.structs.replace(old, **changes)
