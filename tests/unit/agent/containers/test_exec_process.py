from __future__ import annotations

import pytest

from jackstay_agent.containers import exec_process
from jackstay_agent.containers.exec_process import ExecRequest
from jackstay_agent.containers.users import ResolvedUser
from jackstay_agent.errors import InvalidArgument

OWN = {
    "args": ["/bin/sleep", "1"],
    "cwd": "/srv",
    "env": ["PATH=/bin", "HOME=/root", "A=1"],
    "terminal": False,
    "user": {"uid": 0, "gid": 0, "additionalGids": [0]},
    "capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]},
    "noNewPrivileges": True,
    "apparmorProfile": "p",
}


def test_it_is_the_containers_own_process_but_for_the_command() -> None:
    built = exec_process.build(OWN, ExecRequest(command=("id",)), None, frozenset())
    assert built == {**OWN, "args": ["id"]}
    assert OWN["args"] == ["/bin/sleep", "1"]


def test_what_was_asked_for_goes_over_it() -> None:
    asked = ExecRequest(command=("id",), tty=True, env=("A=2", "PATH", "B=3"), working_dir="/tmp/../etc")
    built = exec_process.build(OWN, asked, None, frozenset())
    assert built["env"] == ["HOME=/root", "A=2", "TERM=xterm", "B=3"]
    assert (built["cwd"], built["terminal"]) == ("/etc", True)


def test_another_user_has_its_home_and_loses_the_capabilities() -> None:
    user = ResolvedUser(33, 33, (33, 4), "/var/www")
    built = exec_process.build(OWN, ExecRequest(command=("id",), user="web"), user, frozenset())
    assert built["user"] == {"uid": 33, "gid": 33, "additionalGids": [33, 4], "umask": 0o022}
    assert "HOME=/var/www" in built["env"]
    assert built["capabilities"]["effective"] == []
    assert built["capabilities"]["bounding"] == ["CAP_CHOWN"]
    assert built["noNewPrivileges"] is True


def test_a_privileged_one_has_them_all() -> None:
    built = exec_process.build(OWN, ExecRequest(command=("id",), privileged=True), None, frozenset({"CAP_SYS_ADMIN"}))
    assert built["capabilities"]["effective"] == ["CAP_SYS_ADMIN"]
    assert built["capabilities"]["inheritable"] == []
    assert "apparmorProfile" not in built


def test_a_terminal_has_the_size_that_was_asked_for() -> None:
    own = {**OWN, "consoleSize": {"height": 1, "width": 2}}
    built = exec_process.build(own, ExecRequest(command=("id",), tty=True, size=(20, 70)), None, frozenset())
    assert built["consoleSize"] == {"height": 20, "width": 70}
    for asked in (ExecRequest(command=("id",), size=(20, 70)), ExecRequest(command=("id",), tty=True)):
        assert "consoleSize" not in exec_process.build(own, asked, None, frozenset())


@pytest.mark.parametrize(
    "asked",
    [
        ExecRequest(command=()),
        ExecRequest(command=("",)),
        ExecRequest(command=("a\0b",)),
        ExecRequest(command=("id",), working_dir="relative"),
        ExecRequest(command=("id",), env=("=x",)),
    ],
)
def test_nonsense_is_refused(asked: ExecRequest) -> None:
    with pytest.raises(InvalidArgument):
        exec_process.build(OWN, asked, None, frozenset())
