from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.containers import logs
from jackstay_agent.containers.logs import Entry, Wanted

BASE = int(datetime(2026, 11, 24, 3, 38, 2, tzinfo=UTC).timestamp()) * 10**9


def line(nanoseconds: int, text: str, stream: str = "stdout", flag: str = "F") -> bytes:
    return f"2026-11-24T03:38:02.{nanoseconds:09}+00:00 {stream} {flag} {text}\n".encode()


async def collect(path: Path, wanted: Wanted, ended: asyncio.Event | None = None) -> list[Entry]:
    return [entry async for batch in logs.read(str(path), wanted, ended=ended) for entry in batch]


def test_lines_are_parsed() -> None:
    data = line(5, "out") + line(6, "e r r", "stderr") + line(7, "part", flag="P") + line(8, "") + b"rubbish\n"
    assert logs.parse(data) == [
        Entry(BASE + 5, False, b"out\n"),
        Entry(BASE + 6, True, b"e r r\n"),
        Entry(BASE + 7, False, b"part"),
        Entry(BASE + 8, False, b"\n"),
    ]


def test_the_offset_of_the_hosts_clock_counts() -> None:
    (entry,) = logs.parse(b"2026-11-24T05:08:02.000000001+01:30 stdout F x\n")
    assert entry.time == BASE + 1


async def test_a_log_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert await collect(tmp_path / "none", Wanted()) == []


async def test_streams_and_times_are_filtered(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(line(i, str(i), "stdout" if i % 2 else "stderr") for i in range(6)))
    assert [e.text for e in await collect(path, Wanted(stderr=False))] == [b"1\n", b"3\n", b"5\n"]
    assert [e.text for e in await collect(path, Wanted(since=BASE + 2, until=BASE + 3))] == [b"2\n", b"3\n"]


@given(st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=40), st.integers(0, 45))
def test_a_tail_is_the_last_lines_whatever_the_blocks_are(shape: list[tuple[int, bool]], wanted: int) -> None:
    data = b"".join(line(i, "x" * size, flag="F" if whole else "P") for i, (size, whole) in enumerate(shape))
    groups: list[list[int]] = []  # the entries of each line
    begun = False
    for index, (_size, whole) in enumerate(shape):
        if not begun:
            groups.append([])
        groups[-1].append(index)
        begun = not whole
    expected = [index for group in (groups[-wanted:] if wanted else []) for index in group]
    descriptor = os.memfd_create("log", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        before = logs._BLOCK
        logs._BLOCK = 256
        try:
            offset = logs.tail_offset(descriptor, wanted)
        finally:
            logs._BLOCK = before
    finally:
        os.close(descriptor)
    assert [entry.time - BASE for entry in logs.parse(data[offset:])] == expected


async def test_following_gives_what_comes_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(line(1, "old"))
    ended = asyncio.Event()
    seen: list[bytes] = []

    async def follow() -> None:
        async for batch in logs.read(str(path), Wanted(), ended=ended):
            seen.extend(entry.text for entry in batch)

    following = asyncio.create_task(follow())
    with path.open("ab", buffering=0) as file:
        for number in range(2, 5):
            await asyncio.sleep(0.03)
            whole = line(number, f"new{number}")
            file.write(whole[:10])  # a line that is half written is not given yet
            await asyncio.sleep(0.02)
            file.write(whole[10:])
        await asyncio.sleep(0.03)
        assert seen == [b"old\n", b"new2\n", b"new3\n", b"new4\n"]
        file.write(line(9, "last"))
        ended.set()
    await following
    assert seen[-1] == b"last\n"


async def test_following_ends_at_the_time_until(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(line(1, "old"))
    async with asyncio.timeout(5):
        await collect(path, Wanted(until=BASE + 10), asyncio.Event())


async def test_memory_is_bounded_by_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_BATCH", 1000)
    path = tmp_path / "log"
    path.write_bytes(b"".join(line(i, "y" * 100) for i in range(100)))
    batches = [batch async for batch in logs.read(str(path), Wanted())]
    assert sum(map(len, batches)) == 100
    assert max(map(len, batches)) <= 6
