"""The fields of every listing with the titles of their columns, as docker has them. Pure data.

A listing's ``--format`` may use these fields and no others, which is known before any host is asked. Source:
github.com/docker/cli, ``cli/command/formatter``.
"""

from __future__ import annotations

from collections.abc import Mapping

Titles = Mapping[str, str]

CONTAINER: Titles = {
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "HealthStatus": "HEALTH STATUS",
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Label": "LABEL",
    "Labels": "LABELS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Mounts": "MOUNTS",
    "Names": "NAMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
    "Ports": "PORTS",
    "RunningFor": "CREATED",
    "Size": "SIZE",
    "State": "STATE",
    "Status": "STATUS",
}
STATS: Titles = {
    "BlockIO": "BLOCK I/O",
    "CPUPerc": "CPU %",
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "MemPerc": "MEM %",
    "MemUsage": "MEM USAGE / LIMIT",
    "Name": "NAME",
    "NetIO": "NET I/O",
    "PIDs": "PIDS",
}
IMAGE: Titles = {
    "Containers": "CONTAINERS",
    "CreatedAt": "CREATED AT",
    "CreatedSince": "CREATED",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "Label": "LABEL",
    "Labels": "LABELS",
    "Repository": "REPOSITORY",
    "SharedSize": "SHARED SIZE",
    "Size": "SIZE",
    "Tag": "TAG",
    "UniqueSize": "UNIQUE SIZE",
    "VirtualSize": "SIZE",
}
HISTORY: Titles = {
    "Comment": "COMMENT",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "CreatedSince": "CREATED",
    "ID": "IMAGE",
    "Size": "SIZE",
}
SECRET: Titles = {
    "CreatedAt": "CREATED",
    "ID": "ID",
    "Label": "LABEL",
    "Labels": "LABELS",
    "Name": "NAME",
    "UpdatedAt": "UPDATED",
}
VOLUME: Titles = {
    "Driver": "DRIVER",
    "Label": "LABEL",
    "Labels": "LABELS",
    "Mountpoint": "MOUNTPOINT",
    "Name": "VOLUME NAME",
    "Scope": "SCOPE",
}
NETWORK: Titles = {
    "CreatedAt": "CREATED AT",
    "Driver": "DRIVER",
    "Gateway": "GATEWAY",
    "ID": "NETWORK ID",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Label": "LABEL",
    "Labels": "LABELS",
    "Name": "NAME",
    "Scope": "SCOPE",
    "Subnet": "SUBNET",
}
USAGE: Titles = {
    "Active": "ACTIVE",
    "Reclaimable": "RECLAIMABLE",
    "Size": "SIZE",
    "TotalCount": "TOTAL",
    "Type": "TYPE",
}
FINDING: Titles = {
    "Detail": "DETAIL",
    "Hint": "HINT",
    "Kind": "KIND",
    "Name": "NAME",
    "Repaired": "REPAIRED",
    "Thing": "THING",
    "ToDo": "TO DO",
}
HOST: Titles = {
    "Address": "ADDRESS",
    "Jump": "JUMP",
    "Name": "NAME",
    "Port": "PORT",
    "Socket": "SOCKET",
    "Sudo": "SUDO",
    "User": "USER",
}
REPOSITORY: Titles = {"Name": "NAME", "Repository": "REPOSITORY"}
REGISTRY_TAG: Titles = {"Name": "NAME", "Repository": "REPOSITORY", "Tag": "TAG"}
SEARCH: Titles = {
    "Description": "DESCRIPTION",
    "IsAutomated": "AUTOMATED",
    "IsOfficial": "OFFICIAL",
    "Name": "NAME",
    "StarCount": "STARS",
}
