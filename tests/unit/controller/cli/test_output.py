"""What people and programs see: golden texts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay.cli.output.envelope import element, render_json, render_jsonl
from jackstay.cli.output.fold import PrefixLines, fold_names, render_folded
from jackstay.cli.output.objects import container_object, history_object, image_object, volume_object
from jackstay.cli.output.ports import BoundPort, format_ports
from jackstay.cli.output.table import display_width, render_table
from jackstay.cli.output.units import ago, ellipsis, human_duration, human_size, printable, short_id, timestamp
from jackstay.cli.output.view import Table, field, render_quiet
from jackstay.cli.ps import COLUMNS
from jackstay.client import messages
from jackstay.fleet import ErrorInfo, Outcome

NOW = 1_700_007_200


def container(**values: object) -> messages.ContainerSummary:
    base = {
        "id": "0123456789abcdef" * 4,
        "name": "app",
        "image": "httpd:1.1",
        "command": ["httpd", "-f", "-p", "80", "-h", "/var/www"],
        "created": NOW - 7200,
        "started": NOW - 7195,
        "finished": NOW - 60,
        "state": "running",
        "labels": {"b": "2", "a": "1"},
        "networks": ["bridge"],
        "mounts": ["data"],
        "ports": [messages.PortBinding(host_port=8080, container_port=80, protocol="tcp")],
        "exposed": ["80/tcp", "443/tcp", "53/udp"],
    }
    return messages.ContainerSummary(**(base | values))  # type: ignore[arg-type]


def test_ps_object_has_dockers_fields() -> None:
    assert container_object(container(health="healthy", platform="linux/arm64"), NOW) == {
        "Command": '"httpd -f -p 80 -h /…"',
        "CreatedAt": "2023-11-14 22:13:20 +0000 UTC",
        "HealthStatus": "healthy",
        "ID": "0123456789ab",
        "Image": "httpd:1.1",
        "Labels": "a=1,b=2",
        "LocalVolumes": "1",
        "Mounts": "data",
        "Names": "app",
        "Networks": "bridge",
        "Platform": "linux/arm64",
        "Ports": "53/udp, 443/tcp, 0.0.0.0:8080->80/tcp",
        "RunningFor": "2 hours ago",
        "Size": "0B",
        "State": "running",
        "Status": "Up 2 hours (healthy)",
    }


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"state": "running", "started": NOW - 30}, "Up 30 seconds"),
        ({"state": "paused", "started": NOW - 300}, "Up 5 minutes (Paused)"),
        ({"state": "exited", "exit_code": 137}, "Exited (137) About a minute ago"),
        ({"state": "running", "started": NOW - 30, "health": "starting"}, "Up 30 seconds (health: starting)"),
        ({"state": "running", "started": NOW - 30, "health": "unhealthy"}, "Up 30 seconds (unhealthy)"),
        ({"state": "paused", "started": NOW - 30, "health": "healthy"}, "Up 30 seconds (Paused)"),
        ({"state": "restarting", "exit_code": 1, "finished": NOW - 3}, "Restarting (1) 3 seconds ago"),
        ({"state": "created"}, "Created"),
        ({"state": "dead"}, "Dead"),
    ],
)
def test_status(values: dict[str, object], status: str) -> None:
    assert container_object(container(**values), NOW)["Status"] == status


def test_ps_table() -> None:
    rows = [
        ("web1", [container_object(container(exposed=["443/tcp"]), NOW)]),
        ("web2", []),
        ("web3", [container_object(container(name="a-long-name", state="created", ports=[], exposed=[]), NOW)]),
    ]
    assert Table(COLUMNS).render(rows, several=True) == (
        "HOST   CONTAINER ID   IMAGE       COMMAND                  CREATED       STATUS       "
        "PORTS                           NAMES\n"
        'web1   0123456789ab   httpd:1.1   "httpd -f -p 80 -h /…"   2 hours ago   Up 2 hours   '
        "443/tcp, 0.0.0.0:8080->80/tcp   app\n"
        'web3   0123456789ab   httpd:1.1   "httpd -f -p 80 -h /…"   2 hours ago   Created      '
        "                                a-long-name\n"
    )
    assert Table(COLUMNS).render([("web1", [])], several=False) == (
        "CONTAINER ID   IMAGE   COMMAND   CREATED   STATUS   PORTS   NAMES\n"
    )


def test_no_trunc() -> None:
    item = container_object(container(), NOW, full=True)
    assert item["Command"] == '"httpd -f -p 80 -h /var/www"'
    assert item["ID"] == "0123456789abcdef" * 4


def test_a_command_quotes_arguments_with_spaces() -> None:
    item = container_object(container(command=["/bin/my sh", "-c", "sleep 9"]), NOW, full=True)
    assert item["Command"] == "\"/bin/my sh -c 'sleep 9'\""
    assert container_object(container(command=[]), NOW)["Command"] == '""'


def test_image_history_and_volume_objects() -> None:
    image = messages.ImageSummary(
        id="sha256:" + "ab" * 32,
        repository="httpd",
        tag="1.1",
        digest="sha256:1",
        created=NOW - 3 * 86400,
        size=4_861_000,
    )
    item = image_object(image, NOW)
    assert (item["ID"], item["CreatedSince"], item["Size"]) == ("abababababab", "3 days ago", "4.86MB")
    entry = messages.HistoryEntry(id="<missing>", created=NOW - 90, created_by="RUN  a\n b" + "x" * 50, size=0)
    shown = history_object(entry, NOW)
    assert shown["ID"] == "<missing>"
    assert shown["CreatedBy"] == "RUN a b" + "x" * 37 + "…"
    assert shown["Size"] == "0B"
    assert volume_object(messages.Volume(name="data", mountpoint="/m", labels={"x": "1"}))["Labels"] == "x=1"


def test_ports() -> None:
    moved = [BoundPort("tcp", host, port, port + 8000) for port in (81, 80) for host in ("::", "0.0.0.0")]
    both = [BoundPort("tcp", host, port, port) for port in (443, 444, 446) for host in ("0.0.0.0", "::")]
    exposed = [BoundPort("tcp", "", port, 0) for port in (9000, 9001)] + [BoundPort("udp", "", 9001, 0)]
    assert format_ports([*moved, *both, *exposed]).split(", ") == [
        *("0.0.0.0:443-444->443-444/tcp", "[::]:443-444->443-444/tcp"),
        *("0.0.0.0:446->446/tcp", "[::]:446->446/tcp", "9000-9001/tcp", "9001/udp"),
        *("0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp", "0.0.0.0:8081->81/tcp", "[::]:8081->81/tcp"),
    ]
    assert format_ports([BoundPort("tcp", "", 80, 8080)]) == "0.0.0.0:8080->80/tcp"
    assert format_ports([BoundPort("udp", "::1", 53, 53)]) == "[::1]:53->53/udp"
    assert format_ports([BoundPort("tcp", "", 80, 0), BoundPort("tcp", "", 81, 0)]) == "80-81/tcp"
    assert format_ports([]) == ""


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (1536, "1.54kB"),
        (999_999, "1MB"),
        (4_861_000, "4.86MB"),
        (285_000_000, "285MB"),
        (10**18 * 5, "5EB"),
    ],
)
def test_human_size(size: int, text: str) -> None:
    assert human_size(size) == text


@given(st.integers(0, 2**63))
def test_human_size_is_short(size: int) -> None:
    assert len(human_size(size)) <= 7
    assert "e" not in human_size(size)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (120, "2 minutes"),
        (3540, "59 minutes"), (3600, "About an hour"), (47 * 3600, "47 hours"), (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"), (60 * 86400, "2 months"), (730 * 86400, "2 years"), (-5, "Less than a second"),
    ],
)  # fmt: skip
def test_human_duration(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_small_texts() -> None:
    assert ago(0, NOW) == timestamp(0) == "N/A"
    assert short_id("sha256:" + "a" * 64) == "a" * 12
    assert ellipsis("abcdef", 4) == "abc…"
    assert printable("a\x1b[31m\nb") == "a\\x1b[31m\\nb"


def test_tables_align_wide_characters() -> None:
    assert render_table(["A", "B"], [["ab", "x"], ["日本", "y"]]) == "A      B\nab     x\n日本   y\n"
    assert display_width("e\u0301") == 1


@given(st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=2), max_size=5))
def test_a_row_is_always_one_line(rows: list[list[str]]) -> None:
    assert len(render_table(["A", "B"], rows).splitlines()) == len(rows) + 1


def test_lines_and_quiet() -> None:
    rows = [("web1", [{"ID": "1"}, {"ID": "2"}]), ("web2", [{"ID": "1"}])]
    assert field("ID").render(rows, several=True) == "web1: 1\nweb1: 2\nweb2: 1\n"
    assert field("ID").render(rows, several=False) == "1\n2\n1\n"
    assert render_quiet(rows, "ID") == "1\n2\n"


def test_envelope() -> None:
    good = element(Outcome("web1", "ok", value=1), [{"ID": "1"}])
    bad = element(Outcome("web2", "unreachable", error=ErrorInfo("TIMEOUT", "no answer", "is it on?")), [])
    assert json.loads(render_json([good, bad])) == [
        {"host": "web1", "ok": True, "outcome": "ok", "error": None, "data": [{"ID": "1"}]},
        {
            "host": "web2",
            "ok": False,
            "outcome": "unreachable",
            "error": {"kind": "TIMEOUT", "message": "no answer", "hint": "is it on?"},
            "data": [],
        },
    ]
    assert render_jsonl(good) == (
        '{"host":"web1","data":{"ID":"1"}}\n{"host":"web1","ok":true,"outcome":"ok","error":null}\n'
    )


def test_folding() -> None:
    outputs = [("web1", b"same\n"), ("web2", b"other"), ("web3", b"same\n")]
    assert render_folded(outputs).decode() == (
        "---------------\nweb[1,3] (2)\n---------------\nsame\n---------------\nweb2 (1)\n---------------\nother\n"
    )
    assert fold_names(["web1", "web2", "root@[::1]:22"]) == "web[1-2],root@[::1]:22"


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_prefixes_stand_before_every_line(pieces: list[bytes]) -> None:
    lines = PrefixLines("h: ")
    out = b"".join(lines.feed(piece) for piece in pieces) + lines.rest()
    whole = b"".join(pieces)
    expected = whole.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert out == b"".join(b"h: " + line + b"\n" for line in expected)


def test_an_endless_line_is_not_kept() -> None:
    lines = PrefixLines("h: ")
    assert len(lines.feed(b"x" * (PrefixLines.MAX_LINE + 1))) > PrefixLines.MAX_LINE
    assert lines.rest() == b""
