"""What ``--volumes-from`` makes of another container's mounts."""

from __future__ import annotations

import pytest

from jackstay_agent.containers import inheriting
from jackstay_agent.containers.settings import Mount
from jackstay_agent.errors import InvalidArgument
from tests.unit.agent.containers.container_values import settings

DATA = Mount(type="volume", source="data", target="/data", anonymous=True)
LOOKED = Mount(type="bind", source="/srv", target="/srv", read_only=True, create_source=True)


def test_forms() -> None:
    assert inheriting.parse("web") == ("web", False)
    assert inheriting.parse("web:ro") == ("web", True)
    assert inheriting.parse("web:rw") == ("web", False)


@pytest.mark.parametrize("text", ["", ":ro", "web:", "web:z", "web:ro:rw"])
def test_malformed(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--volumes-from"):
        inheriting.parse(text)


def test_a_mount_is_taken_as_it_is_but_for_what_the_first_container_did_for_it() -> None:
    data, looked = inheriting.take([DATA, LOOKED], read_only=False)
    assert (data.source, data.anonymous, data.read_only, data.no_copy, data.inherited) == (
        "data", True, False, True, True,
    )  # fmt: skip
    assert (looked.read_only, looked.create_source) == (True, False)
    assert all(mount.read_only for mount in inheriting.take([DATA, LOOKED], read_only=True))


def test_what_takes_the_place_of_what() -> None:
    first = inheriting.take([DATA, LOOKED], read_only=False)
    second = inheriting.take([Mount(type="volume", source="other", target="/data")], read_only=False)
    own = Mount(type="volume", source="mine", target="/srv/")
    found = inheriting.merged([*first, *second], settings(mounts=(own,)))
    assert [(mount.source, mount.target) for mount in found] == [("other", "/data"), ("mine", "/srv/")]
    assert inheriting.merged(first, settings(tmpfs=("/data:size=1m", "/srv"))) == ()
