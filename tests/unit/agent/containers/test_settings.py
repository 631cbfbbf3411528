"""What a row keeps of a container, also of an older agent's."""

from __future__ import annotations

import json

import msgspec

from jackstay_agent.containers.settings import DeviceMapping, NetworkAttachment, Settings, decode

OLDER = {
    "image": "i",
    "name": "n",
    "hostname": "h",
    "mounts": [{"type": "bind", "source": "/a", "target": "/b", "anonymous": False}],
    "ports": [{"container_port": 80, "protocol": "tcp", "host_ip": "", "host_port": 8080}],
    "network": "bridge",
    "ip": "",
    "mac_address": "",
    "devices": [{"host_path": "/dev/a", "container_path": "/dev/b", "permissions": "r"}],
}


def test_the_one_network_of_an_older_agents_container_is_kept() -> None:
    for network in ("host", "none", "bridge"):
        assert decode(json.dumps(OLDER | {"network": network})).networks == (NetworkAttachment(network=network),)
    asked = OLDER | {"ip": "10.88.0.9", "mac_address": "02:00:00:00:00:09"}
    settings = decode(json.dumps(asked))
    assert (settings.network, settings.ip, settings.mac_address) == ("bridge", asked["ip"], asked["mac_address"])
    assert settings.devices == (DeviceMapping(host_path="/dev/a", container_path="/dev/b", permissions="r"),)


def test_what_this_agent_keeps_it_reads_again() -> None:
    networks = (NetworkAttachment(network="a", aliases=("x",)), NetworkAttachment(network="b", ip6="fd00::2"))
    for given in (networks, ()):
        settings = Settings(image="i", name="n", hostname="h", networks=given)
        assert decode(msgspec.json.encode(settings).decode()) == settings
