"""Images for several platforms: a host takes its own part, the one asked for, or all; and gives all of it back."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.lab.archives import write_archive
from tests.lab.images import Image
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data
from tests.lab.multi_platform import HERE, OTHER, MultiPlatform, for_two_platforms

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def multi(tmp_path_factory: pytest.TempPathFactory) -> MultiPlatform:
    return for_two_platforms(tmp_path_factory.mktemp("multi"))


def raw(archive: Path) -> dict[str, bytes]:
    """The files of an archive."""
    with tarfile.open(archive) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}  # type: ignore[union-attr]


def entries(archive: Path) -> dict[str, Any]:
    """The files of an archive; documents decoded."""
    return {name: json.loads(data) if data[:1] in (b"{", b"[") else data for name, data in raw(archive).items()}


def blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def inspect(laptop: Laptop, host: str, name: str) -> dict[str, Any]:
    (found,) = data(laptop.ok("-H", host, "--json", "image", "inspect", name))
    return dict(found)


def test_a_host_takes_its_own_part(lab: Lab, laptop: Laptop, multi: MultiPlatform, tmp_path: Path) -> None:
    assert laptop.ok("-H", "web1", "load", "-i", multi.path).stdout == "Loaded image: multi:1\n"
    assert inspect(laptop, "web1", "multi:1")["Id"] == multi.ids[HERE]
    assert laptop.ok("-H", "web1", "run", "--rm", "multi:1", "cat", "/etc/platform").stdout == f"{HERE}\n"
    laptop.ok("-H", "web1", "save", "--format", "oci", "-o", tmp_path / "saved.tar", "multi:1")
    saved = entries(tmp_path / "saved.tar")
    assert saved["index.json"]["manifests"][0]["digest"] == multi.index
    assert blob(multi.manifests[HERE]) in saved
    assert blob(multi.manifests[OTHER]) not in saved


def test_the_part_asked_for(lab: Lab, laptop: Laptop, multi: MultiPlatform) -> None:
    with multi.path.open("rb") as stream:
        laptop.run("-H", "web1", "load", "--platform", OTHER, input=stream.read()).ok()
    found = inspect(laptop, "web1", "multi:1")
    assert (found["Id"], found["Architecture"]) == (multi.ids[OTHER], "s390x")
    laptop.ok("-H", "web1", "load", "-i", multi.path, "--platform", HERE)
    assert inspect(laptop, "web1", "multi:1")["Id"] == multi.ids[HERE]


def test_all_of_it_is_kept_and_given_back(lab: Lab, laptop: Laptop, multi: MultiPlatform, tmp_path: Path) -> None:
    laptop.ok("-H", "web1", "load", "-i", multi.path, "--all-platforms")
    assert inspect(laptop, "web1", "multi:1")["Id"] == multi.ids[HERE]
    saved = tmp_path / "saved.tar"
    laptop.ok("-H", "web1", "save", "--format", "oci", "-o", saved, "multi:1")
    before, after = entries(multi.path), entries(saved)
    assert after.keys() == before.keys()
    assert {name: after[name] for name in after if "blobs" in name} == {
        name: before[name] for name in before if "blobs" in name
    }
    # What was saved is the same archive for the next host, wherever it came from.
    laptop.ok("-H", "web2", "load", "-i", saved, "--all-platforms")
    laptop.ok("-H", "web2", "save", "--format", "oci", "-o", tmp_path / "again.tar", "multi:1")
    assert (tmp_path / "again.tar").read_bytes() == saved.read_bytes()

    for platform in (HERE, OTHER):
        one = tmp_path / "one.tar"
        laptop.ok("-H", "web1", "save", "--platform", platform, "-o", one, "multi:1")
        part = entries(one)
        assert [image["Config"] for image in part["manifest.json"]] == [blob(multi.ids[platform])]
        assert part["index.json"]["manifests"][0]["digest"] == multi.manifests[platform]
        assert blob(multi.index) not in part


@pytest.mark.parametrize("flags", [[], ["--platform", OTHER], ["--all-platforms"]])
def test_a_copy_takes_what_is_asked_for_and_the_plan_foresees_it(
    lab: Lab, laptop: Laptop, multi: MultiPlatform, flags: list[str]
) -> None:
    source = f"oci-archive:{multi.path}"
    if not flags:  # relayed
        laptop.ok("-H", "web1", "load", "-i", multi.path, "--all-platforms")
        source = "web1::multi:1"
    (planned,) = laptop.ok("--json", "copy", "--plan", *flags, source, "web2::").json[0]["data"]
    (done,) = laptop.ok("--json", "copy", *flags, source, "web2::").json[0]["data"]
    assert planned["bytes_sent"] == done["bytes_sent"]
    assert planned["bytes_spared"] == done["bytes_spared"]
    assert inspect(laptop, "web2", "multi:1")["Id"] == multi.ids[OTHER if OTHER in flags else HERE]
    both = sum(len(content) for name, content in raw(multi.path).items() if name.startswith("blobs/"))
    assert (done["bytes_sent"] == both) == (flags == ["--all-platforms"])


def test_a_platform_that_is_not_there_is_told_with_those_that_are(
    lab: Lab, laptop: Laptop, multi: MultiPlatform, base: Image, tmp_path: Path
) -> None:
    laptop.ok("-H", "web1", "load", "-i", multi.path)
    single = write_archive(tmp_path / "single.tar", [base])
    for command, offered in (
        (["-H", "web2", "load", "-i", multi.path], f"{HERE}, {OTHER}"),
        (["-H", "web2", "load", "-i", single], HERE),
        (["copy", "--plan", f"oci-archive:{multi.path}", "web2::"], f"{HERE}, {OTHER}"),
        (["copy", "web1::multi:1", "web2::"], HERE),
        (["-H", "web1", "save", "-o", tmp_path / "none.tar", "multi:1"], HERE),
        (["copy", "web1::multi:1", f"oci:{tmp_path}/none"], HERE),
    ):
        ran = laptop.run(*command, "--platform", "linux/riscv64").ended(1)
        errors = [line for line in ran.stderr.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1, ran
        assert "linux/riscv64" in errors[0], ran
        assert f"Hint: it is for {offered}\n" in ran.stderr, ran
    assert not (tmp_path / "none.tar").exists()
    assert not (tmp_path / "none").exists()
    ran = laptop.run("-H", "web1", "load", "-i", multi.path, "--platform", "a/b/c/d").ended(2)
    assert "invalid platform" in ran.stderr
