"""Making a host empty between two tests, and proving that it is: what is left behind fails the test that left it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import grpc

from jackstay_proto.v1 import (
    containers_pb2,
    containers_pb2_grpc,
    images_pb2,
    images_pb2_grpc,
    networks_pb2,
    networks_pb2_grpc,
    secrets_pb2,
    secrets_pb2_grpc,
    volumes_pb2,
    volumes_pb2_grpc,
)
from tests.lab.host import Host
from tests.lab.processes import in_namespace_of

# On a host with an agent and nothing else: the first process, sshd, the agent and its spawner.
IDLE_PROCESSES = 4

OWN_LINKS = {"lo", "eth0", "jackstay0"}

_LEASED = """
import sqlite3
database = sqlite3.connect("file:/var/lib/jackstay/jackstay.db?mode=ro", uri=True)
for (digest,) in database.execute("SELECT substr(key, 8) FROM lease_items WHERE kind = 'blob'"):
    print(digest)
"""


def empty(host: Host) -> None:
    """Remove all containers, images, volumes, secrets, networks, straight through the agent's socket: it is done after
    every test."""
    with grpc.insecure_channel(f"unix:{host.agent.socket}") as channel:
        _remove_containers(channel)
        images = images_pb2_grpc.ImagesStub(channel)
        for image in images.List(images_pb2.ListImagesRequest(all=True)).images:
            try:
                images.Remove(images_pb2.RemoveImageRequest(image=image.id, force=True), timeout=60)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND:  # a second name of an image that is gone
                    raise
        # A failed load keeps the blobs that came whole, for the next try; collection takes them.
        images.Prune(images_pb2.PruneImagesRequest(all=True), timeout=60)
        volumes = volumes_pb2_grpc.VolumesStub(channel)
        for volume in volumes.List(volumes_pb2.ListVolumesRequest()).volumes:
            volumes.Remove(volumes_pb2.RemoveVolumeRequest(name=volume.name, force=True), timeout=30)
        secrets = secrets_pb2_grpc.SecretsStub(channel)
        for secret in secrets.List(secrets_pb2.ListSecretsRequest()).secrets:
            secrets.Remove(secrets_pb2.RemoveSecretRequest(secret=secret.id, force=True), timeout=30)


def empty_of_containers(host: Host) -> None:
    """Remove all containers and networks."""
    with grpc.insecure_channel(f"unix:{host.agent.socket}") as channel:
        _remove_containers(channel)


def _remove_containers(channel: grpc.Channel) -> None:
    containers = containers_pb2_grpc.ContainersStub(channel)
    for container in containers.List(containers_pb2.ListContainersRequest(all=True)).containers:
        try:
            containers.Remove(
                containers_pb2.RemoveContainerRequest(container=container.id, force=True, volumes=True), timeout=30
            )
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:  # one that has gone by itself meanwhile
                raise
    networks_pb2_grpc.NetworksStub(channel).Prune(networks_pb2.PruneNetworksRequest(), timeout=30)


def leftovers(host: Host) -> list[str]:
    """What is on a host that should have nothing, one line each; half-received blobs may wait to be resumed.

    Nor does what a lease keeps count: the source of a copy holds the image's blobs until the lease has run out.
    """
    run = host.path("/run/jackstay")
    places = [host.path("/var/lib/jackstay") / place for place in ("content/blobs/sha256", "layers/snapshots")]
    places += [host.path("/var/lib/jackstay") / place for place in ("containers", "secrets", "volumes")]
    places += [run / place for place in ("containers", "exits", "netns")]
    entries = [path for place in places for path in _entries(place)]
    leased = _leased(host) if entries else set()
    found = [str(path) for path in entries if path.name not in leased]
    for line in Path(f"/proc/{host.namespace.process.pid}/mounts").read_text().splitlines():
        where = line.split()[1]
        if "/jackstay/" in where:
            found.append(f"mount {where}")
    found += [f"link {name}" for name in _links(host)]
    processes = in_namespace_of(host.namespace.process)
    if len(processes) > IDLE_PROCESSES:
        found += [_command(process.pid) for process in processes]
    return found


def _leased(host: Host) -> set[str]:
    # Asked inside the host: SQLite would resolve a path that leads into it.
    rows = host.exec([sys.executable, "-I", "-S", "-c", _LEASED]).stdout
    return set(rows.split())


def _links(host: Host) -> list[str]:
    """The veth pairs and bridges that a host has beyond its own; asked by name first, since that costs no process."""
    lines = Path(f"/proc/{host.namespace.process.pid}/net/dev").read_text().splitlines()[2:]
    if {line.partition(":")[0].strip() for line in lines} <= OWN_LINKS:
        return []
    shown = [json.loads(host.namespace.net("ip", "-json", "link", "show", "type", kind)) for kind in ("veth", "bridge")]
    return [link["ifname"] for links in shown for link in links if link["ifname"] not in OWN_LINKS]


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []


def _command(pid: int) -> str:
    try:
        return f"process {pid}: {Path(f'/proc/{pid}/cmdline').read_bytes().replace(bytes(1), b' ').decode()}"
    except (FileNotFoundError, ProcessLookupError):
        return f"process {pid}"
