"""What a run of a container leaves behind, and what goes with it."""

from __future__ import annotations

from pathlib import Path

from jackstay_agent.containers.releasing import _forget_exit


def test_what_a_monitor_that_was_killed_has_begun_to_write_goes_with_the_exit_file(tmp_path: Path) -> None:
    for name in ("abc", "abc.7PEHZ3", "abcd", "abcd.XYZ123"):
        (tmp_path / name).touch()
    _forget_exit(str(tmp_path), "abc")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["abcd", "abcd.XYZ123"]
    _forget_exit(str(tmp_path / "gone"), "abc")
