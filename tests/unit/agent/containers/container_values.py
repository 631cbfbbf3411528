"""Values that the tests of containers share."""

from __future__ import annotations

from typing import Any

from jackstay_agent.containers import capabilities
from jackstay_agent.containers.host_facts import Device, HostFacts
from jackstay_agent.containers.settings import Settings
from jackstay_agent.containers.spec import SpecContext
from jackstay_oci.image_config import ContainerConfig, ImageConfig


def settings(**values: Any) -> Settings:
    """Settings of a container "web" of image "app"."""
    return Settings(**{"image": "app", "name": "web", "hostname": "box", **values})


def image(**values: Any) -> ImageConfig:
    """An image's config with *values* for its containers."""
    return ImageConfig(architecture="amd64", os="linux", config=ContainerConfig(**values))


FACTS = HostFacts(
    machine="x86_64",
    cgroup_v2=True,
    swap_limit=True,
    cpus=frozenset({0, 1}),
    capabilities=frozenset(capabilities.ALL),
    rlimits={"RLIMIT_NOFILE": 20000, "RLIMIT_CORE": -1},
    devices=(Device("/dev/kvm", "c", 10, 232, 0o660, 0, 104),),
    init="/usr/bin/catatonit",
)


def context(**values: Any) -> SpecContext:
    """The surroundings of container "c1" on a host with FACTS."""
    return SpecContext(
        **{
            "id": "c1",
            "rootfs": "/run/c1/rootfs",
            "hostname": "box",
            "netns_path": "/run/netns/c1",
            "cgroups_path": "/jackstay/c1",
            "facts": FACTS,
            **values,
        }
    )
