"""Load, copy, run, ps, logs, images: the line that everything else widens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def test_load_and_images(jackstay: Any, archive: Path) -> None:
    result = jackstay("-H", "web1", "load", "-i", str(archive))
    assert (result.code, result.out, result.err) == (0, "Loaded image: app:1\n", "")
    result = jackstay("-H", "web1", "images")
    lines = result.out.splitlines()
    assert lines[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert lines[1].split()[:2] == ["app", "1"]


@pytest.mark.parametrize(("pattern", "found"), [("a*", 1), ("app:?", 1), ("[b-z]*", 0), ("app", 1), ("other", 0)])
def test_images_takes_a_pattern(jackstay: Any, archive: Path, pattern: str, found: int) -> None:
    assert jackstay("-H", "web1", "load", "-i", str(archive)).code == 0
    result = jackstay("-H", "web1", "images", "-q", pattern)
    assert (result.code, len(result.out.splitlines())) == (0, found)


def test_copy_moves_only_what_is_missing(jackstay: Any, archive: Path) -> None:
    assert jackstay("-H", "web1", "load", "-i", str(archive)).code == 0
    plan = jackstay("copy", "--plan", "--json", "web1::app:1", "web[2-3]::")
    first = jackstay("copy", "--json", "web1::app:1", "web[2-3]::")
    again = jackstay("copy", "--json", "web1::app:1", "web[2-3]::")
    assert (plan.code, first.code, again.code) == (0, 0, 0)
    assert [host["host"] for host in first.json] == ["web2", "web3"]
    for planned, done, nothing in zip(plan.json, first.json, again.json, strict=True):
        assert set(done) == {"host", "ok", "outcome", "error", "data"}
        moved = done["data"][0]
        assert moved["bytes_sent"] > 300_000
        assert moved["bytes_wire"] >= moved["bytes_sent"]
        assert planned["data"][0]["bytes_sent"] == moved["bytes_sent"]
        assert moved["sources"] == [{"from": "web1", "via": "relay", "bytes": moved["bytes_sent"]}]
        assert nothing["data"][0]["bytes_sent"] == nothing["data"][0]["bytes_wire"] == 0
        assert nothing["data"][0]["bytes_spared"] == moved["bytes_sent"]


def test_run_on_the_fleet_then_ps_and_logs(jackstay: Any, archive: Path) -> None:
    assert jackstay("copy", f"oci-archive:{archive}", "@web::").code == 0
    result = jackstay("-H", "@web", "run", "-d", "-p", "8080:80", "--name", "srv", "app:1", "serve", "-v")
    assert result.code == 0, result.err
    assert [line.split(": ")[0] for line in result.out.splitlines()] == ["web1", "web2", "web3"]
    result = jackstay("-H", "@web", "ps")
    lines = result.out.splitlines()
    assert lines[0].split()[:3] == ["HOST", "CONTAINER", "ID"]
    assert [line.split()[0] for line in lines[1:]] == ["web1", "web2", "web3"]
    assert '"serve -v"' in lines[1]
    assert "0.0.0.0:8080->80/tcp" in lines[1]
    result = jackstay("-H", "@web", "logs", "srv")
    assert "web2: from web2\n" in result.out
    assert "web2: oops\n" in result.err


def test_one_host_down(jackstay: Any, archive: Path, home: Path) -> None:
    result = jackstay("copy", f"docker-archive:{archive}", "web1,down::")
    assert result.code == 4
    assert "Error: down refused the connection\nHint: is it on?\n" in result.err
    result = jackstay("-H", "web1,down", "ps", "-q", "--limit", "@last-failed")
    assert result.code == 4
    assert jackstay("-H", "web1,down", "ps", "--ignore-unreachable").code == 0
    result = jackstay("-H", "web1,down", "--json", "images")
    assert result.code == 4
    assert [host["outcome"] for host in result.json] == ["unreachable", "ok"]
    assert result.json[0]["error"] == {
        "kind": "REFUSED",
        "message": "down refused the connection",
        "hint": "is it on?",
    }
    assert result.err == ""


@pytest.mark.parametrize(
    ("command", "code"), [(("exit", "7"), 7), (("missing",), 127), (("noexec",), 126), (("echo", "hi"), 0)]
)
def test_foreground_exit_codes(jackstay: Any, archive: Path, command: tuple[str, ...], code: int) -> None:
    assert jackstay("-H", "web1", "load", "-i", str(archive)).code == 0
    result = jackstay("-H", "web1", "run", "--rm", "app:1", *command)
    assert result.code == code
    assert result.out == ("hi\n" if code == 0 else "")
    assert jackstay("-H", "web1", "ps", "-aq").out == ""


def test_unknown_image_says_how_to_bring_it(jackstay: Any) -> None:
    image = "127.0.0.1:1/nothere"
    result = jackstay("-H", "web1", "run", image, "sh")
    assert result.code == 125
    assert f"Unable to find image '{image}:latest' locally\n" in result.err
    assert f"Error: web1: no image {image} on this host, and the registry cannot be reached\n" in result.err
    assert f"jackstay copy HOST::{image} web1::" in result.err
    quiet = jackstay("-H", "web1", "run", "-q", image, "sh")
    assert (quiet.code, "Unable to find" in quiet.err) == (125, False)
