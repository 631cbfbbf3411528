"""The spawner, in a process of its own: it must be forked before any thread exists."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

from jackstay_agent.kernel import spawner

JOBS = """
import os, time
from jackstay_agent.errors import InUse
from jackstay_agent.kernel import syscalls

def echo(argument, descriptors): return argument
def read(argument, descriptors): return [os.read(fd, 100) for fd in descriptors]
def descriptors_open(argument, descriptors): return sorted(int(n) for n in os.listdir("/proc/self/fd"))
def refuse(argument, descriptors): raise InUse("x is used by y", hint="stop y")
def fill(argument, descriptors): raise OSError(28, "No space left on device")
def die(argument, descriptors): os.kill(os.getpid(), 9)
def sleep(argument, descriptors): open(argument, "w").write(str(os.getpid())); time.sleep(60)
def enter(argument, descriptors):
    syscalls.enter_root(descriptors[0])
    return [sorted(os.listdir("/")), os.path.exists("/proc"), os.path.exists("/../../etc/passwd")]
def break_inside(argument, descriptors):
    os.dup2(1, 2)
    syscalls.enter_root(descriptors[0])
    raise ValueError("a mistake")
"""


def ended(pid: int) -> bool:
    """Whether the process is gone, or dead and only not yet reaped by whoever inherited it.

    A dying process closes its files a moment before it counts as dead.
    """
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


def spawned(tmp_path: Path, body: str) -> str:
    """Run the coroutine body *body*, with `jobs` being a spawner, in a new interpreter; what it printed."""
    (tmp_path / "some_jobs.py").write_text(JOBS)
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, os, sys\nfrom jackstay_agent.kernel import spawner\n"
        "jobs = spawner.start(['some_jobs'])\n"
        "async def main():\n" + textwrap.indent(textwrap.dedent(body), "    ") + "\n    await jobs.close()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, script], env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin"}, capture_output=True, text=True,
        timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_result_comes_back_also_when_it_fills_no_packet(tmp_path: Path) -> None:
    out = spawned(
        tmp_path,
        """
        assert await jobs.run("some_jobs:echo", {"a": [1, b"x"]}) == {"a": [1, b"x"]}
        big = b"x" * 5_000_000
        assert await jobs.run("some_jobs:echo", big) == big
        print("same")
        """,
    )
    assert out == "same\n"


def test_descriptors_go_along_and_nothing_else_does(tmp_path: Path) -> None:
    out = spawned(
        tmp_path,
        """
        reading, writing = os.pipe()
        os.write(writing, b"hello")
        print(await jobs.run("some_jobs:read", None, [reading]))
        print(len(await jobs.run("some_jobs:descriptors_open", None)))
        """,
    )
    # Standard streams, the channel, the poll-less listing's own descriptor: 0, 1, 2, channel, listing.
    assert out == "[b'hello']\n5\n"


def test_errors_cross_the_border_as_they_are(tmp_path: Path) -> None:
    out = spawned(
        tmp_path,
        """
        from jackstay_agent.errors import DiskFull, InUse, Error
        try:
            await jobs.run("some_jobs:refuse", None)
        except InUse as error:
            print(error.message, "|", error.hint)
        try:
            await jobs.run("some_jobs:fill", None)
        except DiskFull as error:
            print("full")
        try:
            await jobs.run("some_jobs:die", None)
        except Error as error:
            print(error.message)
        """,
    )
    assert out == "x is used by y | stop y\nfull\na child of the agent ended early (killed by SIGKILL)\n"


def test_a_cancelled_job_is_dead(tmp_path: Path) -> None:
    out = spawned(
        tmp_path,
        f"""
        file = {str(tmp_path / "pid")!r}
        task = asyncio.create_task(jobs.run("some_jobs:sleep", file))
        while not os.path.exists(file) or not open(file).read():
            await asyncio.sleep(0.01)
        pid = int(open(file).read())
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            print(os.path.exists(f"/proc/{{pid}}"))
        """,
    )
    assert out == "False\n"


def test_a_job_cancelled_before_it_could_be_sent_keeps_nobody_waiting(tmp_path: Path) -> None:
    out = spawned(
        tmp_path,
        """
        import signal
        os.kill(jobs._pid, signal.SIGSTOP)  # it takes nothing, so the channel fills
        tasks = [asyncio.create_task(jobs.run("some_jobs:echo", b"x" * 50_000)) for _ in range(30)]
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        asyncio.get_running_loop().call_later(0.2, os.kill, jobs._pid, signal.SIGCONT)
        async with asyncio.timeout(10):
            await asyncio.wait(tasks)
        print(all(task.cancelled() for task in tasks), jobs._waiting, jobs._replies)
        print(await jobs.run("some_jobs:echo", 1))
        """,
    )
    assert out == "True {} {}\n1\n"


def test_a_job_cancelled_twice_is_dead_too(tmp_path: Path) -> None:
    out = spawned(
        tmp_path,
        f"""
        file = {str(tmp_path / "pid")!r}
        task = asyncio.create_task(jobs.run("some_jobs:sleep", file))
        while not os.path.exists(file) or not open(file).read():
            await asyncio.sleep(0.01)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([task])
        print(os.path.exists(f"/proc/{{open(file).read()}}"), jobs._waiting, jobs._replies)
        """,
    )
    assert out == "False {} {}\n"


def test_a_child_that_cannot_be_forked_fails_its_job_alone(tmp_path: Path) -> None:
    # The fork fails once, in the spawner, which is forked with this in place.
    (tmp_path / "sitecustomize.py").write_text(
        "import os\nfork, count = os.fork, 0\n"
        "def failing():\n    global count\n    count += 1\n"
        "    if count == 2: raise BlockingIOError(11, 'Resource temporarily unavailable')\n    return fork()\n"
        "os.fork = failing\n"
    )
    out = spawned(
        tmp_path,
        """
        from jackstay_agent.errors import Error
        reading, writing = os.pipe()
        try:
            await jobs.run("some_jobs:read", None, [reading])
        except Error as error:
            print(error.message)
        os.write(writing, b"hello")
        print(await jobs.run("some_jobs:read", None, [reading]))
        """,
    )
    assert out == "starting a child of the agent: Resource temporarily unavailable\n[b'hello']\n"


def test_children_die_with_the_agent(tmp_path: Path) -> None:
    (tmp_path / "some_jobs.py").write_text(JOBS)
    file = tmp_path / "pid"
    script = (
        "import asyncio, os, signal\nfrom jackstay_agent.kernel import spawner\njobs = spawner.start(['some_jobs'])\n"
        "async def main():\n"
        f"    task = asyncio.create_task(jobs.run('some_jobs:sleep', {str(file)!r}))\n"
        f"    while not os.path.exists({str(file)!r}) or not open({str(file)!r}).read(): await asyncio.sleep(0.01)\n"
        "    print(jobs._pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin"}, capture_output=True,
        text=True, timeout=50, check=False,
    )  # fmt: skip
    # `run` returned, so whoever held the output pipe, the spawner and its child, is gone.
    assert done.returncode == -9
    assert done.stdout.strip().isdigit()
    assert ended(int(file.read_text()))


def test_a_job_that_enters_a_root_sees_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "only").touch()
    out = spawned(
        tmp_path,
        f"""
        root = os.open({str(root)!r}, os.O_RDONLY | os.O_DIRECTORY)
        print(await jobs.run("some_jobs:enter", None, [root]))
        """,
    )
    assert out == "[['only'], False, False]\n"


def test_a_mistake_in_a_root_is_told_without_reading_there(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for source in (tmp_path / "some_jobs.py", Path(spawner.__file__)):
        planted = root / source.relative_to("/")
        planted.parent.mkdir(parents=True, exist_ok=True)
        planted.write_text("planted()\n" * 1000)
    out = spawned(
        tmp_path,
        f"""
        root = os.open({str(root)!r}, os.O_RDONLY | os.O_DIRECTORY)
        try:
            await jobs.run("some_jobs:break_inside", None, [root])
        except spawner.Error as error:
            print(error.message)
        """,
    )
    assert "ValueError: a mistake" in out
    assert "in break_inside" in out
    assert "ended early" in out
    assert "planted" not in out
