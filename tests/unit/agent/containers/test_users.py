"""Resolving users against an image's own files, hostile ones too."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.containers import users
from jackstay_agent.containers.users import ResolvedUser, lookup
from jackstay_agent.errors import InvalidArgument, LimitExceeded

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
# a comment
broken line
app:x:1000:1001:App:/home/app:/bin/sh
4294967296:x:0:0:trap:/root:/bin/sh
77:x:0:0:trap:/root:/bin/sh
huge:x:4294967296:0::/:/bin/sh
nohome:x:5:5::::
"""
GROUP = b"""root:x:0:
wheel:x:10:root,app
app:x:1001:
web:x:80:app
77:x:0:
huge:x:99999999999:app
"""


@pytest.mark.parametrize(
    ("text", "groups", "expected"),
    [
        ("", [], ResolvedUser(0, 0, (0, 10), "/root")),
        ("root", [], ResolvedUser(0, 0, (0, 10), "/root")),
        ("app", [], ResolvedUser(1000, 1001, (1001, 10, 80), "/home/app")),
        ("1000", [], ResolvedUser(1000, 1001, (1001, 10, 80), "/home/app")),
        ("app:web", [], ResolvedUser(1000, 80, (80,), "/home/app")),
        ("app:55", [], ResolvedUser(1000, 55, (55,), "/home/app")),
        ("app:", [], ResolvedUser(1000, 1001, (1001, 10, 80), "/home/app")),
        (":web", [], ResolvedUser(0, 80, (80,), "/root")),
        ("1234", [], ResolvedUser(1234, 0, (0,), "/")),
        ("1234:5", ["wheel", "7"], ResolvedUser(1234, 5, (5, 10, 7), "/")),
        ("2147483647", [], ResolvedUser(2147483647, 0, (0,), "/")),
        ("nohome", [], ResolvedUser(5, 5, (5,), "/")),
        ("77", [], ResolvedUser(77, 0, (0,), "/")),  # never the name "77", which would be root
        ("1:77", [], ResolvedUser(1, 77, (77,), "/")),
    ],
)
def test_forms(text: str, groups: list[str], expected: ResolvedUser) -> None:
    assert lookup(PASSWD, GROUP, text, groups) == expected


@pytest.mark.parametrize("text", ["2147483648", "4294967296", "99999999999999999999999", "0:2147483648", "9" * 5000])
def test_a_number_out_of_bounds_is_never_a_name(text: str) -> None:
    with pytest.raises(InvalidArgument, match="out of bounds"):
        lookup(PASSWD, GROUP, text)


@pytest.mark.parametrize(
    ("text", "groups", "match"),
    [
        ("nobody", [], "unable to find user nobody: no matching entries in passwd file"),
        ("huge", [], "unable to find user huge"),
        ("-1", [], "unable to find user -1"),
        ("１", [], "unable to find user"),
        ("app:none", [], "unable to find group none: no matching entries in group file"),
        ("app:huge", [], "unable to find group huge"),
        ("app", ["none"], "unable to find group none"),
        ("a:b:c", [], "invalid user"),
    ],
)
def test_refusals(text: str, groups: list[str], match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        lookup(PASSWD, GROUP, text, groups)


@given(
    st.binary(max_size=300), st.binary(max_size=300), st.text(max_size=30), st.lists(st.text(max_size=9), max_size=3)
)
def test_only_its_errors_and_only_sound_ids(passwd: bytes, group: bytes, user: str, groups: list[str]) -> None:
    try:
        found = lookup(passwd, group, user, groups)
    except InvalidArgument:
        return
    assert all(0 <= number <= users.MAX_ID for number in (found.uid, found.gid, *found.groups))


def root_with(tmp_path: Path, passwd: bytes = PASSWD) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/passwd").write_bytes(passwd)
    (tmp_path / "root/etc/group").write_bytes(GROUP)
    return tmp_path / "root"


def resolve(root: Path, user: str) -> list[object]:
    return users.resolve_user([str(root), user, [], "/"], [])


def test_files_are_read_inside_the_root(tmp_path: Path) -> None:
    assert resolve(root_with(tmp_path), "app") == [1000, 1001, [1001, 10, 80], "/home/app"]


def test_no_files_at_all(tmp_path: Path) -> None:
    assert resolve(tmp_path, "12:13") == [12, 13, [13], "/"]
    with pytest.raises(InvalidArgument, match="unable to find user app"):
        resolve(tmp_path, "app")


@pytest.mark.parametrize("link", ["{outside}/passwd", "../../outside/passwd", "/proc/self/root{outside}/passwd"])
def test_a_link_never_leads_out(tmp_path: Path, link: str) -> None:
    root = root_with(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "passwd").write_bytes(b"app:x:0:0::/root:/bin/sh\n")
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to(link.format(outside=outside))
    with open(root / "etc/passwd", "rb") as plainly:  # the attack works where the kernel is not told the root
        assert b"app:x:0" in plainly.read()
    with pytest.raises(InvalidArgument, match="unable to find user app"):
        resolve(root, "app")


def test_a_link_inside_is_followed(tmp_path: Path) -> None:
    root = root_with(tmp_path)
    (root / "etc/passwd").rename(root / "etc/real")
    (root / "etc/passwd").symlink_to("/etc/real")
    assert resolve(root, "app")[0] == 1000


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    root = root_with(tmp_path)
    (root / "etc/passwd").unlink()
    os.mkfifo(root / "etc/passwd")
    with pytest.raises(InvalidArgument, match="not a regular file"):
        resolve(root, "app")


def test_a_file_too_large(tmp_path: Path) -> None:
    root = root_with(tmp_path)
    with open(root / "etc/passwd", "ab") as file:
        file.truncate(users.MAX_FILE + 1)
    with pytest.raises(LimitExceeded, match="larger"):
        resolve(root, "app")


def test_a_link_that_loops(tmp_path: Path) -> None:
    root = root_with(tmp_path)
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to("passwd")
    with pytest.raises(InvalidArgument, match="cannot be read"):
        resolve(root, "0")


def test_a_home_that_is_no_text(tmp_path: Path) -> None:
    """It goes through the jobs' wire and into a JSON file, which hold text only."""
    root = root_with(tmp_path)
    (root / "etc/passwd").write_bytes(b"app:x:5:6::/h\xff\0me:/bin/sh\n")
    home = resolve(root, "app")[3]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(home)) == "/h\ufffdme"


async def test_only_large_files_are_read_in_a_child(tmp_path: Path) -> None:
    asked: list[object] = []

    class Child:
        async def run(self, job: str, argument: Any, descriptors: Sequence[int] = ()) -> Any:
            asked.append(job)
            return await asyncio.to_thread(users.resolve_user, argument, [])

    root = await asyncio.to_thread(root_with, tmp_path)
    small = await users.resolve(Child(), str(root), "app")
    assert (small.uid, asked) == (1000, [])
    await asyncio.to_thread((root / "etc/passwd").write_bytes, PASSWD + b"#" * users.SMALL)
    assert await users.resolve(Child(), str(root), "app") == small
    assert asked == [users.JOB]
