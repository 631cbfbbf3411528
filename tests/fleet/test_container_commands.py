"""What is asked about and done to containers by name, through the command line, on real agents."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab


@pytest.fixture
def web1(laptop: Laptop, base_archive: Path) -> Laptop:
    """A laptop whose commands go to web1, which has ``base:1``; ``web[1-2]`` have it."""
    laptop.ok("-H", "web[1-2]", "load", "-q", "-i", base_archive)
    laptop.environment["JACKSTAY_HOST"] = "web1"
    return laptop


def test_ports(web1: Laptop) -> None:
    web1.ok(
        *("run", "-d", "--name", "app", "-p", "18443:443", "-p", "127.0.0.1:18080:80", "-p", "18053:53/udp"),
        *("base:1", "sleep", "60"),
    )
    assert web1.ok("port", "app").lines == [
        "53/udp -> 0.0.0.0:18053",
        "53/udp -> [::]:18053",
        "80/tcp -> 127.0.0.1:18080",
        "443/tcp -> 0.0.0.0:18443",
        "443/tcp -> [::]:18443",
    ]
    assert web1.ok("port", "app", "80").stdout == "127.0.0.1:18080\n"
    assert web1.ok("container", "port", "app", "53/udp").stdout == "0.0.0.0:18053\n[::]:18053\n"
    assert data(web1.ok("--json", "port", "app", "443")) == [
        {"Port": "443/tcp", "HostIp": "0.0.0.0", "HostPort": "18443"},
        {"Port": "443/tcp", "HostIp": "::", "HostPort": "18443"},
    ]
    ran = web1.run("port", "app", "53").ended(1)
    assert (ran.stdout, ran.stderr) == ("", "Error: web1: no public port '53/tcp' published for app\n")
    assert "'http' is not a port" in web1.run("port", "app", "http").ended(2).stderr
    assert "no such container: none" in web1.run("port", "none").ended(1).stderr
    web1.ok("stop", "-t", "0", "app")
    assert web1.ok("port", "app").stdout == ""


def test_whether_one_exists(web1: Laptop) -> None:
    web1.ok("create", "--name", "app", "base:1")
    assert web1.ok("container", "exists", "app").stdout == ""
    absent = web1.run("container", "exists", "none").ended(1)
    assert (absent.stdout, absent.stderr) == ("", "")
    both = web1.run("-H", "web[1-2]", "--json", "container", "exists", "app").ended(1)
    assert [(each["host"], each["ok"], each["data"]) for each in both.json] == [
        ("web1", True, [{"Exists": True}]),
        ("web2", True, [{"Exists": False}]),
    ]
    web1.run("-H", "nobody@127.0.0.1:1", "container", "exists", "app").ended(125)


def test_pruning(web1: Laptop) -> None:
    web1.ok("run", "-d", "--name", "runs", "base:1", "sleep", "60")
    web1.ok("run", "-d", "--name", "frozen", "base:1", "sleep", "60")
    web1.ok("pause", "frozen")
    web1.ok("run", "--name", "ended", "-v", "/data", "base:1", "sh", "-c", "head -c 100000 /dev/zero > /fill")
    kept = web1.ok("create", "--name", "kept", "-l", "keep=1", "base:1").stdout.strip()
    made = web1.ok("create", "--name", "made", "base:1").stdout.strip()
    ended = data(web1.ok("--json", "inspect", "ended"))[0]["Id"]
    assert (
        "invalid filter 'status'" in web1.run("container", "prune", "-f", "--filter", "status=exited").ended(1).stderr
    )
    assert web1.ok("container", "prune", "-f", "--filter", "until=1h").lines == ["Total reclaimed space: 0B"]
    ran = web1.ok("container", "prune", "-f", "--filter", "label!=keep")
    assert ran.lines[:3] == ["Deleted Containers:", made, ended]
    amount = ran.lines[-1].removeprefix("Total reclaimed space: ")
    assert amount.endswith("kB")
    assert float(amount.removesuffix("kB")) >= 100
    names = {row["Names"] for row in data(web1.ok("--json", "ps", "-a"))}
    assert names == {"runs", "frozen", "kept"}
    assert len(data(web1.ok("--json", "volume", "ls"))) == 1  # volumes stay
    assert data(web1.ok("--json", "container", "prune", "-f")) == [{"Deleted": kept}, {"SpaceReclaimed": 0}]
    web1.ok("exec", "runs", "true")


def test_prune_asks(web1: Laptop) -> None:
    web1.ok("-H", "web[1-2]", "create", "--name", "made", "base:1")
    assert "web[1-2]" in web1.run("-H", "web[1-2]", "container", "prune").ended(2).stderr
    with web1.terminal("container", "prune") as terminal:
        terminal.expect("This will remove all stopped containers.")
        terminal.expect(r"\[y/N\]")
        terminal.type("n\n")
        assert terminal.wait() == 130
    unanswered = web1.run("container", "prune", input=b"").ended(2)
    assert "[y/N]" in unanswered.stderr
    assert "nothing was removed: nobody answered" in unanswered.stderr
    answered = web1.run("container", "prune", input=b"y\n").ok()
    assert answered.lines[0] == "Deleted Containers:"
    ran = web1.ok("-H", "web[1-2]", "container", "prune", "--yes", "--json")
    assert [len(each["data"]) for each in ran.json] == [1, 2]
    assert web1.ok("-H", "web[1-2]", "ps", "-aq").stdout == ""


def test_changed_paths(web1: Laptop) -> None:
    script = "mkdir /new && touch /new/a /data/in-a-volume && echo x >> /etc/hosts && rm /bin/true && echo 1 > /etc/odd"
    odd = r"touch /new/$(printf 'bad\377\033[31m')"
    web1.ok("run", "--name", "app", "-v", "/data", "base:1", "sh", "-c", f"{script} && {odd}")
    expected = [
        "C /bin",
        "D /bin/true",
        "A /data",
        "C /etc",
        "A /etc/odd",
        "A /new",
        "A /new/a",
        r"A /new/bad\xff\x1b[31m",
    ]
    assert web1.ok("diff", "app").lines == expected
    web1.ok("start", "app")
    assert web1.ok("container", "diff", "app").lines == expected
    objects = data(web1.ok("--json", "diff", "app"))
    assert objects[:2] == [{"Kind": "C", "Path": "/bin"}, {"Kind": "D", "Path": "/bin/true"}]
    assert web1.ok("--format", "{{.Kind}}={{.Path}}", "diff", "app").lines[1] == "D=/bin/true"
    web1.ok("-H", "web2", "create", "--name", "app", "base:1")
    both = web1.ok("-H", "web[1-2]", "diff", "app").lines
    assert both == [f"web1: {line}" for line in expected]
    assert "no such container: none" in web1.run("diff", "none").ended(1).stderr


def test_verbs_on_several_and_where_they_cannot_be(web1: Laptop) -> None:
    """Docker's words and codes: what can be done is, and told; then what cannot (compared in ``tests/interop``)."""
    for name in ("aa", "bb"):
        web1.ok("run", "-d", "--name", name, "base:1", "sleep", "86400")
    web1.run("run", "--name", "ended", "base:1", "sh", "-c", "exit 3").ended(3)
    for words, printed, told in [
        ("pause aa bb", "aa bb", ""),
        ("pause ended aa", "", "is already paused"),
        ("unpause aa none bb", "aa bb", "no such container: none"),
        ("kill aa ended bb", "aa bb", "is not running"),
        ("restart -t 0 aa none", "aa", "no such container: none"),
        ("rename aa aa", "", "same name as its current name"),
    ]:
        ran = web1.run(*words.split()).ended(1 if told else 0)
        assert (ran.stdout.split(), told in ran.stderr) == (printed.split(), True), ran
    assert web1.run("wait", "none", "ended").ended(125).stdout == "3\n"
    assert web1.ok("container", "list", "-q").stdout == web1.ok("ps", "-q").stdout


def test_waiting_for_what_is_to_come(web1: Laptop) -> None:
    """A container that does not run is not waited for without a condition."""
    conditions = ("next-exit", "removed", "not-running")
    for patience in (0.5, 2, 8):  # until the commands have come to the agent, which nobody tells
        web1.ok("create", "--name", "made", "base:1", "sh", "-c", "exit 7")
        waits = [web1.start("wait", "--condition", condition, "made") for condition in conditions]
        time.sleep(patience)
        web1.run("start", "-a", "made").ended(7)
        web1.ok("container", "remove", "made")
        told = [waiting.communicate(timeout=20)[0] for waiting in waits]
        if told == [b"7\n", b"7\n", b"0\n"]:
            break
    else:
        raise AssertionError(told)
    assert "not one of" in web1.run("wait", "--condition", "tired", "made").ended(2).stderr
