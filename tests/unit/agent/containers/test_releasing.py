"""What a run of a container leaves behind, and what goes with it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import SimpleNamespace

from jackstay_agent.containers.layout import Layout
from jackstay_agent.containers.releasing import _forget_exit, release


def test_what_a_monitor_that_was_killed_has_begun_to_write_goes_with_the_exit_file(tmp_path: Path) -> None:
    for name in ("abc", "abc.7PEHZ3", "abcd", "abcd.XYZ123"):
        (tmp_path / name).touch()
    _forget_exit(str(tmp_path), "abc")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["abcd", "abcd.XYZ123"]
    _forget_exit(str(tmp_path / "gone"), "abc")


async def test_every_step_is_tried_whatever_the_others_do(tmp_path: Path) -> None:
    done: list[str] = []

    async def discard(_container: str) -> None:
        raise ValueError

    async def disconnect(_container: str) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async def unmount(path: str) -> None:
        done.append(path)

    async def mounted(_place: str) -> list[str]:
        return []

    layout = Layout(str(tmp_path / "state"), str(tmp_path / "run"))
    engine = SimpleNamespace(
        layout=layout,
        monitors=SimpleNamespace(discard=discard),
        networks=SimpleNamespace(disconnect=disconnect),
        snapshotter=SimpleNamespace(unmount=unmount),
        mounts=SimpleNamespace(unmount=unmount, mounted=mounted),
    )
    assert await release(engine, "abc") == "ValueError()"  # type: ignore[arg-type]
    assert done == [layout.rootfs("abc"), layout.shm("abc"), layout.userns("abc")]
