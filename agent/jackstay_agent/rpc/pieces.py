"""``Images.Save`` served as bytes: a servicer's method gives pieces, and no protobuf object is made of each."""

from __future__ import annotations

import grpc
import grpc.aio

from jackstay_proto import pieces
from jackstay_proto.v1 import images_pb2
from jackstay_proto.v1.images_pb2_grpc import ImagesServicer


def serve_pieces(server: grpc.aio.Server, images: ImagesServicer) -> None:
    """Serve `Save` of *images*, whose replies are bytes, in place of what the service itself has added."""
    save = grpc.unary_stream_rpc_method_handler(
        images.Save, request_deserializer=images_pb2.SaveRequest.FromString, response_serializer=pieces.encode
    )
    server.add_registered_method_handlers("jackstay.v1.Images", {"Save": save})
