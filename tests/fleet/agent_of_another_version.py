"""An agent from another time: it answers Version, with another protocol, and knows nothing else."""

from __future__ import annotations

import os
import signal
from concurrent import futures

import grpc

from jackstay_proto.v1 import system_pb2, system_pb2_grpc

FOLDER = "/run/jackstay"


class System(system_pb2_grpc.SystemServicer):
    def Version(self, request: object, context: object) -> system_pb2.VersionReply:  # noqa: N802
        return system_pb2.VersionReply(version="9.9.9", protocol=99)


os.makedirs(FOLDER, exist_ok=True)
server = grpc.server(futures.ThreadPoolExecutor(2))
system_pb2_grpc.add_SystemServicer_to_server(System(), server)
server.add_insecure_port(f"unix:{FOLDER}/jackstayd.sock")
server.start()
signal.signal(signal.SIGTERM, lambda *_: server.stop(0))
server.wait_for_termination()
