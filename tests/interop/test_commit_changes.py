"""``commit -c``: what Docker makes of an instruction, jackstay makes of it too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from jackstay.client import connect, messages
from jackstay.errors import AgentError
from jackstay.inventory.host import Host
from tests.interop.engines import DEBIANS, Engines
from tests.interop.jackstay import Jackstay
from tests.interop.originals import Original

FIELDS = (
    *("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "OnBuild", "StopSignal", "User", "Volumes"),
    "WorkingDir",
)
CONTAINER = ("-e", "A=1", "-e", "B=x y", "-e", "P=87", "-w", "/srv", "-l", "l=0", "-u", "www", "--entrypoint", "/entry")
CHANGES = (
    (),
    ('CMD ["a", "\\u0041"] and more', "USER $NOBODY"),
    ("CMD a   b \\", "  # a comment", "  c", "WORKDIR b", "WORKDIR ../c d/./e"),
    ("CMD []", 'VOLUME ["/a", "/b c"]', "VOLUME /d /e/ /$A"),
    ("CMD ['a']", "USER a b # c"),
    ('ENTRYPOINT ["/x"]', "HEALTHCHECK NONE"),
    ("ENTRYPOINT []", "EXPOSE 53/udp 80-82/TCP $P 8080:83 84/sctp", 'WORKDIR "q r"'),
    ("ENTRYPOINT exec  x", 'HEALTHCHECK cmd  ["a", "b"] c', "USER app:web"),
    ('ENTRYPOINT ["/x"]', 'CMD ["c"]', "HEALTHCHECK --retries=3 --timeout=500ms CMD curl -f  x"),
    ('CMD ["c"]', 'ENTRYPOINT ["/x"]', "HEALTHCHECK --interval=1m30s --start-period=1.5s CMD true"),
    ("ENV A=2 C='d  e' D=\"$A-${B}\"", "ENV E=$A", 'ENV F the "rest of" it', 'ENV "K K"=v'),
    ('ENV E=a\\"b F=\'it"s\' G="x\\$A" H=\\$A I="a\\nb" J=a\\ b K=${A:-x}${Z:-9}${A:+y}', "ENV A=5", "USER u$A"),
    ('LABEL a=b "c d"=e l=$A', "LABEL f g  h", 'LABEL i="x \\\n   y" j=k'),
    ("ONBUILD RUN make  x", "onbuild  copy . /", "  workdir  /z  "),
)
SIGNALS = (("STOPSIGNAL SIGQUIT",), ("STOPSIGNAL quit",), ("STOPSIGNAL 9",), ("STOPSIGNAL RTMIN+3",))
REFUSED = (
    "RUN x", 'SHELL ["/bin/bash"]', "MAINTAINER x", "ARG A", "nonsense", "CMD [1]", "CMD --foo x", "ENV A=1 B",
    "ENV C",
    "ENV =x", 'ENV "A=B"=c', "ENV A=${Z?no}", "LABEL a", 'EXPOSE "83 84"', "EXPOSE 86/foo", "EXPOSE 99999",
    "EXPOSE 90-88", "EXPOSE", "HEALTHCHECK --interval=5 CMD x", "HEALTHCHECK --interval=1us CMD x", "HEALTHCHECK CMD",
    "HEALTHCHECK --interval=-5s CMD x", "HEALTHCHECK CMD []", "ONBUILD ONBUILD RUN x", "ONBUILD FROM x",
    "ONBUILD MAINTAINER x", "ONBUILD", "USER --x", 'USER "a', "USER ${A", "VOLUME []", 'VOLUME [""]', 'VOLUME "/a b"',
)  # fmt: skip


def flags(changes: tuple[str, ...]) -> list[str]:
    return [word for change in changes for word in ("-c", change)]


async def committed(jackstay: Jackstay, asked: Sequence[tuple[str, ...]]) -> list[dict[str, Any]]:
    """What ``image inspect`` says of a commit of ``same`` with each of the changes."""
    found = []
    async with await connect(Host("web1", "localhost", socket=str(jackstay.host.agent.socket), kind="local")) as agent:
        for changes in asked:
            request = messages.CommitRequest(container="same", author="me", message="why", changes=changes, pause=True)
            image_id = (await agent.images.commit(request)).image_id
            found.append(
                json.loads((await agent.images.inspect(messages.InspectImageRequest(image=image_id))).document)
            )
    return found


def run_config(image: dict[str, Any]) -> dict[str, Any]:
    """The fields, where nothing, null and empty are the same; Docker shuffles the environment of a container."""
    found = {name: image["Config"].get(name) or None for name in FIELDS}
    return found | {"Env": sorted(found["Env"] or [])}


@pytest.mark.parametrize("original", DEBIANS, indirect=True)
def test_the_config_is_dockers(
    original: Original, jackstay: Jackstay, engines: dict[str, Engines], exchange: Path, tmp_path: Path
) -> None:
    docker = original.docker
    docker.empty()
    docker.load(original.archives["made:2"])
    ready = ("HEALTHCHECK --interval=7s --retries=2 CMD true", 'CMD ["arg"]')
    docker.commit(*flags(ready), docker.create("made:2"), "ready:1")
    jackstay.load(docker.save(exchange / f"{tmp_path.name}.tar", "ready:1"))
    container = docker.create(*CONTAINER, "ready:1", "arg")
    jackstay.run("create", "--name", "same", *CONTAINER, "ready:1", "arg")
    with_signals = docker.peer.name == "debian13"  # Docker 20 does not know the instruction here
    asked = (*CHANGES, *(SIGNALS if with_signals else ()))
    different = {}
    for changes, ours in zip(asked, asyncio.run(committed(jackstay, asked)), strict=True):
        theirs = docker.inspect(docker.commit("-a", "me", "-m", "why", *flags(changes), container))
        if run_config(ours) != run_config(theirs):
            different[changes] = (run_config(ours), run_config(theirs))
        for field in ("Author", "Comment", "Architecture", "Os"):
            assert ours[field] == theirs[field]
    assert not different


async def refused(jackstay: Jackstay, asked: Sequence[str]) -> list[object]:
    """What comes of a commit with each of the changes."""
    async with await connect(Host("web1", "localhost", socket=str(jackstay.host.agent.socket), kind="local")) as agent:
        commits = [agent.images.commit(messages.CommitRequest(container="same", changes=[change])) for change in asked]
        return list(await asyncio.gather(*commits, return_exceptions=True))


@pytest.mark.parametrize("original", ["debian13"], indirect=True)
def test_what_docker_refuses_is_refused(original: Original, jackstay: Jackstay) -> None:
    docker = original.docker
    docker.empty()
    docker.load(original.archives["imported:1"])
    container = docker.create("-e", "A=1", "imported:1", "x")
    jackstay.load(original.archives["imported:1"])
    jackstay.run("create", "--name", "same", "-e", "A=1", "imported:1", "x")
    refusals = asyncio.run(refused(jackstay, REFUSED))
    assert [change for change, error in zip(REFUSED, refusals, strict=True) if not isinstance(error, AgentError)] == []
    for change in REFUSED:
        with pytest.raises(AssertionError, match="Error response"):
            docker.commit("-c", change, container)
