from __future__ import annotations

import asyncio
import itertools
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.containers import log_files, logs
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


@given(
    st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=40),
    st.integers(0, 45),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_a_tail_is_the_last_lines_whatever_the_blocks_and_files_are(
    shape: list[tuple[int, bool]], wanted: int, cuts: list[int]
) -> None:
    written = [line(i, "x" * size, flag="F" if whole else "P") for i, (size, whole) in enumerate(shape)]
    edges = [0, *sorted(min(cut, len(written)) for cut in cuts), len(written)]
    files = [b"".join(written[begin:end]) for begin, end in itertools.pairwise(edges)]
    groups: list[list[int]] = []  # the entries of each line
    begun = False
    for index, (_size, whole) in enumerate(shape):
        if not begun:
            groups.append([])
        groups[-1].append(index)
        begun = not whole
    expected = [index for group in (groups[-wanted:] if wanted else []) for index in group]
    descriptors = [os.memfd_create("log", os.MFD_CLOEXEC) for _ in files]
    try:
        for descriptor, data in zip(descriptors, files, strict=True):
            os.write(descriptor, data)
        before = log_files._BLOCK
        log_files._BLOCK = 256
        try:
            index, offset = log_files.tail(descriptors, wanted)
        finally:
            log_files._BLOCK = before
    finally:
        log_files.close_all(descriptors)
    data = files[index][offset:] + b"".join(files[index + 1 :])
    assert [entry.time - BASE for entry in logs.parse(data)] == expected


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


async def test_all_files_are_read_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for number in (9, 10, 11):
        (tmp_path / f"log.{number}").write_bytes(line(number, str(number)))
    for other in ("log.tmp", "log.", "log.1x", "blog.1"):
        (tmp_path / other).write_bytes(line(1, "no part of it"))
    assert [entry.text for entry in await collect(path, Wanted())] == [b"9\n", b"10\n", b"11\n"]
    path.write_bytes(line(12, "12") + line(13, "13"))
    assert [entry.text for entry in await collect(path, Wanted(tail=3))] == [b"11\n", b"12\n", b"13\n"]
    assert [entry.time - BASE for entry in await collect(path, Wanted(since=BASE + 10, until=BASE + 12))] == [
        10,
        11,
        12,
    ]


async def test_following_goes_on_in_the_next_files(tmp_path: Path) -> None:
    """Also through two at once, while there is none without a number, and past one that was deleted."""
    path = tmp_path / "log"
    path.write_bytes(line(0, "0"))
    ended = asyncio.Event()
    seen: list[int] = []

    async def follow() -> None:
        async for batch in logs.read(str(path), Wanted(), ended=ended):
            seen.extend(int(entry.text) for entry in batch)

    async def until(number: int) -> None:
        while seen[-1:] != [number]:
            await asyncio.sleep(0.005)

    following = asyncio.create_task(follow())
    async with asyncio.timeout(10):
        with path.open("ab", buffering=0) as old:
            await until(0)
            path.rename(tmp_path / "log.1")
            old.write(line(1, "1"))
            await until(1)
            old.write(line(2, "2"))
        (tmp_path / "log.tmp").write_bytes(line(3, "3"))
        (tmp_path / "log.tmp").rename(path)
        await until(3)
        path.rename(tmp_path / "log.2")
        (tmp_path / "log.3").write_bytes(line(4, "4"))
        (tmp_path / "log.2").unlink()
        (tmp_path / "log.1").unlink()
        path.write_bytes(line(5, "5"))
        path.rename(tmp_path / "log.4")
        path.write_bytes(line(6, "6"))
        ended.set()
        await following
    assert seen == list(range(7))
