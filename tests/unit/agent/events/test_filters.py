from __future__ import annotations

import pytest

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.events import filters
from jackstay_agent.events.event import ATTRIBUTE_CHARACTERS, Event, made

START = Event("container", "start", "c0ffee", {"name": "web", "image": "registry:5000/httpd:1.1", "tier": "front"})
EXEC = Event("container", "exec_start: ls -l", "c0ffee", {"name": "web", "image": "httpd:1.1"})
PULL = Event("image", "load", "sha256:aa", {"name": "httpd:1.1"})
CONNECT = Event("network", "connect", "beef", {"name": "bridge", "container": "c0ffee", "type": "bridge"})
MOUNT = Event("volume", "mount", "data", {"container": "c0ffee", "driver": "local"})
EVERY = (START, EXEC, PULL, CONNECT, MOUNT)


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ([], EVERY),
        (["type=image"], (PULL,)),
        (["type=image", "type=volume"], (PULL, MOUNT)),
        (["event=start"], (START,)),
        (["event=exec_start"], (EXEC,)),
        (["event=exec_start: ls -l"], (EXEC,)),
        (["event=exec"], ()),
        (["container=web"], (START, EXEC)),
        (["container=c0f"], (START, EXEC, CONNECT, MOUNT)),
        (["container=other"], ()),
        (["container=web", "event=start", "event=die"], (START,)),
        (["network=bridge"], (CONNECT,)),
        (["volume=data"], (MOUNT,)),
        (["image=httpd:1.1"], (EXEC, PULL)),
        (["image=httpd"], (EXEC, PULL)),
        (["image=registry:5000/httpd"], (START,)),
        (["image=sha256:aa"], (PULL,)),
        (["label=tier"], (START,)),
        (["label=tier=front"], (START,)),
        (["label=tier=back"], ()),
        (["label=tier", "label=other"], ()),
        (["scope=local"], EVERY),
        (["scope=swarm"], ()),
    ],
)
def test_what_fits(texts: list[str], wanted: tuple[Event, ...]) -> None:
    parsed = filters.parse(texts)
    assert tuple(event for event in EVERY if parsed.fits(event)) == wanted


@pytest.mark.parametrize(("text", "words"), [("event", "bad format"), ("colour=red", "invalid filter 'colour'")])
def test_bad_filters(text: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        filters.parse([text])


def test_an_event_stays_small() -> None:
    labels = {"name": "of the image", **{f"label{number}": "x" * 1000 for number in range(100)}}
    event = made("container", "exec_create: " + "y" * 5000, "c0ffee", {"name": "web", "image": "z" * 9000}, labels, 7)
    assert event.attributes["name"] == "web"
    assert event.attributes["label0"] == "x" * 1000
    assert 5 <= len(event.attributes) < 12
    assert sum(len(key) + len(value) for key, value in event.attributes.items()) <= ATTRIBUTE_CHARACTERS
    assert len(event.action) == 1024
