"""The config of an image as a value (image-spec, config.md, and the fields that Docker adds).

Only the shape. ``documents.parse_config`` reads one and ``documents.encode`` writes one.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from jackstay_oci.digest import Digest


class Healthcheck(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """How to find out whether a container is well. Durations are nanoseconds; 0 inherits."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ContainerConfig(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """What a container of the image starts with unless told otherwise. ``env`` holds ``NAME=value`` strings."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, Any] = {}
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, Any] = {}
    working_dir: str = ""
    entrypoint: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: tuple[str, ...] = ()


class History(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of how the image was made. A step with ``empty_layer`` has no layer of its own."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class RootFS(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The layers by diffID, lowest first."""

    type: str = field(default_factory=lambda: "layers")  # a factory, so that omit_defaults keeps the field
    diff_ids: tuple[Digest, ...] = field(default_factory=lambda: ())


class ImageConfig(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The config of an image; the digest of its bytes is the image id."""

    architecture: str = field(default_factory=lambda: "")
    os: str = field(default_factory=lambda: "")
    os_version: str = field(default="", name="os.version")
    os_features: tuple[str, ...] = field(default=(), name="os.features")
    variant: str = ""
    created: str = ""
    author: str = ""
    docker_version: str = ""
    config: ContainerConfig = field(default_factory=ContainerConfig)
    rootfs: RootFS = field(default_factory=RootFS)
    history: tuple[History, ...] = ()
