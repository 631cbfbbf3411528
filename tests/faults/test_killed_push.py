"""The agent is killed with SIGKILL at every fault point of a push to it, of what is attached to an image, and of its
deletion: files and rows tell one story after the next start, and the same requests then succeed.
"""

from __future__ import annotations

import contextlib
import http.client
import signal
from collections.abc import Iterator

import pytest

from tests.faults.consistency import found, problems
from tests.fleet.registry_client import CONFIG, MANIFEST, Client
from tests.lab.emptying import empty, leftovers
from tests.lab.host import Host
from tests.lab.images import Image, busybox_web
from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


OWN = ("metadata.registry.", "metadata.lease.", "metadata.content.", "metadata.images.", "metadata.gc.", "content.")
"""The points of the store and of the registry; those of layers are passed by loads, too."""


class Bench:
    """A host whose agent dies where it is told to, and what is pushed to it."""

    def __init__(self, host: Host, image: Image) -> None:
        self.host = host
        self.image = image
        folder = host.namespace.folder
        self.trace, self.armed = folder / "trace", folder / "armed"
        self.client = Client(str(host.agent.socket.with_name("registry.sock")))
        self.start()

    def start(self) -> None:
        self.host.agent.start(env={"JACKSTAY_FAULT": f"@{self.armed}", "JACKSTAY_FAULT_TRACE": str(self.trace)})

    def act(self) -> None:
        """Push an image in whole and a note about it, then delete the image, and the note with it."""
        root = self.client.push(self.image, "web:1")
        config = {"mediaType": CONFIG, **self.client.blob("web", b"{}")}
        subject = {"mediaType": MANIFEST, "digest": root, "size": 1}
        note = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "a/note", "config": config, "layers": []}
        self.client.manifest("web", "", {**note, "subject": subject})
        assert self.client.ask("GET", f"/v2/web/referrers/{root}")[2].count(b"a/note") == 1
        path = "/v2/web/blobs/uploads/"
        _, begun, _ = self.client.ask("POST", path)
        assert self.client.ask("PATCH", begun["Location"], b"given up")[0] == 202
        assert self.client.ask("DELETE", begun["Location"])[0] == 204
        assert self.client.ask("DELETE", "/v2/web/manifests/1")[0] == 202
        assert self.client.ask("GET", "/v2/web/manifests/1")[0] == 404

    def passed(self) -> set[str]:
        """The points of one whole run."""
        self.trace.write_text("")
        self.act()
        points = set(self.trace.read_text().split())
        empty(self.host)
        return points


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Lab(1, forked=True) as lab:
        host = lab.hosts["web1"]
        host.agent.stop()
        yield Bench(host, busybox_web(tmp_path_factory.mktemp("web")))


def test_at_every_point(bench: Bench) -> None:
    points = bench.passed() & bench.passed()  # what is collected in the background is not passed each time
    assert {"metadata.lease.hold", "metadata.registry.keep", "metadata.registry.artifact"} <= points
    assert {"content.commit.renamed", "content.abort.removed", "metadata.images.named"} <= points
    for name in sorted(point for point in points if point.startswith(OWN)):
        bench.armed.write_text(name)
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            bench.act()
        assert bench.host.agent.wait(5) == -signal.SIGKILL, name
        bench.armed.unlink()
        bench.start()
        assert problems(bench.host) == [], name
        assert found(bench.host, name) == [], name
        bench.act()
        empty(bench.host)
        assert leftovers(bench.host) == [], name
