"""The same images in Docker and in jackstay: what both say of them, and what both do when they are removed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.interop.jackstay import Jackstay
from tests.interop.originals import IMAGES, Original

# What is the machine's or the store's own: where layers lie and what they take there, and names by digest, which
# Docker knows only of images that it has pulled or pushed.
OWN = {"GraphDriver", "Size", "VirtualSize", "RepoDigests", "Descriptor"}
# What Docker 20 still writes: the container that a build made the image of.
OLD = {"Container", "ContainerConfig"}

FILTERS = (
    ["reference=*:1"], ["reference=m*", "reference=imported"], ["reference=*/*"], ["reference=*.io/*/*:[0-9]"],
    ["before=made:2"], ["since=imported:1", "before=made:2"], ["dangling=true"],
    ["reference=[a-j]*", "dangling=false"], ["label=org.example.what"], ["label=org.example.what=no"],
)  # fmt: skip
REFUSED = (
    ["rmi", "nothere:1"], ["rmi", "-f", "nothere:1"], ["rmi", "IMAGE"], ["rmi", "made:2"], ["rmi", "{made:1}"],
    ["rmi", "-f", "{made:2}"], ["tag", "made:1", "UPPER"], ["tag", "made:1", "sha256:1"],
    ["tag", "made:1", "x@sha256:" + "0" * 64], ["tag", "made:1", "0" * 64], ["images", "--filter", "x=y"],
    ["images", "["], ["image", "prune", "-f", "--filter", "x=y"], ["image", "inspect", "nothere", "made:1"],
)  # fmt: skip
LISTED = ["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]


@pytest.fixture
def both(original: Original, jackstay: Jackstay) -> tuple[Original, Jackstay]:
    """Docker and jackstay with the three images, and nothing else.

    Each comes in an archive of its own: out of one for all Docker also learns which was built on which, and keeps it.
    """
    original.docker.empty()
    for name in IMAGES:
        original.docker.load(original.archives[name])
    jackstay.load(original.together)
    return original, jackstay


def plain(value: Any) -> Any:
    """Without what is nothing: whether Docker writes null or an empty list has changed from version to version."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item not in (None, "", [], {})}
    return value


def same_list(original: Original, jackstay: Jackstay, *filters: str) -> bool:
    """Whether both list the same names and ids."""
    argv = [*LISTED, *(word for text in filters for word in ("--filter", text))]
    return sorted(jackstay.run(*argv).splitlines()) == sorted(original.docker.ask(*argv).splitlines())


def check_removed(original: Original, ours: list[str], theirs: list[str]) -> None:
    """Both took off the same names and deleted the same images, in the same order; and jackstay at least the layers.

    Docker 26 was seen to tell of fewer layers, though nothing was left that used them; Docker 20 tells of all.
    """
    ids = set(original.ids.values())
    kept = [line for line in theirs if "ntagged" in line or line.partition(": ")[2] in ids]
    assert [line for line in ours if "ntagged" in line or line.partition(": ")[2] in ids] == kept
    assert set(theirs) <= set(ours)
    if original.docker.version.startswith("20."):
        assert ours == theirs


def test_what_both_say(both: tuple[Original, Jackstay]) -> None:
    original, jackstay = both
    for name in IMAGES:
        theirs, ours = original.docker.inspect(name), jackstay.inspect(name)
        assert theirs.keys() - ours.keys() - OLD == set()
        assert ours.keys() - theirs.keys() <= {"VirtualSize", "Descriptor"}
        assert theirs["Config"].keys() == ours["Config"].keys()
        assert ours["GraphDriver"].keys() == theirs["GraphDriver"].keys()
        known = OWN | OLD
        assert plain({key: ours[key] for key in ours if key not in known}) == plain(
            {key: theirs[key] for key in theirs if key not in known}
        )
    form = ["history", "--no-trunc", "--format", "{{.ID}}|{{.CreatedAt}}|{{.CreatedBy}}|{{.Comment}}", "made:2"]
    assert jackstay.run(*form) == original.docker.ask(*form)
    form = ["history", "--human=false", "--format", "{{.Size}}", "made:2"]
    assert [size == "0" for size in jackstay.run(*form).split()] == [
        size == "0" for size in original.docker.ask(*form).split()
    ]


@pytest.mark.parametrize("original", ["debian13"], indirect=True)
def test_filters_and_disk_usage(both: tuple[Original, Jackstay]) -> None:
    original, jackstay = both
    details = ["system", "df", "-v", "--format", "json"]
    theirs, ours = json.loads(original.docker.ask(*details)), json.loads(jackstay.run(*details))
    assert theirs.keys() <= ours.keys()
    assert theirs["Images"][0].keys() == ours["Images"][0].keys()
    for key in ("ID", "Repository", "Tag", "Containers", "CreatedAt"):
        assert sorted(item[key] for item in ours["Images"]) == sorted(item[key] for item in theirs["Images"])

    for source, target in (("made:1", "team/app:9"), ("made:2", "quay.io/a/b:3"), ("made:2", "imported:1")):
        original.docker.ask("tag", source, target)
        jackstay.run("tag", source, target)
    assert [filters for filters in FILTERS if not same_list(original, jackstay, *filters)] == []


def test_removing(both: tuple[Original, Jackstay]) -> None:
    original, jackstay = both
    for argv in (
        ["tag", "made:1", "made:one"],
        ["rmi", "made:one"],
        ["tag", original.ids["made:1"][7:19], "team/app:1"],
        ["rmi", "-f", original.ids["made:1"]],  # two names, and layers that made:2 has too
        ["rmi", "imported:1", "made:2"],
    ):
        ours = [line for line in jackstay.run(*argv).splitlines() if "@" not in line]
        check_removed(original, ours, original.docker.ask(*argv).splitlines())
    assert original.docker.ask("images", "-aq") == jackstay.run("images", "-aq") == ""


@pytest.mark.parametrize("original", ["debian13"], indirect=True)
def test_both_refuse_the_same_and_prune_the_same(both: tuple[Original, Jackstay]) -> None:
    original, jackstay = both
    original.docker.ask("tag", "made:1", "team/app:9")
    jackstay.run("tag", "made:1", "team/app:9")
    user = original.docker.ask("run", "-d", "--network=none", "made:2", "sleep", "600").strip()
    jackstay.run("run", "-d", "--name", "user", "made:2", "sleep", "600")
    for argv in REFUSED:
        words = [original.ids[word[1:-1]] if word.startswith("{") else word for word in argv]
        theirs = original.docker.code(*words)
        assert bool(jackstay.laptop.run("-H", "web1", *words).code) == bool(theirs), words
    assert same_list(original, jackstay)

    original.docker.ask("rm", "-f", user)
    jackstay.run("rm", "-f", "user")
    original.docker.ask("tag", "made:1", "made:2")
    jackstay.run("tag", "made:1", "made:2")
    for argv in (["image", "prune", "-f"], ["image", "prune", "-af"]):
        told = original.docker.ask(*argv).splitlines()
        ours = [line for line in jackstay.run(*argv).splitlines() if "@" not in line]
        for lines in (ours, told):
            assert lines.pop().startswith("Total reclaimed space: ")
            assert (lines[0], lines[-1]) == ("Deleted Images:", "")
        check_removed(original, sorted(ours), sorted(told))  # docker's order is any
