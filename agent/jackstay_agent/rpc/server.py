"""The gRPC server on its Unix socket. Who may open the socket is root, so its folder is 0750 root:jackstay."""

from __future__ import annotations

import contextlib
import grp
import os

import grpc.aio

from jackstay_agent.config import Config
from jackstay_agent.rpc.errors import ErrorInterceptor

MESSAGE_BYTES = 16 << 20
"""Bound on one message; pieces of blobs have at most 1 MiB, lists may be larger."""


def prepare_folder(config: Config) -> None:
    """Make the socket's folder, give it to the group when there is one, and take a dead agent's socket away."""
    folder = os.path.dirname(config.socket)
    os.makedirs(folder, mode=0o750, exist_ok=True)
    os.chmod(folder, 0o750)  # noqa: S103 - the group may enter, that is what it is for
    with contextlib.suppress(KeyError):
        os.chown(folder, 0, grp.getgrnam(config.socket_group).gr_gid)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(config.socket)


def build(config: Config) -> grpc.aio.Server:
    """A server that will listen on the configured socket once it is started."""
    server = grpc.aio.server(
        interceptors=[ErrorInterceptor()],
        options=[
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.max_send_message_length", MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
        ],
    )
    server.add_insecure_port(f"unix:{config.socket}")
    return server


def open_to_group(config: Config) -> None:
    """Let the folder's group connect; called once the socket exists."""
    os.chmod(config.socket, 0o660)
    with contextlib.suppress(KeyError):
        os.chown(config.socket, 0, grp.getgrnam(config.socket_group).gr_gid)
