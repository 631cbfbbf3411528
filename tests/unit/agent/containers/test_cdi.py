"""Devices by the Container Device Interface: what files say, which count, and what comes of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.containers import cdi
from jackstay_agent.containers.cdi_edits import HOOKS, Edits
from jackstay_agent.errors import InvalidArgument, Unsupported

NULL = {"path": "/dev/nothing", "hostPath": "/dev/null"}


def write(folder: Path, name: str, edits: dict[str, Any], *, common: dict[str, Any] | None = None) -> Path:
    folder.mkdir(exist_ok=True, mode=0o755)
    path = folder / name
    path.write_text(
        json.dumps(
            {
                "cdiVersion": "0.6.0",
                "kind": "example.org/thing",
                "annotations": {"a": "b"},
                "devices": [{"name": "one", "containerEdits": edits}, {"name": "two", "containerEdits": {}}],
                "containerEdits": common or {},
            }
        )
    )
    return path


def resolve(folder: Path, *names: str) -> Edits:
    return cdi.resolve(names or ("example.org/thing=one",), [str(folder)])


def test_nothing_asked_reads_nothing() -> None:
    assert cdi.resolve([], ["/no/such"]) == Edits()


def test_a_node_of_the_host(tmp_path: Path) -> None:
    write(tmp_path / "cdi", "a.json", {"deviceNodes": [NULL | {"permissions": "r", "gid": 7, "fileMode": 0o600}]})
    (given,) = resolve(tmp_path / "cdi").devices
    device = given.device
    assert (device.path, device.type, device.major, device.minor) == ("/dev/nothing", "c", 1, 3)
    assert (given.permissions, device.mode, device.uid, device.gid) == ("r", 0o600, 0, 7)


def test_a_node_that_is_described_whole_need_not_be_there(tmp_path: Path) -> None:
    write(tmp_path / "cdi", "a.json", {"deviceNodes": [{"path": "/dev/x", "type": "u", "major": 9, "minor": 8}]})
    (given,) = resolve(tmp_path / "cdi").devices
    assert (given.device.type, given.device.major, given.device.minor, given.permissions) == ("c", 9, 8, "rwm")


def test_edits_of_a_file_come_once_and_last(tmp_path: Path) -> None:
    write(tmp_path / "cdi", "a.json", {"env": ["A=1"]}, common={"env": ["ALL=x"]})
    edits = resolve(tmp_path / "cdi", "example.org/thing=one", "example.org/thing=two", "example.org/thing=one")
    assert edits.env == ("A=1", "ALL=x")


def test_they_are_put_into_a_specification(tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\n")
    mount = {"hostPath": "/usr", "containerPath": "/lib/vendor", "options": ["ro", "nosuid"]}
    hooks = [{"hookName": "createContainer", "path": str(hook), "args": ["hook", "x"], "timeout": 3}]
    write(tmp_path / "cdi", "a.json", {"env": ["A=2"], "mounts": [mount], "hooks": hooks, "additionalGids": [0, 44]})
    built: dict[str, Any] = {
        "process": {"env": ["A=1", "B=1"], "user": {"additionalGids": [0]}},
        "mounts": [{"destination": "/lib/vendor/deep"}, {"destination": "/lib/vendor"}, {"destination": "/proc"}],
    }
    resolve(tmp_path / "cdi").apply(built)
    assert built["process"]["env"] == ["A=2", "B=1"]
    assert built["process"]["user"]["additionalGids"] == [0, 44]
    assert [each["destination"] for each in built["mounts"]] == ["/proc", "/lib/vendor", "/lib/vendor/deep"]
    assert built["mounts"][1] == {
        "destination": "/lib/vendor", "type": "bind", "source": "/usr", "options": ["rbind", "ro", "nosuid"],
    }  # fmt: skip
    assert built["hooks"] == {"createContainer": [{"path": str(hook), "args": ["hook", "x"], "timeout": 3}]}


def test_a_later_folder_wins(tmp_path: Path) -> None:
    write(tmp_path / "etc", "a.json", {"env": ["FROM=etc"]})
    write(tmp_path / "run", "a.json", {"env": ["FROM=run"]})
    edits = cdi.resolve(["example.org/thing=one"], [str(tmp_path / "etc"), str(tmp_path / "run"), str(tmp_path / "no")])
    assert edits.env == ("FROM=run",)


def test_what_two_files_of_a_folder_describe_is_nothing(tmp_path: Path) -> None:
    for name in ("a.json", "b.json", "c.json"):
        write(tmp_path / "cdi", name, {})
    with pytest.raises(InvalidArgument, match="unresolvable CDI devices example") as raised:
        resolve(tmp_path / "cdi")
    assert "several files" in raised.value.hint


@pytest.mark.parametrize("name", ["thing", "/dev/null", "a/b", "a/b=", "=x", "a/b=c/d", "a/b=-", "1/b=c"])
def test_malformed_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid CDI device name"):
        resolve(tmp_path, name)


def test_files_that_others_may_write_do_not_count(tmp_path: Path) -> None:
    path = write(tmp_path / "cdi", "a.json", {})
    path.chmod(0o664)
    with pytest.raises(InvalidArgument, match="unresolvable") as raised:
        resolve(tmp_path / "cdi")
    assert "others may write to it" in raised.value.hint
    path.chmod(0o644)
    resolve(tmp_path / "cdi")
    os.chown(path, 1, 1)
    with pytest.raises(InvalidArgument, match="unresolvable"):
        resolve(tmp_path / "cdi")
    os.chown(path, 0, 0)
    (tmp_path / "cdi").chmod(0o777)
    with pytest.raises(InvalidArgument, match="unresolvable"):
        resolve(tmp_path / "cdi")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": 1}', '{"cdiVersion":"1","kind":"no kind","devices":[]}'])
def test_files_that_are_none_are_passed_over(tmp_path: Path, text: str) -> None:
    write(tmp_path / "cdi", "b.json", {"env": ["A=1"]})
    (tmp_path / "cdi" / "a.json").write_text(text)
    (tmp_path / "cdi" / "c.yaml").write_text("kind: x")
    assert resolve(tmp_path / "cdi").env == ("A=1",)
    with pytest.raises(InvalidArgument) as raised:
        resolve(tmp_path / "cdi", "example.org/thing=three")
    assert "a.json is passed over" in raised.value.hint


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ({"env": ["A"]}, "invalid environment variable 'A'"),
        ({"deviceNodes": [{"path": "dev/x"}]}, "path"),
        ({"deviceNodes": [{"path": "/dev/no-such"}]}, "failed to stat CDI host device '/dev/no-such'"),
        ({"deviceNodes": [{"path": "/etc"}]}, "is not a device"),
        ({"deviceNodes": [NULL | {"type": "b"}]}, "of type c, not b"),
        ({"deviceNodes": [NULL | {"type": "p"}]}, "type 'p'"),
        ({"deviceNodes": [NULL | {"permissions": "rx"}]}, "invalid permissions"),
        ({"mounts": [{"hostPath": "/no/such", "containerPath": "/x"}]}, "does not exist"),
        ({"mounts": [{"hostPath": "/etc", "containerPath": "/"}]}, "a mount at /"),
        ({"hooks": [{"hookName": "never", "path": "/bin/true"}]}, "invalid hook name 'never'"),
        ({"hooks": [{"hookName": "poststop", "path": "/no/such"}]}, "cannot be run"),
        ({"hooks": [{"hookName": "poststop", "path": "/tmp"}]}, "not root's own file"),
    ],
)
def test_edits_that_cannot_be(tmp_path: Path, edits: dict[str, Any], told: str) -> None:
    write(tmp_path / "cdi", "a.json", edits)
    with pytest.raises(InvalidArgument, match=told):
        resolve(tmp_path / "cdi")


def test_a_hook_that_others_may_change_is_refused(tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o757)
    for name in HOOKS:
        write(tmp_path / "cdi", "a.json", {"hooks": [{"hookName": name, "path": str(hook)}]})
        if name == "startContainer":  # that one is in the container
            assert list(resolve(tmp_path / "cdi").hooks) == [name]
            continue
        with pytest.raises(InvalidArgument, match="not root's own file"):
            resolve(tmp_path / "cdi")


def test_what_is_not_supported_is_said(tmp_path: Path) -> None:
    write(tmp_path / "cdi", "a.json", {"netDevices": [{"hostInterfaceName": "a", "name": "b"}]})
    with pytest.raises(Unsupported, match="netDevices"):
        resolve(tmp_path / "cdi")
