from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.containers import filters
from jackstay_agent.containers.filters import Candidate
from jackstay_agent.errors import InvalidArgument, NotFound

WEB = Candidate(
    "c" * 64, "web", "running", None, "app:1", "sha256:" + "1" * 64, {"tier": "front", "x": ""},
    frozenset({"data", "/srv", "/data"}), frozenset({"bridge", "b" * 64}), "healthy",
    frozenset({"80/tcp", "53/udp"}), frozenset({"8080/tcp"}),
)  # fmt: skip
WEBSITE = Candidate(
    "d" * 64, "website", "exited", 3, "site", "sha256:" + "2" * 64, {"tier": "back"}, frozenset(), frozenset({"host"})
)
OLD = Candidate("e" * 64, "old", "exited", 0, "app:1", "sha256:" + "1" * 64, {}, frozenset(), frozenset({"none"}))
ALL = [WEB, WEBSITE, OLD]


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([], "web website old"),
        (["name=web"], "web website"),
        (["name=^web$"], "web"),
        (["name=^/web$"], "web"),
        (["name=w.b", "name=old"], "web website old"),
        (["id=ccc"], "web"),
        (["status=exited"], "website old"),
        (["status=exited", "status=running"], "web website old"),
        (["exited=3"], "website"),
        (["exited=0"], "old"),
        (["health=none"], "website old"),
        (["health=healthy", "health=starting"], "web"),
        (["label=tier"], "web website"),
        (["label=tier=front"], "web"),
        (["label=tier", "label=x"], "web"),
        (["label=x="], "web"),
        (["name=web", "status=exited"], "website"),
        (["volume=data"], "web"),
        (["volume=/data"], "web"),
        (["network=bridge"], "web"),
        (["network=bbbbbbbbbbbb"], "web"),
        (["network=b"], ""),
        (["ancestor=site"], "website"),
        (["ancestor=222222222222"], "website"),
        (["expose=80"], "web"),
        (["expose=80/tcp"], "web"),
        (["expose=80/udp"], ""),
        (["expose=50-60/udp"], "web"),
        (["publish=8080"], "web"),
        (["publish=8000-9000/"], "web"),
        (["publish=80"], ""),
        (["publish=80", "expose=53/udp"], "web"),
        (["is-task=false"], "web website old"),
        (["is-task=true"], ""),
        (["before=website"], "old"),
        (["since=website"], "web"),
        (["since=" + "e" * 64, "before=/web"], "website"),
        (["before=dddd"], "old"),
    ],
)
def test_matching(texts: list[str], found: str) -> None:
    assert " ".join(container.name for container in filters.select(filters.parse(texts), ALL)) == found


def test_ancestors_that_the_images_know() -> None:
    parsed = filters.parse(["ancestor=app"])
    assert parsed.ancestor == ("app",)
    assert filters.select(parsed, ALL) == []
    assert filters.select(parsed, ALL, ancestor_ids={WEB.image_id}) == [WEB, OLD]


def test_status_asks_for_any_state() -> None:
    assert filters.parse(["status=exited"]).any_state
    assert not filters.parse(["name=x"]).any_state


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "nonsense=1",
        "status=asleep",
        "exited=x",
        "exited=",
        "name=(",
        "id=[",
        "name=" + "a" * 300,
        "",
        "publish=x",
        "publish=80:80",
        "expose=9-8",
        "expose=65536",
        "expose=1/ftp",
        "is-task=maybe",
        "is-task=",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(InvalidArgument):
        filters.parse([text])


@pytest.mark.parametrize("text", ["before=gone", "since=gone", "before="])
def test_a_container_that_is_not_there(text: str) -> None:
    with pytest.raises(NotFound):
        filters.select(filters.parse([text]), ALL)


@given(st.lists(st.builds("{}={}".format, st.sampled_from(filters.KEYS), st.text(max_size=20)), max_size=4))
def test_nothing_else_escapes(texts: list[str]) -> None:
    try:
        filters.select(filters.parse(texts), ALL)
    except (InvalidArgument, NotFound):
        pass
