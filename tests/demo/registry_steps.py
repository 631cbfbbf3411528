"""The steps of the walkthrough that need a registry: 1, where its image comes from, and 10, where the new one goes."""

from __future__ import annotations

import hashlib
import json
import shutil

from tests.demo.hub import PASSWORD, USER
from tests.demo.story import PAGE, Story
from tests.lab.images import CREATED, Image
from tests.lab.laptop import data
from tests.registries.access_log import Request
from tests.registries.putting import put_image

FROM = "{{.Host}}: {{.image}}{{range .sources}}, {{.bytes}} bytes from {{.from}} by {{.via}}{{end}}"


def pull(story: Story) -> None:
    """1. A registry and two names: a base image comes from a registry"""
    registry, address, base = story.hub.registry, story.hub.address, story.base.image
    put_image(registry, story.base.other, "library/other:1")
    for name in ("library/base:latest", "team/base:1"):
        put_image(registry, base, name)
    digest = put_image(registry, base, "library/base:1")
    size = sum(path.stat().st_size for path in registry.blobs().values())

    before = len(registry.requests())
    told = story.run("-H", "web[1-2]", "pull", "--format", FROM, "other:1", "base:1").lines
    given = sum(request.size for request in _granted(story, before) if request.method == "GET")
    story.check(f"two hosts have both images, of which the registry has given every byte once: {size}", given == size)
    (first,) = {line.partition(":")[0] for line in told if line.endswith("by registry")}
    copied = [line for line in told if line.endswith(f"from {first} by relay")]
    story.check(f"{first} has asked the registry, and the other copied from {first}", len(copied) == 2, told)

    before = len(registry.requests())
    names = ("base", f"base@{digest}", f"{address}:443/team/base:1", f"{address}/team/base:1")
    story.run("-H", "web2", "pull", "-q", *names)
    asked = [request.path.partition("?")[0] for request in _granted(story, before)]
    meant = ("library/base/manifests/latest", *["team/base/manifests/1"] * 2)  # a digest that is there is not asked for
    story.check(
        "left out, it is Docker Hub (here its mirror), port 443, the namespace library, the tag latest",
        asked == [f"/v2/{path}" for path in meant],
        asked,
    )
    story.run("-H", "web1", "images", "--digests")
    listed = {row["Repository"]: row for row in data(story.ask("-H", "web1", "--json", "images", "--digests"))}["base"]
    shown = (listed["Digest"], listed["ID"] in base.id, CREATED.startswith(listed["CreatedAt"][:10]))
    story.check(f"listed are its digest, id, time of creation, {listed['Size']}", shown == (digest, True, True), listed)

    layer, written = b"as it was pushed", story.folder / "broken.tar"
    written.write_bytes(layer)
    put_image(registry, Image("broken:1", (written,)), "team/broken:1", compress=False)
    registry.blobs()[f"sha256:{hashlib.sha256(layer).hexdigest()}"].write_bytes(b"and as it is now")
    refused = story.run("-H", "web2", "pull", f"{address}/team/broken:1", code=1)
    story.check("what does not have the digest that it is called by is refused", "digest" in refused.stderr, refused)


def push(story: Story) -> None:
    """10. Push it to the registry, under the user's namespace"""
    registry, address = story.hub.registry, story.hub.address
    name = f"{address}/{USER}/httpd:1.1"
    refused = story.run("-H", "web1", "push", "httpd:1.1", name, code=1)
    story.check("who is not logged in may not, and is told how", f"jackstay login {address}" in refused.stderr, refused)
    story.run("login", "-u", USER, "--password-stdin", address, input=f"{PASSWORD}\n")
    pushed = story.run("-H", "web1", "push", "httpd:1.1", name).stdout
    digest = pushed.split()[-1]
    story.check("the registry has it, with the digest that is printed", digest in registry.blobs(), pushed)
    before = len(registry.requests())
    again = story.run("-H", "web1", "push", "httpd:1.1", name).stdout
    methods = {request.method for request in _granted(story, before)}
    story.check("pushed again, nothing is sent", (again, methods) == (pushed, {"HEAD"}), (again, methods))

    by_digest = f"{address}/{USER}/httpd@{digest}"
    story.run("-H", "web2", "pull", by_digest)
    said = story.run("-H", "web2", "run", "--rm", by_digest, "cat", "/var/www/html/index.html").stdout
    story.check("a second host has pulled it by its digest, and runs it", said == f"{PAGE}\n", said)
    logs = "".join(host.log_text() for host in story.lab.hosts.values())
    story.check("the password is in no host's log", PASSWORD not in logs)


def expose(story: Story) -> None:
    """Every host is a registry, too: on a port of the laptop's loopback, through SSH"""
    registry, address = story.hub.registry, story.hub.address
    with story.started("registry", "expose", "web2") as exposed:
        tags = story.fetch(f"http://{exposed}/v2/other/tags/list")
        story.check("it lists the image's tags as registries do", json.loads(tags)["tags"] == ["1"], tags)
        if skopeo := shutil.which("skopeo"):
            before = len(registry.requests())
            certs = story.hub.certs / address
            there = (f"docker://{address}/library/other:1", f"docker://{exposed}/other:2")
            story.program(skopeo, "copy", "--src-cert-dir", certs, "--dest-tls-verify=false", *there)
            blobs = [request for request in _granted(story, before) if "/blobs/" in request.path]
            story.check("skopeo puts an image there, and finds that its layers are there", len(blobs) == 1, blobs)
            listed = story.ask("-H", "web2", "images", "-q", "--no-trunc", "other:2").lines
            story.check("the host has it", listed == [story.base.other.id], listed)


def _granted(story: Story, before: int) -> list[Request]:
    """What the registry has been asked and has granted since it had been asked ``before`` things."""
    return [request for request in story.hub.registry.requests()[before:] if request.status < 300]
