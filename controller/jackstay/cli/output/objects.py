"""The protocol's messages as docker's objects: docker's field names, values as docker prints them. Pure.

Each function takes the time as an argument. ``full`` switches shortening off, as ``--no-trunc`` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jackstay.cli.output.go_values import Row
from jackstay.cli.output.ports import BoundPort, format_ports
from jackstay.cli.output.units import ago, ellipsis, human_duration, human_size, rfc3339, short_id, timestamp

if TYPE_CHECKING:
    from jackstay.client import messages

Object = dict[str, Any]
COMMAND_WIDTH = 20
CREATED_BY_WIDTH = 45
MOUNT_WIDTH = 15


def container_object(item: messages.ContainerSummary, now: float, *, full: bool = False, size: bool = False) -> Object:
    """A row of ``ps``."""
    program, *arguments = item.command or [""]
    command = " ".join([program, *(f"'{argument}'" if " " in argument else argument for argument in arguments)])
    bound = [BoundPort(p.protocol or "tcp", p.host_ip, p.container_port, p.host_port) for p in item.ports]
    published = {f"{port.container_port}/{port.protocol}" for port in bound}
    exposed = [
        BoundPort(protocol, "", int(port), 0)
        for port, _, protocol in (text.partition("/") for text in item.exposed if text not in published)
    ]
    image = short_id(item.image) if item.image.startswith("sha256:") and not full else item.image
    fields = {
        "Command": f'"{command if full else ellipsis(command, COMMAND_WIDTH)}"',
        "CreatedAt": timestamp(item.created),
        "HealthStatus": item.health,
        "ID": item.id if full else short_id(item.id),
        "Image": image,
        "Labels": _pairs(item.labels),
        "LocalVolumes": str(sum(not source.startswith("/") for source in item.mounts)),
        "Mounts": ",".join(item.mounts if full else (ellipsis(mount, MOUNT_WIDTH) for mount in item.mounts)),
        "Names": item.name,
        "Networks": ",".join(item.networks),
        "Platform": item.platform,
        "Ports": format_ports([*bound, *exposed]),
        "RunningFor": ago(item.created, now),
        "Size": f"{human_size(item.size_rw)} (virtual {human_size(item.size_root)})" if size else "0B",
        "State": item.state,
        "Status": container_status(item, now),
    }
    return Row(fields, item.labels)


def container_status(item: messages.ContainerSummary, now: float) -> str:
    """``Up 5 minutes``, ``Up 5 minutes (healthy)``, ``Exited (0) 2 hours ago``, ``Created``, …"""
    if item.state in ("running", "paused"):
        up = f"Up {human_duration(now - item.started)}"
        if item.state == "paused":
            return f"{up} (Paused)"
        return up + {"": "", "starting": " (health: starting)"}.get(item.health, f" ({item.health})")
    if item.state == "restarting":
        return f"Restarting ({item.exit_code}) {ago(item.finished, now)}"
    if item.state == "exited":
        return f"Exited ({item.exit_code}) {ago(item.finished, now)}"
    return item.state.capitalize()


def image_object(item: messages.ImageSummary, now: float, *, full: bool = False) -> Object:
    """A row of ``images``."""
    fields = {
        "Containers": str(item.containers),
        "CreatedAt": timestamp(item.created),
        "CreatedSince": ago(item.created, now),
        "Digest": item.digest or "<none>",
        "ID": item.id if full else short_id(item.id),
        "Labels": _pairs(item.labels),
        "Repository": item.repository,
        "SharedSize": human_size(item.shared_size, 4),
        "Size": human_size(item.size),
        "Tag": item.tag,
        "UniqueSize": human_size(item.unique_size, 4),
        "VirtualSize": human_size(item.size, 4),
    }
    return Row(fields, item.labels)


def history_object(item: messages.HistoryEntry, now: float, *, full: bool = False, human: bool = True) -> Object:
    """A row of ``history``; without ``human`` the age is a date and the size is in bytes."""
    created_by = item.created_by.replace("\t", " ") if full else " ".join(item.created_by.split())
    fields = {
        "Comment": item.comment,
        "CreatedAt": rfc3339(item.created),
        "CreatedBy": created_by if full else ellipsis(created_by, CREATED_BY_WIDTH),
        "CreatedSince": ago(item.created, now) if human else rfc3339(item.created),
        "ID": item.id if full else short_id(item.id),
        "Size": human_size(item.size) if human else str(item.size),
    }
    return Row(fields)


def secret_object(item: messages.Secret, now: float) -> Object:
    """A row of ``secret ls``."""
    fields = {
        "CreatedAt": ago(item.created, now),
        "ID": item.id,
        "Labels": _pairs(item.labels),
        "Name": item.name,
        "UpdatedAt": ago(item.updated, now),
    }
    return Row(fields, item.labels)


def secret_document(item: messages.Secret) -> Object:
    """An element of ``secret inspect``."""
    return {
        "ID": item.id,
        "CreatedAt": rfc3339(item.created),
        "UpdatedAt": rfc3339(item.updated),
        "Spec": {"Name": item.name, "Labels": dict(sorted(item.labels.items()))},
    }


def volume_object(item: messages.Volume) -> Object:
    """A row of ``volume ls``."""
    fields = {
        "Driver": "local",
        "Labels": _pairs(item.labels),
        "Mountpoint": item.mountpoint,
        "Name": item.name,
        "Scope": "local",
    }
    return Row(fields, item.labels)


def volume_document(item: messages.Volume) -> Object:
    """An element of ``volume inspect``."""
    return {
        "CreatedAt": rfc3339(item.created),
        "Driver": "local",
        "Labels": dict(sorted(item.labels.items())) or None,
        "Mountpoint": item.mountpoint,
        "Name": item.name,
        "Options": None,
        "Scope": "local",
    }


def network_object(item: messages.NetworkSummary, *, full: bool = False) -> Object:
    """A row of ``network ls``."""
    fields = {
        "CreatedAt": timestamp(item.created),
        "Driver": item.driver,
        "Gateway": item.gateway,
        "ID": item.id if full else short_id(item.id),
        "IPv6": str(item.ipv6).lower(),
        "Internal": str(item.internal).lower(),
        "Labels": _pairs(item.labels),
        "Name": item.name,
        "Scope": "local",
        "Subnet": ",".join(filter(None, (item.subnet, item.subnet6))),
    }
    return Row(fields, item.labels)


def usage_object(item: messages.DiskUsage) -> Object:
    """A row of ``system df``."""
    percent = f" ({item.reclaimable * 100 // item.size}%)" if item.size else ""
    fields = {
        "Active": str(item.active),
        "Reclaimable": human_size(item.reclaimable, 4) + percent,
        "Size": human_size(item.size, 4),
        "TotalCount": str(item.total),
        "Type": item.type,
    }
    return Row(fields)


def removed_objects(items: Iterable[messages.RemovedImage]) -> list[Object]:
    """What ``rmi`` did: ``Untagged`` or ``Deleted``, an object each."""
    return [{"Untagged": item.untagged} if item.untagged else {"Deleted": item.deleted} for item in items]


def version_object(item: messages.VersionReply) -> Object:
    """A host's part of ``version``; ``Server`` is the same as docker has it."""
    runtime, _, runtime_version = item.runtime.partition(" ")
    return {
        "Server": {
            "Components": [
                {"Name": "jackstayd", "Version": item.version},
                {"Name": runtime, "Version": runtime_version},
            ],
            "Version": item.version,
            "ApiVersion": str(item.protocol),
            "Os": item.os,
            "Arch": item.architecture,
            "KernelVersion": item.kernel,
        },
        "Version": item.version,
        "Protocol": str(item.protocol),
        "Runtime": item.runtime,
        "KernelVersion": item.kernel,
        "Os": item.os,
        "Arch": item.architecture,
    }


def _pairs(labels: Any) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
