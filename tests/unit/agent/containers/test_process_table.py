"""The processes of a container: the host's ps, cut down to them, and /proc where there is none."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from jackstay_agent.containers import process_files, process_table
from jackstay_agent.errors import InvalidArgument, RuntimeFailed


def test_rows_are_told_apart_by_pid() -> None:
    output = (
        "UID          PID    PPID CMD\n"
        "root           1       0 /sbin/init splash\n"
        "www         4711       1 httpd   -f  -p 80\n"
        "www         4712    4711 sh -c 'a  b'\n"
    )
    table = process_table.parse(output, {4711, 4712})
    assert table.titles == ("UID", "PID", "PPID", "CMD")
    assert table.processes == (("www", "4711", "1", "httpd   -f  -p 80"), ("www", "4712", "4711", "sh -c 'a  b'"))


def test_threads_follow_their_process() -> None:
    output = "PID LWP CMD\n5 - a\n- 5 -\n6 - b\n- 6 -\n- 7 -\n"
    assert process_table.parse(output, {6}).processes == (("6", "-", "b"), ("-", "6", "-"), ("-", "7", "-"))


def test_a_process_without_words() -> None:
    assert process_table.parse("PID ARGS\n6 \n7 x\n", {6, 7}).processes == (("6", ""), ("7", "x"))


@pytest.mark.parametrize(
    ("output", "error"),
    [
        ("CMD\nsh\n", InvalidArgument),
        ("", InvalidArgument),
        ("CMD PID\nsh\n", RuntimeFailed),
        ("PID CMD\nxx sh\n", RuntimeFailed),
    ],
)
def test_what_is_no_table_of_processes(output: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        process_table.parse(output, {1})


@pytest.mark.parametrize("options", [["-o", "ppid=PID"], ["-o", "pid,cmd=PIDS"], ["-o", "comm= PID"]])
def test_another_column_must_not_be_called_pid(options: list[str]) -> None:
    with pytest.raises(InvalidArgument, match="is not allowed"):
        process_table.check_options(options)
    process_table.check_options(["-o", "pid=PID", "-o", "comm=NAME"])


def test_the_machines_own_processes_as_ps_shows_them() -> None:
    with subprocess.Popen(["sleep", "97531"]) as child:
        try:
            deadline = time.monotonic() + 10
            while Path(f"/proc/{child.pid}/comm").read_text() != "sleep\n":  # between fork and exec
                assert time.monotonic() < deadline
            ours = process_files.read([child.pid])
            ps = subprocess.run(
                ["ps", "-ef", f"-q{child.pid}"], capture_output=True, text=True, check=True, env={"LC_ALL": "C"}
            )
            theirs = process_table.parse(ps.stdout, {child.pid})
        finally:
            child.kill()
    assert ours.titles == theirs.titles
    ((user, pid, parent, _, _, terminal, used, words),) = ours.processes
    assert (pid, parent, used, words) == (str(child.pid), str(os.getpid()), "00:00:00", "sleep 97531")
    ((their_user, _, _, _, _, their_terminal, _, _),) = theirs.processes
    assert (user, terminal) == (their_user, their_terminal)


STAT = "42 (a) b) S 7 42 42 34818 42 4194304 0 0 0 0 360000 6100 0 0 20 0 1 0 {start} 0 0"


@pytest.mark.parametrize(
    ("ago", "shown"), [(3600, "11:00"), (5 * 86400, "Jun25"), (400 * 86400, "2023")], ids=["hour", "days", "year"]
)
def test_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ago: int, shown: str) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        now = 1719748800.0  # 2024-06-30 12:00
        booted = int(now) - 500 * 86400
        (tmp_path / "stat").write_text(f"cpu 1 2 3\nbtime {booted}\n")
        (tmp_path / "42").mkdir()
        start = (int(now) - ago - booted) * os.sysconf("SC_CLK_TCK")
        (tmp_path / "42" / "stat").write_text(STAT.format(start=start))
        (tmp_path / "42" / "cmdline").write_text("")
        (row,) = process_files.read([42, 43], str(tmp_path), now).processes
    finally:
        monkeypatch.undo()
        time.tzset()
    used = 366100 // os.sysconf("SC_CLK_TCK")
    assert row[1:3] == ("42", "7")
    assert row[3] == str(min(used * 100 // ago, 99))
    assert row[4:] == (shown, "pts/2", f"{used // 3600:02}:{used // 60 % 60:02}:{used % 60:02}", "[a) b]")
