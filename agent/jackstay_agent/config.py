"""The agent's configuration: `/etc/jackstay/jackstayd.toml` over built-in defaults. Values only, no I/O but `load`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from jackstay_agent.errors import InvalidArgument
from jackstay_oci.registry.settings import RegistrySettings
from jackstay_oci.signatures.policy import Policy, check_scopes


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bounds on what an image may ask of the host. Passing one is `LimitExceeded`, naming it."""

    layer_entries: int = 2_000_000
    name_bytes: int = 4096
    header_bytes: int = 1 << 20
    layer_bytes: int = 64 << 30
    compression_ratio: int = 1100
    document_bytes: int = 4 << 20
    layers: int = 127


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The default bridge network."""

    bridge: str = "jackstay0"
    subnet: str = "10.88.0.0/16"


class Registries(RegistrySettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How registries are reached, and which images of theirs this host pulls."""

    policy: dict[str, Policy] = msgspec.field(default_factory=dict)
    """By registry, repository, the first parts of its path, or `*`: "accept", "reject", or the keys one of which must
    have signed an image. See `images.verifying` for what it holds for."""

    def __post_init__(self) -> None:
        check_scopes(self.policy)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can be set for an agent."""

    state: str = "/var/lib/jackstay"
    run: str = "/run/jackstay"
    socket: str = "/run/jackstay/jackstayd.sock"
    socket_group: str = "jackstay"
    runtime: str = ""  # name or path; empty: crun, else runc
    conmon: str = "conmon"
    storage_driver: Literal["", "overlay", "btrfs", "vfs"] = ""  # empty: what works, see layers.probing
    ingest_hours: int = 72  # for which blobs that did not come whole are kept
    ingest_bytes: int = 20 << 30  # of them that are kept; the oldest go first
    log_level: str = "info"
    limits: Limits = Limits()
    network: Network = Network()
    registries: Registries = Registries()


def load(path: str | None) -> Config:
    """The configuration in *path*; the defaults when *path* is None. Raises `InvalidArgument` naming file and field."""
    if path is None:
        return Config()
    try:
        return msgspec.toml.decode(Path(path).read_bytes(), type=Config)
    except OSError as error:
        raise InvalidArgument(f"{path}: {error.strerror}", hint="give a readable file with --config") from error
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"{path}: {error}", hint="see docs/install-by-hand.md for the settings") from error
