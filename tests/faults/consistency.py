"""Whether a host's files and its database tell the same story: no row lacks its file, no file lacks its row.

Independent of the agent's own check, which the fault tests ask, too (`found`): each would notice what the other misses.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from pathlib import Path

import grpc

from jackstay_proto.v1 import system_pb2, system_pb2_grpc
from tests.lab.host import Host

RUNNING = ("running", "paused")


def problems(host: Host) -> list[str]:
    """Everything that does not fit on *host*, whose agent is up and idle; one line each."""
    state, run = host.state_dir, host.path("/run/jackstay")
    connection = sqlite3.connect(f"file:{state / 'jackstay.db'}?mode=ro", uri=True)
    try:
        return [
            *_blobs(connection, state / "content"),
            *_snapshots(connection, state / "layers" / "snapshots"),
            *_images(connection),
            *_containers(connection, state, run),
            *_volumes(connection, state / "volumes"),
            *_secrets(connection, state / "secrets", run),
            *_network(connection, host, run),
            *_mounts(connection, host),
        ]
    finally:
        connection.close()


def found(host: Host, point: str = "") -> list[str]:
    """What the agent of *host* itself finds wrong, every layer compared with its blob; one line each.

    It is not asked after a death at a *point* of the database alone, where no file is under way: it reads every byte.
    """
    if point.startswith("metadata."):
        return []
    with grpc.insecure_channel(f"unix:{host.agent.socket}") as channel:
        replies = list(system_pb2_grpc.SystemStub(channel).Check(system_pb2.CheckRequest(), timeout=60))
    findings = [reply.finding for reply in replies if reply.HasField("finding")]
    return [f"{finding.kind} {finding.thing} {finding.name}: {finding.detail}" for finding in findings]


def _column(connection: sqlite3.Connection, query: str) -> set[str]:
    return {str(row[0]) for row in connection.execute(query)}


def _compare(what: str, rows: set[str], files: set[str]) -> list[str]:
    return [f"{what} {name} has a row and no file" for name in sorted(rows - files)] + [
        f"{what} {name} has a file and no row" for name in sorted(files - rows)
    ]


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} if folder.exists() else set()


def _blobs(connection: sqlite3.Connection, content: Path) -> list[str]:
    found = _compare(
        "blob", _column(connection, "SELECT substr(digest, 8) FROM blobs"), _names(content / "blobs" / "sha256")
    )
    for path in (content / "blobs" / "sha256").iterdir():
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != path.name:
                found.append(f"blob {path.name} has other bytes than its digest says")
    rows = {hashlib.sha256(ref.encode()).hexdigest() for ref in _column(connection, "SELECT ref FROM ingests")}
    return [*found, *_compare("ingest", rows, _names(content / "ingest"))]


def _snapshots(connection: sqlite3.Connection, folder: Path) -> list[str]:
    found = _compare("snapshot", _column(connection, "SELECT id FROM snapshots"), _names(folder))
    under_way = _column(connection, "SELECT key FROM snapshots WHERE key LIKE 'extract-%'")
    return [*found, *(f"snapshot {key} is still being extracted" for key in under_way)]


def _images(connection: sqlite3.Connection) -> list[str]:
    found = [
        f"image {row[0]} lacks its snapshot {row[1]}"
        for row in connection.execute(
            "SELECT root, chain_id FROM images WHERE chain_id != '' AND chain_id NOT IN (SELECT key FROM snapshots)"
        )
    ]
    found += [
        f"{row[0]} names {row[1]}, which is not here"
        for row in connection.execute(
            "SELECT parent, child FROM blob_references JOIN images ON parent = manifest "
            "WHERE child NOT IN (SELECT digest FROM blobs)"
        )
    ]
    # A fetch that broke off keeps what came whole, for the next try.
    left = _column(connection, "SELECT id FROM leases WHERE substr(id, 1, 6) != 'fetch-'")
    found += [f"lease {lease} is left" for lease in left]
    return found


def _containers(connection: sqlite3.Connection, state: Path, run: Path) -> list[str]:
    every = _column(connection, "SELECT id FROM containers")
    found = [f"container folder {name} has no row" for name in _names(state / "containers") - every]
    found += [f"bundle {name} has no row" for name in _names(run / "containers") - every]
    found += [f"exit file {name} has no row" for name in _names(run / "exits") - every]
    found += [
        f"folder of mapped mounts {name} has no row" for name in _names(run.with_name(f"{run.name}-mapped")) - every
    ]
    found += [
        f"container {row[0]} is stuck in state {row[1]}"
        for row in connection.execute("SELECT name, state FROM containers WHERE state IN ('starting', 'removing')")
    ]
    found += [
        f"container {row[0]} lacks its snapshot"
        for row in connection.execute("SELECT name FROM containers WHERE snapshot NOT IN (SELECT key FROM snapshots)")
    ]
    used = _column(connection, "SELECT snapshot FROM containers")
    active = _column(connection, "SELECT key FROM snapshots WHERE kind = 'active'")
    return [*found, *(f"snapshot {key} belongs to no container" for key in active - used)]


def _volumes(connection: sqlite3.Connection, folder: Path) -> list[str]:
    extra = _names(folder) - _column(connection, "SELECT name FROM volumes")
    return [f"volume folder {name} has no row" for name in extra]


def _secrets(connection: sqlite3.Connection, folder: Path, run: Path) -> list[str]:
    found = _compare("secret", _column(connection, "SELECT id FROM secrets"), _names(folder))
    for path in (folder, *folder.glob("*")) if folder.exists() else ():
        look = path.stat()
        if (look.st_mode & 0o777, look.st_uid, look.st_gid) != (0o700 if path == folder else 0o600, 0, 0):
            found.append(f"{path} has mode {look.st_mode:o} and belongs to {look.st_uid}:{look.st_gid}")
    uses = connection.execute("SELECT container, secret FROM secret_uses")
    containers = _column(connection, "SELECT id FROM containers")
    found += [f"secret {row[1]} is used by {row[0]}, which is not here" for row in uses if row[0] not in containers]
    running = _column(connection, f"SELECT id FROM containers WHERE state IN {RUNNING}")
    given = {path.parent.name for path in (run / "containers").glob("*/secrets")}
    return [*found, *(f"container {name} does not run and has files of secrets" for name in given - running)]


def _network(connection: sqlite3.Connection, host: Host, run: Path) -> list[str]:
    active = f"state IN {RUNNING}"
    running = _column(connection, f"SELECT id FROM containers WHERE {active}")
    found = [f"network namespace {name} belongs to nothing that runs" for name in _names(run / "netns") - running]
    wanted = _column(connection, f"SELECT interface FROM endpoints JOIN containers ON id = container WHERE {active}")
    deadline = time.monotonic() + 10
    while (actual := _interfaces(host)) > wanted and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel takes those of a namespace that has gone in its own time
    found += _compare("interface", wanted, actual)
    stray = _column(
        connection, f"SELECT host_port FROM ports WHERE container NOT IN (SELECT id FROM containers WHERE {active})"
    )
    return [*found, *(f"port {port} is held by nothing that runs" for port in stray)]


def _interfaces(host: Host) -> set[str]:
    links = json.loads(host.exec(["ip", "-json", "link", "show", "type", "veth"]).stdout or "[]")
    return {link["ifname"] for link in links if link["ifname"].startswith("veth")}


def _mounts(connection: sqlite3.Connection, host: Host) -> list[str]:
    running = _column(connection, f"SELECT id FROM containers WHERE state IN {RUNNING}")
    table = host.exec(["cat", "/proc/self/mountinfo"]).stdout.splitlines()
    points = [line.split(" ")[4] for line in table]
    return [
        f"{point} is still mounted"
        for point in points
        if point.startswith(
            ("/run/jackstay/containers/", "/run/jackstay/netns/", "/run/jackstay-mapped/", "/var/lib/jackstay/")
        )
        and not any(container in point for container in running)
    ]
