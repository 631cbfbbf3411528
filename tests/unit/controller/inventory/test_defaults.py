"""Which hosts are meant when none is named, and the memory of failed ones."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from jackstay.errors import UsageError
from jackstay.inventory import default_hosts, last_failed_path, read_last_failed, write_last_failed


def test_each_place_wins_over_those_after_it(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path / "home")}
    project = tmp_path / "project"
    deep = project / "a" / "b"
    deep.mkdir(parents=True)
    assert default_hosts(environ, deep).sets == ("local",)
    config = tmp_path / "home" / ".config" / "jackstay" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('host = "@user"\n')
    assert default_hosts(environ, deep).sets == ("@user",)
    (project / "jackstay.toml").write_text('host = ["@web", "db1"]\n')
    found = default_hosts(environ, deep)
    assert found.sets == ("@web", "db1")
    assert found.origin == str(project / "jackstay.toml")
    (project / "a" / "jackstay.toml").write_text("output = 'json'\n")  # says nothing of hosts
    assert default_hosts(environ, deep).sets == ("@web", "db1")
    environ["JACKSTAY_HOST"] = "web1"
    assert default_hosts(environ, deep).origin == "JACKSTAY_HOST"


@pytest.mark.parametrize("text", ["host = 3", "host = []", "host = [1]", 'host = ""', "host =", 'hosts = "@web"'])
def test_a_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "jackstay.toml").write_text(text)
    with pytest.raises(UsageError, match=r"jackstay\.toml"):
        default_hosts({"HOME": "/nonexistent"}, tmp_path)


def test_last_failed_is_kept_for_this_user_alone(tmp_path: Path) -> None:
    path = last_failed_path({"HOME": str(tmp_path)})
    assert path == tmp_path / ".local/state/jackstay/last-failed"
    assert read_last_failed(path) == ()
    write_last_failed(path, ["web1", "u@[2001:db8::1]:22"])
    assert read_last_failed(path) == ("web1", "u@[2001:db8::1]:22")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_last_failed(path, [])
    assert read_last_failed(path) == ()
    assert [p.name for p in path.parent.iterdir()] == ["last-failed"]
