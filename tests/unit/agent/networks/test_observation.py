from __future__ import annotations

import subprocess
import sys

import msgspec

from jackstay_agent.networks import observation
from jackstay_agent.networks.plan import Actual, Found


def test_what_was_found_survives_the_way_from_the_child() -> None:
    actual = Actual(
        bridges={"jackstay0": Found(True, frozenset({"10.88.0.1/16"}), True, "jackstay network 1", 1400, True)},
        forwarding=True,
        forwarding6=True,
        routes=(("wg0", "10.0.0.0/8"),),
        interfaces=(("eth0", ""), ("js1", "jackstay0")),
        netns=frozenset({"abc"}),
        others=(("eth0", "192.0.2.1/24"),),
    )
    carried = msgspec.msgpack.decode(msgspec.msgpack.encode(observation.encode(actual)))
    assert observation.decode(carried) == actual


def test_the_agents_process_does_not_load_pyroute2() -> None:
    code = "import sys; from jackstay_agent.daemon import serve; sys.exit('pyroute2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
