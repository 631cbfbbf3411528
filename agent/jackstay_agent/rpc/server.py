"""The gRPC server on its Unix socket. Who may open the socket is root, so its folder is 0750 root:jackstay."""

from __future__ import annotations

import contextlib
import grp
import os
from dataclasses import dataclass

import grpc.aio

from jackstay_agent.config import Config
from jackstay_agent.registry_server import place
from jackstay_agent.rpc import lanes
from jackstay_agent.rpc.activity import Activity
from jackstay_agent.rpc.errors import ErrorInterceptor
from jackstay_agent.rpc.pieces import serve_pieces
from jackstay_proto.v1 import (
    containers_pb2_grpc,
    content_pb2_grpc,
    images_pb2_grpc,
    networks_pb2_grpc,
    secrets_pb2_grpc,
    system_pb2_grpc,
    volumes_pb2_grpc,
)

MESSAGE_BYTES = 16 << 20
"""Bound on one message; pieces of blobs have at most 1 MiB, lists may be larger."""


KEEPALIVE = 30
"""Seconds of silence after which a caller is asked whether it is there."""
ANSWER = 150
"""Seconds after which one that does not answer counts as gone. On a slow line, or one that loads to many hosts share,
the answer comes behind all that is under way: 2 MiB, which is what an SSH server lets a caller send ahead."""


@dataclass(frozen=True, slots=True)
class Services:
    """One servicer for each service of the protocol."""

    containers: containers_pb2_grpc.ContainersServicer
    content: content_pb2_grpc.ContentServicer
    images: images_pb2_grpc.ImagesServicer
    networks: networks_pb2_grpc.NetworksServicer
    secrets: secrets_pb2_grpc.SecretsServicer
    system: system_pb2_grpc.SystemServicer
    volumes: volumes_pb2_grpc.VolumesServicer


def prepare_folder(config: Config) -> None:
    """Make the socket's folder, give it to the group when there is one, and take a dead agent's socket away.

    A folder that was there and is not the agent's own, such as ``/run``, stays as it is.
    """
    folder = os.path.dirname(config.socket)
    if os.path.abspath(folder) == os.path.abspath(config.run) or not os.path.isdir(folder):
        os.makedirs(folder, mode=0o750, exist_ok=True)
        os.chmod(folder, 0o750)  # noqa: S103 - the group may enter, that is what it is for
        with contextlib.suppress(KeyError):
            os.chown(folder, 0, grp.getgrnam(config.socket_group).gr_gid)
    for path in sockets(config):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def sockets(config: Config) -> tuple[str, str, str]:
    """The agent's socket, that of its lanes, and that of its registry."""
    return config.socket, config.socket + lanes.SUFFIX, place.beside(config.socket)


def build(config: Config, services: Services, activity: Activity) -> grpc.aio.Server:
    """A server of *services*, listening on the configured socket once it is started; *activity* counts its calls."""
    server = grpc.aio.server(
        interceptors=[ErrorInterceptor(activity)],
        options=[
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.max_send_message_length", MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
            # A laptop that vanished closes nothing, and its fetch would keep others from the same blobs for hours.
            ("grpc.keepalive_time_ms", KEEPALIVE * 1000),
            ("grpc.keepalive_timeout_ms", ANSWER * 1000),
            ("grpc.http2.ping_timeout_ms", ANSWER * 1000),
            ("grpc.http2.max_pings_without_data", 0),
        ],
    )
    containers_pb2_grpc.add_ContainersServicer_to_server(services.containers, server)
    content_pb2_grpc.add_ContentServicer_to_server(services.content, server)
    images_pb2_grpc.add_ImagesServicer_to_server(services.images, server)
    serve_pieces(server, services.images)
    networks_pb2_grpc.add_NetworksServicer_to_server(services.networks, server)
    secrets_pb2_grpc.add_SecretsServicer_to_server(services.secrets, server)
    system_pb2_grpc.add_SystemServicer_to_server(services.system, server)
    volumes_pb2_grpc.add_VolumesServicer_to_server(services.volumes, server)
    server.add_insecure_port(f"unix:{config.socket}")
    return server


def open_to_group(config: Config) -> None:
    """Let the folder's group connect; called once the sockets exist."""
    for path in sockets(config):
        if not os.path.exists(path):  # one may be missing
            continue
        os.chmod(path, 0o660)
        with contextlib.suppress(KeyError):
            os.chown(path, 0, grp.getgrnam(config.socket_group).gr_gid)
