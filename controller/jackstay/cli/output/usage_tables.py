"""``system df -v``: an agent's document of everything that takes space, as docker's rows and as tables. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jackstay.cli.output.go_values import Row
from jackstay.cli.output.objects import container_object
from jackstay.cli.output.table import render_table
from jackstay.cli.output.units import ago, human_size, short_id, timestamp
from jackstay.cli.output.view import Rows
from jackstay.client import messages

Object = dict[str, Any]

SECTIONS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Images space usage:",
        "Images",
        (
            *(("REPOSITORY", "Repository"), ("TAG", "Tag"), ("IMAGE ID", "ID"), ("CREATED", "CreatedSince")),
            *(("SIZE", "Size"), ("SHARED SIZE", "SharedSize"), ("UNIQUE SIZE", "UniqueSize")),
            ("CONTAINERS", "Containers"),
        ),
    ),
    (
        "Blobs space usage:",
        "Blobs",
        (("DIGEST", "Digest"), ("CREATED", "CreatedSince"), ("SIZE", "Size"), ("IMAGES", "Images")),
    ),
    (
        "Containers space usage:",
        "Containers",
        (
            *(("CONTAINER ID", "ID"), ("IMAGE", "Image"), ("COMMAND", "Command"), ("LOCAL VOLUMES", "LocalVolumes")),
            *(("SIZE", "Size"), ("CREATED", "RunningFor"), ("STATUS", "Status"), ("NAMES", "Names")),
        ),
    ),
    ("Local Volumes space usage:", "Volumes", (("VOLUME NAME", "Name"), ("LINKS", "Links"), ("SIZE", "Size"))),
    (
        "Partial ingests space usage:",
        "Ingests",
        (
            *(("DIGEST", "Digest"), ("UPDATED", "UpdatedSince"), ("SIZE", "Size"), ("OF", "Total")),
            ("ACTIVE", "Active"),
        ),
    ),
)
"""The tables: heading, field of the object, and the columns' titles and fields."""


class UsageTables:
    """The tables one below the other, with a HOST column when several hosts were asked."""

    def __init__(self, full: bool) -> None:
        self._full = full

    def render(self, rows: Rows, several: bool) -> str:
        """The text."""
        return "\n".join(
            f"{heading}\n\n" + self._table(rows, part, columns, several) for heading, part, columns in SECTIONS
        )

    def _table(self, rows: Rows, part: str, columns: Sequence[tuple[str, str]], several: bool) -> str:
        header = (["HOST"] if several else []) + [title for title, _ in columns]
        body = [
            ([host] if several else []) + [self._cell(item[field], field) for _, field in columns]
            for host, objects in rows
            for everything in objects
            for item in everything[part]
        ]
        return render_table(header, body)

    def _cell(self, value: str, field: str) -> str:
        return short_id(value) if field in ("ID", "Digest") and not self._full else value


def usage_details(document: Mapping[str, Any], now: float, *, full: bool = False) -> Object:
    """Docker's object of ``system df -v --format json``, and in it the blobs and the ingests. Ids are in full."""
    return {
        "Images": [_image(item, now) for item in document["Images"]],
        "Containers": [_container(item, now, full) for item in document["Containers"]],
        "Volumes": [_volume(item) for item in document["Volumes"]],
        "BuildCache": [],
        "Blobs": [_blob(item, now) for item in document["Blobs"]],
        "Ingests": [_ingest(item, now) for item in document["Ingests"]],
    }


def _image(item: Mapping[str, Any], now: float) -> Object:
    repository, tag = item["RepoTags"][0].rsplit(":", 1) if item["RepoTags"] else ("<none>", "<none>")
    return Row(
        {
            "Containers": str(item["Containers"]),
            "CreatedAt": timestamp(item["Created"]),
            "CreatedSince": ago(item["Created"], now),
            "Digest": item["RepoDigests"][0].rpartition("@")[2] if item["RepoDigests"] else "",
            "ID": item["Id"],
            "Repository": repository,
            "SharedSize": human_size(item["SharedSize"], 4),
            "Size": human_size(item["Size"]),
            "Tag": tag,
            "UniqueSize": human_size(item["Size"] - item["SharedSize"], 4),
            "VirtualSize": human_size(item["Size"], 4),
        }
    )


def _container(item: Mapping[str, Any], now: float, full: bool) -> Object:
    row = container_object(
        messages.ContainerSummary(
            id=item["Id"],
            name=item["Names"][0].removeprefix("/"),
            image=item["Image"],
            image_id=item["ImageID"],
            command=[item["Command"]],
            created=item["Created"],
            state=item["State"],
            started=item["Started"],
            finished=item["Finished"],
            exit_code=item["ExitCode"],
            labels=item["Labels"],
            mounts=[mount["Source"] for mount in item["Mounts"]],
        ),
        now,
        full=full,
    )
    volumes = sum(mount["Type"] == "volume" for mount in item["Mounts"])
    row.update(ID=item["Id"], LocalVolumes=str(volumes), Size=human_size(item["SizeRw"]))
    return row


def _volume(item: Mapping[str, Any]) -> Object:
    return Row(
        {
            "Driver": item["Driver"],
            "Labels": ",".join(f"{key}={value}" for key, value in sorted(item["Labels"].items())),
            "Links": str(item["UsageData"]["RefCount"]),
            "Mountpoint": item["Mountpoint"],
            "Name": item["Name"],
            "Scope": item["Scope"],
            "Size": human_size(item["UsageData"]["Size"], 4),
        }
    )


def _blob(item: Mapping[str, Any], now: float) -> Object:
    return Row(
        {
            "CreatedAt": timestamp(item["Created"]),
            "CreatedSince": ago(item["Created"], now),
            "Digest": item["Digest"],
            "Images": str(item["Images"]),
            "Size": human_size(item["Size"], 4),
        }
    )


def _ingest(item: Mapping[str, Any], now: float) -> Object:
    updated = int(datetime.fromisoformat(item["UpdatedAt"][:19] + "+00:00").timestamp())
    return Row(
        {
            "Active": "true" if item["Active"] else "false",
            "Digest": item["Digest"] or "<none>",
            "Ref": item["Ref"],
            "Size": human_size(item["Offset"], 4),
            "Total": "?" if item["Total"] is None else human_size(item["Total"], 4),
            "UpdatedAt": timestamp(updated),
            "UpdatedSince": ago(updated, now),
        }
    )
