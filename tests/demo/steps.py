"""The walkthrough: what the system does from the first image to a killed agent, step by step, each step checked.

The numbers are those of the project's plan. The steps run in order, on three hosts, and each leaves what the next
begins with. The registry is there for the first ten, and gone for the others.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.demo.registry_steps import expose, pull, push
from tests.demo.story import PAGE, Story
from tests.lab.laptop import data


def run_it(story: Story) -> None:
    """2. Run it, with a terminal; 3. change it inside"""
    flags = ["-it", "-p", "5000:80", "-v", "data:/data", "--name", "centos1"]
    with story.terminal("-H", "web1", "run", *flags, "base:1", "/bin/sh") as terminal:
        terminal.expect(story.base.prompt)
        story.check("a terminal with a prompt", True)
        terminal.type("grep ' / ' /proc/mounts\n")
        root = terminal.expect(r"overlay / overlay (\S+)")[1]
        story.check("its root is the image's layers under one writable layer", "upperdir=" in root, root)
        terminal.expect(story.base.prompt)
        terminal.type(f"mkdir -p /var/www/html && echo '{PAGE}' >/var/www/html/index.html; echo kept >/data/file\n")
        terminal.expect(story.base.prompt)
        for line in story.base.install:
            story.tell(f"    # {line}")
            terminal.type(line + "\n")
            terminal.expect(story.base.prompt)
        terminal.type(f"stty -echo; sleep 1; {story.base.ask}\n")
        terminal.expect(re.escape(PAGE))
        story.check("inside, 127.0.0.1 says the page", True)
        address = story.lab.hosts["web1"].address
        page = story.fetch(f"http://{address}:5000/")
        story.check("from the laptop, the published port says it too", PAGE in page, page)
        commit(story)
        terminal.type("exit 3\n")
        code = terminal.wait()
        story.check("the shell's exit code is the command's", code == 3, f"{code}\n{terminal.shown}")


def commit(story: Story) -> None:
    """4. Commit the running container as an image of its own"""
    story.tell(f"\n{commit.__doc__}")
    layers = sorted(_files(story, "web1", "content/blobs/sha256"))
    printed = story.run("-H", "web1", "commit", "-p", "-c", story.base.command, "centos1", "httpd:1.1").stdout.strip()
    (base,) = data(story.ask("-H", "web1", "--json", "image", "inspect", "base:1"))
    (image,) = data(story.ask("-H", "web1", "--json", "image", "inspect", "httpd:1.1"))
    story.check("it prints the new image's id", printed == image["Id"], printed)
    below = base["RootFS"]["Layers"]
    story.check("the base's layers lie under one new one", image["RootFS"]["Layers"][:-1] == below, image["RootFS"])
    new = set(_files(story, "web1", "content/blobs/sha256")) - set(layers)
    story.check("the base's are shared: one layer, one config, one manifest are new", len(new) == 3, new)
    story.run("-H", "web1", "history", "httpd:1.1")
    story.run("-H", "web1", "images")


def run_the_new_image(story: Story) -> None:
    """5. Run the new image"""
    story.run("-H", "web1", "run", "-d", "--name", "centos2", "-p", "8081:80", "httpd:1.1")
    (container,) = story.ask("-H", "web1", "inspect", "centos2").json
    (network,) = container["NetworkSettings"]["Networks"].values()
    story.check("it has a gateway, an address, a prefix, a MAC", network["Gateway"] and network["MacAddress"], network)
    story.check("its prefix is a number", network["IPPrefixLen"] > 0, network)
    page = story.fetch_on("web1", f"http://{network['IPAddress']}/")
    story.check(f"its bridge address {network['IPAddress']} says the page on the host", PAGE in page, page)
    for where, fetch in (("the host", lambda url: story.fetch_on("web1", url)), ("the laptop", story.fetch)):
        page = fetch(f"http://{story.lab.hosts['web1'].address}:8081/")
        story.check(f"the published port says it, asked from {where}", PAGE in page, page)
    command = re.findall(r'"([^"]*)"', story.base.command)
    config = container["Config"]
    story.check("inspect shows the command that commit gave", config["Cmd"] == command, config)
    story.check("and no entrypoint", not config["Entrypoint"], config)


def save_several(story: Story) -> None:
    """6. Save several images into one archive"""
    archive = story.folder / "images.tar.gz"
    story.run("-H", "web1", "save", "-o", archive, "--compress", "gzip", "httpd:1.1", "base:1", "other:1")
    with gzip.open(archive) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as tar:
        names = sorted(entry.name for entry in tar if entry.isfile())
    blobs = [name for name in names if name.startswith("blobs/sha256/")]
    # Layers of the base, one of httpd, one of other; three configs, three manifests.
    expected = len(story.base.image.layers) + 2 + 3 + 3
    story.check(f"layers that are shared are in it once ({len(blobs)} blobs)", len(blobs) == expected, names)
    both = {"manifest.json", "index.json"} <= set(names)
    story.check("docker's manifest.json and the OCI index.json are there", both, names)


def remove_and_load(story: Story) -> None:
    """7. Remove everything; 8. load it again"""
    before = _ids(story)
    refused = story.run("-H", "web1", "rmi", "httpd:1.1", code=1)
    story.check("an image that a container uses is not removed", "centos2" in refused.stderr, refused)
    story.run("-H", "web1", "stop", "-t", "2", "centos2")
    story.run("-H", "web1", "rm", "centos1", "centos2")
    removed = story.run("-H", "web1", "rmi", "httpd:1.1", "base:1", "other:1").stdout
    story.check("names are untagged, then layers deleted", "Untagged: " in removed and "Deleted: " in removed, removed)
    story.check("no image is listed", story.ask("-H", "web1", "images", "-q").stdout == "")
    left = _files(story, "web1", "content/blobs/sha256")
    story.check("no blob is left", not left, left)
    size = _size(story, "web1")
    story.check(f"the disk is back ({size} KiB in use)", size < 1024, size)

    story.run("-H", "web1", "load", "-i", story.folder / "images.tar.gz")
    after = _ids(story)
    story.check("all names are back, with the same ids and digests", after == before, f"{before}\n{after}")
    story.run("-H", "web1", "run", "-d", "--name", "centos3", "-p", "8081:80", "-v", "data:/data", "httpd:1.1")
    page = story.fetch(f"http://{story.lab.hosts['web1'].address}:8081/")
    story.check("the page is there again", PAGE in page, page)


def remove_the_container(story: Story) -> None:
    """9. Remove the container; its volume stays"""
    with_container = len(_folders(story, "web1", "layers"))
    kept = story.ask("-H", "web1", "exec", "centos3", "cat", "/data/file").stdout
    story.check("the volume still holds what the first container wrote", kept == "kept\n", kept)
    story.run("-H", "web1", "rm", "-f", "centos3")
    without = len(_folders(story, "web1", "layers"))
    story.check("its writable layer went with it", without < with_container, (with_container, without))
    story.check("the volume stays", "data" in story.ask("-H", "web1", "volume", "ls", "-q").lines)
    story.run("-H", "web1", "volume", "rm", "data")
    story.check("until it is removed", "data" not in story.ask("-H", "web1", "volume", "ls", "-q").lines)


def copy_to_the_fleet(story: Story) -> None:
    """11. The fleet: copy without a registry"""
    others = ("web2", "web3")
    story.run("copy", "web1::httpd:1.1", "web[2-3]::")
    (image,) = data(story.ask("-H", "web1", "--json", "image", "inspect", "httpd:1.1"))
    for other in others:
        (copied,) = data(story.ask("-H", other, "--json", "image", "inspect", "httpd:1.1"))
        story.check(f"{other} has the image, with the same id", copied["Id"] == image["Id"], copied["Id"])
    before = {name: host.link_bytes() for name, host in story.lab.hosts.items()}
    again = data(story.ask("--json", "copy", "web1::httpd:1.1", "web[2-3]::"), "web2")
    moved = {name: story.lab.hosts[name].link_bytes().since(before[name]) for name in others}
    most = max(link.received for link in moved.values())
    story.check("copied again, no blob is sent", again[0]["bytes_sent"] == 0, again)
    story.check(f"counted at the links: {most} bytes of talk, no image", most < 64 * 1024, moved)

    story.run("-H", "@web", "run", "-d", "-p", "8080:80", "--name", "httpd", "httpd:1.1")
    table = story.run("-H", "@web", "ps").stdout
    hosts = [line.split()[0] for line in table.splitlines()[1:]]
    story.check("one table shows all three", sorted(hosts) == ["web1", "web2", "web3"], table)
    for name, host in story.lab.hosts.items():
        page = story.fetch(f"http://{host.address}:8080/")
        story.check(f"{name} serves the page", PAGE in page, page)
    said = story.run("-H", "@web", "exec", "httpd", "cat", "/var/www/html/index.html").stdout
    story.check("exec says it once for all, with the host set", said.count(PAGE) == 1 and "web[1-3]" in said, said)

    story.tell("  web3 is switched off")
    story.lab.hosts["web3"].switch_off()
    try:
        partial = story.run("--connect-timeout", "8", "-H", "@web", "ps", code=4)
        story.check("the others answer", {"web1", "web2"} <= set(re.findall(r"^web\d", partial.stdout, re.M)), partial)
        story.check("the error names the host", "web3" in partial.stderr, partial)
    finally:
        story.lab.hosts["web3"].switch_on()
    story.run("-H", "@web", "--yes", "stop", "-t", "2", "httpd")
    states = [row["State"] for host in story.lab.hosts for row in data(story.ask("-H", host, "--json", "ps", "-a"))]
    story.check("stopped on all", states == ["exited"] * 3, states)


def survive(story: Story) -> None:
    """12. The agent is killed and started; nothing else notices"""
    count = "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.05; done"
    story.run("-H", "web1", "run", "-d", "--name", "counter", "base:1", "/bin/sh", "-c", count)
    story.run("-H", "web2", "start", "httpd")
    pid = story.ask("-H", "web1", "inspect", "--format", "{{.State.Pid}}", "counter").stdout.strip()
    time.sleep(0.5)
    for name in ("web1", "web2"):
        story.lab.hosts[name].agent.kill()
    story.tell("  both agents are killed (SIGKILL)")
    page = story.fetch(f"http://{story.lab.hosts['web2'].address}:8080/")
    story.check("without an agent, the page is still served", PAGE in page, page)
    for name in ("web1", "web2"):
        story.lab.hosts[name].agent.start()
    story.tell("  both are started again")
    story.run("-H", "web[1-2]", "ps")
    again = story.ask("-H", "web1", "inspect", "--format", "{{.State.Pid}}", "counter").stdout.strip()
    story.check(f"the container is still the same process ({pid})", again == pid != "0", again)
    time.sleep(0.5)
    lines = story.ask("-H", "web1", "logs", "counter").lines
    numbers = [int(line.split()[1]) for line in lines]
    whole = numbers == list(range(1, len(numbers) + 1))
    story.check(f"its log is whole, across the gap: {len(numbers)} lines", whole and len(numbers) > 10, lines)
    story.run("-H", "web1", "stop", "-t", "0", "counter")


WITH_A_REGISTRY: tuple[Callable[[Story], None], ...] = (
    pull,
    run_it,
    run_the_new_image,
    save_several,
    remove_and_load,
    remove_the_container,
    push,
    expose,
)
WITHOUT: tuple[Callable[[Story], None], ...] = (copy_to_the_fleet, survive)


def walk(story: Story) -> None:
    """All steps. Raises :class:`AssertionError` at the first check that does not hold."""
    with story.hub:
        story.tell(
            f"A registry stands: {story.hub.address}. All trust its CA; it is Docker Hub's mirror to web1 and web2."
        )
        for step in WITH_A_REGISTRY:
            _take(story, step)
    story.tell("\nThe registry is gone.")
    for step in WITHOUT:
        _take(story, step)


def _take(story: Story, step: Callable[[Story], None]) -> None:
    story.tell(f"\n{step.__doc__}")
    step(story)


def _ids(story: Story) -> dict[str, tuple[str, str]]:
    found = {}
    for name in ("httpd:1.1", "base:1", "other:1"):
        (image,) = data(story.ask("-H", "web1", "--json", "image", "inspect", name))
        found[name] = (image["Id"], str(image.get("Descriptor") or image.get("RepoDigests")))
    return found


def _files(story: Story, host: str, below: str) -> list[Path]:
    top = story.lab.hosts[host].state_dir / below
    return [path.relative_to(top) for path in top.rglob("*") if path.is_file()]


def _folders(story: Story, host: str, below: str) -> list[Path]:
    """The folders two levels down, where a layer each has its own."""
    return [path for path in (story.lab.hosts[host].state_dir / below).glob("*/*") if path.is_dir()]


def _size(story: Story, host: str) -> int:
    """What the images of a host take, in KiB; not its database and not its volumes."""
    places = [story.lab.hosts[host].state_dir / name for name in ("content", "layers")]
    files = [path for place in places for path in place.rglob("*") if not path.is_symlink() and path.is_file()]
    return sum(path.stat().st_blocks // 2 for path in files)
