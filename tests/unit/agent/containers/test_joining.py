from __future__ import annotations

from typing import Any

import pytest

from jackstay_agent.containers.joining import check
from jackstay_agent.containers.settings import NetworkAttachment, Port, Settings
from jackstay_agent.errors import InvalidArgument


def asked(network: dict[str, Any], **given: Any) -> Settings:
    return Settings(image="i", name="", **{"hostname": "", "networks": (NetworkAttachment(**network),), **given})


@pytest.mark.parametrize(
    ("network", "given", "told"),
    [
        ({}, {"hostname": "h"}, "hostname and"),
        ({}, {"dns": ("192.0.2.1",)}, "dns and"),
        ({}, {"dns_search": ("x",)}, "dns and"),
        ({}, {"add_host": ("a:192.0.2.1",)}, "custom host-to-IP mapping and"),
        ({}, {"ports": (Port(container_port=80),)}, "port publishing and"),
        ({}, {"publish_all": True}, "port publishing and"),
        ({"ip": "192.0.2.1"}, {}, "addresses and aliases and"),
        ({"ip6": "fd00::1"}, {}, "addresses and aliases and"),
        ({"aliases": ("a",)}, {}, "addresses and aliases and"),
        ({"mac_address": "02:00:00:00:00:01"}, {}, "mac-address and"),
    ],
)
def test_what_is_another_containers_cannot_be_asked_for(
    network: dict[str, Any], given: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidArgument, match=f"{told} the container type network mode"):
        check(asked({"network": "container:web", **network}, **given))
    check(asked({"network": "shop", **network}, **given))


def test_a_container_must_be_named() -> None:
    check(asked({"network": "container:web"}))
    with pytest.raises(InvalidArgument, match="names no container"):
        check(asked({"network": "container:"}))
