"""What docker's Go types say about its JSON objects that the JSON itself does not. Pure data and its look-up.

JSON has one kind of object, one null, and leaves out what is empty; Go has structs and maps, nil slices, maps and
pointers, and zero values of omitted fields. ``{{if .State.Health}}`` must work for a container without a health check,
``{{.Config.Entrypoint}}`` print ``[]``, ``{{index .Config.Labels "x"}}`` nothing. Source: github.com/docker/docker,
``api/types`` (the fields with ``omitempty``, the types of the others).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jackstay.cli.output.go_values import NO_VALUE, Map, NilList, NilMap, Row

MAPS: Mapping[str, object] = {
    "Annotations": "",
    "AuxAddress": "",
    "AuxiliaryAddresses": "",
    "Containers": NO_VALUE,
    "Data": "",
    "DriverOpts": "",
    "ExposedPorts": NO_VALUE,
    "Labels": "",
    "Networks": None,
    "Options": "",
    "PortBindings": NO_VALUE,
    "Ports": NO_VALUE,
    "Runtimes": NO_VALUE,
    "Status": NO_VALUE,
    "StorageOpt": "",
    "Sysctls": "",
    "Tmpfs": "",
    "Volumes": NO_VALUE,
}
"""Fields that are maps, and what a missing key of each has as its value."""

_MAPS_OF_LISTS = frozenset({"PortBindings", "Ports"})
LISTS = frozenset((
    "Aliases", "Args", "Binds", "BlkioDeviceReadBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps", "BlkioWeightDevice", "CapAdd", "CapDrop", "Cmd", "Config", "DNSNames",
    "DeviceCgroupRules", "DeviceRequests", "Devices", "Dns", "DnsOptions", "DnsSearch", "Entrypoint", "Env",
    "ExecIDs", "ExtraHosts", "GroupAdd", "Layers", "Links", "MaskedPaths", "Mounts", "OnBuild", "ReadonlyPaths",
    "RepoDigests", "RepoTags", "SecondaryIPAddresses", "SecondaryIPv6Addresses", "SecurityOpt", "Shell", "Ulimits",
    "VolumesFrom",
))  # fmt: skip
"""Fields that are slices, which JSON may have as null."""

_OMITTED: tuple[tuple[frozenset[str], Mapping[str, object]], ...] = (
    (frozenset({"Status", "Running"}), {"Health": None}),
    (
        frozenset({"Cmd", "Env"}),
        {
            "ArgsEscaped": False,
            "ExposedPorts": NilMap({}),
            "Healthcheck": None,
            "MacAddress": "",
            "NetworkDisabled": False,
            "Shell": NilList(),
            "StopSignal": "",
            "StopTimeout": None,
            "Volumes": NilMap({}),
        },
    ),
    (
        frozenset({"RestartPolicy", "LogConfig"}),
        {
            "Annotations": NilMap({}, ""),
            "Init": None,
            "Mounts": NilList(),
            "Runtime": "",
            "StorageOpt": NilMap({}, ""),
            "Sysctls": NilMap({}, ""),
            "Tmpfs": NilMap({}, ""),
        },
    ),
    (frozenset({"HostConfig", "State"}), {"ExecIDs": NilList(), "SizeRootFs": None, "SizeRw": None}),
    (frozenset({"Destination", "RW"}), {"Driver": "", "Mode": "", "Name": "", "Propagation": "", "Source": ""}),
    (frozenset({"Mountpoint", "Scope"}), {"CreatedAt": "", "Status": NilMap({}), "UsageData": None}),
    (
        frozenset({"RootFS", "Architecture"}),
        {
            "Author": "",
            "Comment": "",
            "DockerVersion": "",
            "OsVersion": "",
            "Parent": "",
            "Variant": "",
            "VirtualSize": 0,
        },
    ),
    (frozenset({"Subnet"}), {"AuxAddress": NilMap({}, ""), "Gateway": "", "IPRange": ""}),
)
"""Fields that JSON leaves out when they are empty, by the fields that tell what the object is."""

_GO_NAMES: Mapping[str, str] = {
    "CPUPeriod": "CpuPeriod",
    "CPUQuota": "CpuQuota",
    "CPURealtimePeriod": "CpuRealtimePeriod",
    "CPURealtimeRuntime": "CpuRealtimeRuntime",
    "CPUShares": "CpuShares",
    "DNS": "Dns",
    "DNSOptions": "DnsOptions",
    "DNSSearch": "DnsSearch",
    "HostIP": "HostIp",
    "ID": "Id",
    "NanoCPUs": "NanoCpus",
}
"""Fields that are called otherwise in Go than in JSON, with their names there: docker's templates know both."""

_DECLARED: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = (
    (
        frozenset({"Pid", "Running", "FinishedAt"}),
        (
            *("Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead", "Pid", "ExitCode", "Error"),
            *("StartedAt", "FinishedAt", "Health"),
        ),
    ),
    (
        frozenset({"Destination", "RW"}),
        ("Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation"),
    ),
    (frozenset({"HostPort"}), ("HostIp", "HostPort")),
)
"""All fields of the structs that people print whole, in their order."""


def typed(owner: Mapping[str, Any], name: str) -> Any:
    """A member of a struct with its Go type; ``NO_VALUE`` when the struct has no such field."""
    value = owner.get(name, NO_VALUE)
    if value is NO_VALUE and name in _GO_NAMES:
        name = _GO_NAMES[name]
        value = owner.get(name, NO_VALUE)
    if value is NO_VALUE:
        return next(
            (fields[name] for marks, fields in _OMITTED if name in fields and owner.keys() >= marks),
            NO_VALUE,
        )
    if value is None:
        return _nil(owner, name)
    if type(value) is dict and (name in MAPS or _is_log_config(owner, name)):
        if name in _MAPS_OF_LISTS:
            value = {key: NilList() if item is None else item for key, item in value.items()}
        return Map(value, MAPS.get(name, ""))
    return value


def declared(struct: Mapping[str, Any]) -> list[str]:
    """The names of a struct's fields in the order in which Go prints them."""
    known = next((names for marks, names in _DECLARED if struct.keys() >= marks), ())
    return [*known, *(name for name in struct if name not in known)]


def _nil(owner: Mapping[str, Any], name: str) -> Any:
    if isinstance(owner, Row):
        return None
    if name in MAPS or _is_log_config(owner, name):
        return NilMap({}, MAPS.get(name, ""))
    return NilList() if name in LISTS else None


def _is_log_config(owner: Mapping[str, Any], name: str) -> bool:
    return name == "Config" and owner.keys() == {"Type", "Config"}
