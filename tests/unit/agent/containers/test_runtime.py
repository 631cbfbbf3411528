from __future__ import annotations

import pytest

from jackstay_agent.containers import runtime
from jackstay_agent.errors import CommandNotExecutable, CommandNotFound, Error, RuntimeFailed, Unsupported
from jackstay_agent.kernel.fakes import RecordingPrograms
from jackstay_agent.kernel.programs import Completed


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        ("executable file `nope` not found in $PATH: No such file or directory", CommandNotFound, 127),
        ('runc create failed: unable to start container process: exec: "nope": executable file not found in $PATH',
         CommandNotFound, 127),
        ('exec failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory',
         CommandNotFound, 127),
        ("open executable: Permission denied", CommandNotExecutable, 126),
        ("open executable: Operation not permitted", CommandNotExecutable, 126),
        ('unable to start container process: exec: "/etc": permission denied', CommandNotExecutable, 126),
        ("exec container process `/x`: Exec format error", CommandNotExecutable, 126),
        # What is missing here is not the command.
        ("cannot stat `/srv/gone`: No such file or directory", RuntimeFailed, 128),
        ('error mounting "/a" to rootfs at "/b": stat /a: no such file or directory', RuntimeFailed, 128),
        ("mount `proc` to `proc`: Permission denied", RuntimeFailed, 128),
    ],
)  # fmt: skip
def test_the_words_of_both_runtimes_are_understood(words: str, kind: type[Error], code: int) -> None:
    error = runtime.translate(words)
    assert type(error) is kind
    assert runtime.exit_code(error) == code


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("mount `/a` to `etc`: Not a directory", "onto a file"),
        ('error mounting "/a" to rootfs at "/b": mount /a:/b (via /proc/self/fd/6): not a directory', "onto a file"),
        ("chdir `/etc/passwd`: Not a directory", "working directory"),
        ("error during container init: mkdir /etc/passwd: not a directory", "working directory"),
        ("device or resource busy", ""),
    ],
)
def test_what_to_do_about_it(words: str, hint: str) -> None:
    assert hint in runtime.translate(words).hint
    assert bool(runtime.translate(words).hint) == bool(hint)


def test_the_wrapping_is_taken_off() -> None:
    told = runtime.translate('time="2026-11-24T03:52:31Z" level=error msg="container \\"x\\" is odd"')
    assert told.message == 'the OCI runtime failed: container "x" is odd'
    assert runtime.translate("2026-11-24T03:38:02.80Z: strange").message == "the OCI runtime failed: strange"


def test_the_last_error_of_a_log_counts() -> None:
    log = b'{"level":"warning","msg":"w"}\n{"level":"error","msg":"first"}\nnot json\n{"level":"error","msg":"last"}\n'
    assert runtime.log_words(log) == "last"
    assert runtime.log_words(b"") == ""


async def test_what_is_gone_already_is_no_error() -> None:
    for words in (b"container does not exist", b"open `/run/x/status`: No such file or directory", b"no such process"):
        programs = RecordingPrograms({"crun": Completed(1, b"", words)})
        used = runtime.Runtime(programs, "crun", "/root")
        await used.delete("c")
        await used.kill("c", 9)
        assert await used.state("c") is None
        assert programs.ran[0][0] == ["crun", "--root", "/root", "delete", "--force", "c"]


async def test_other_failures_are_told_in_the_runtimes_words() -> None:
    used = runtime.Runtime(RecordingPrograms({"crun": Completed(1, b"", b"device busy")}), "crun", "/root")
    with pytest.raises(RuntimeFailed, match="device busy"):
        await used.delete("c")
    with pytest.raises(RuntimeFailed, match="device busy"):
        await used.pause("c")


async def test_the_state_is_read() -> None:
    told = b'{"ociVersion":"1.0.0","id":"c","pid":12,"status":"paused"}'
    used = runtime.Runtime(RecordingPrograms({"crun": Completed(0, told, b"")}), "crun", "/root")
    assert await used.state("c") == runtime.RuntimeState("paused", 12)


def test_a_runtime_that_is_not_there_is_named() -> None:
    with pytest.raises(Unsupported, match="no-such-runtime"):
        runtime.choose("no-such-runtime")
