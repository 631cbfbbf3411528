"""Every command: its help, its place in the table, and what must not be imported to show them."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jackstay.cli.commands import ROOT, Entry, Group
from jackstay.cli.lazy import build_root, load
from jackstay.cli.main import run


def every() -> Iterator[tuple[tuple[str, ...], Entry]]:
    for name, entry in ROOT.items():
        if isinstance(entry, Group):
            yield from (((name, verb), below) for verb, below in entry.entries.items())
        else:
            yield (name,), entry


@pytest.mark.parametrize(
    ("words", "entry"), list(every()), ids=lambda value: "" if isinstance(value, Entry) else " ".join(value)
)
def test_help(words: tuple[str, ...], entry: Entry, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: jackstay {' '.join(words)} [OPTIONS]")
    assert entry.summary in " ".join(out.split())
    assert "Examples:\n    jackstay" in out or "Examples:\n    docker save" in out


@pytest.mark.parametrize(
    ("words", "entry"), list(every()), ids=lambda value: "" if isinstance(value, Entry) else " ".join(value)
)
def test_no_option_is_declared_twice(words: tuple[str, ...], entry: Entry) -> None:
    command = load(words[-1], entry)
    options = [option for param in command.params for option in (*param.opts, *param.secondary_opts)]
    assert len(options) == len(set(options))
    assert {"--host", "--json", "--limit"} <= set(options)
    names = [param.name for param in command.params]
    assert len(names) == len(set(names))


def test_a_verbs_own_option_wins_over_the_fleets() -> None:
    stop = load("stop", ROOT["stop"])  # type: ignore[arg-type]
    (owner,) = [param for param in stop.params if "--timeout" in param.opts]
    assert "-t" in owner.opts


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rum"], "did you mean 'rm'"),
        (["ps", "--nope"], "No such option"),
        (["container", "lss"], "did you mean 'ls'"),
        (["run"], "IMAGE"),
        (["--fanout", "0", "ps"], "--fanout"),
        (["--color", "blue", "ps"], "--color"),
        (["stop", "-t", "x", "app"], "-t"),
    ],
)
def test_usage_errors(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "Error: " in err


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    out, err = capsys.readouterr()
    assert "Usage: jackstay" in out + err


def _help(*redirected: str) -> subprocess.CompletedProcess[str]:
    command = shlex.join([sys.executable, "-m", "jackstay.cli.main", "ps", "--help"])
    return subprocess.run(["sh", "-c", " ".join([command, *redirected])], capture_output=True, text=True)


def test_output_that_cannot_be_written_is_an_error_line() -> None:
    result = _help(">/dev/full")
    assert (result.returncode, result.stderr) == (1, "Error: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_error(closed: str) -> None:
    result = _help(closed)
    assert (result.returncode, result.stderr) == (0, "")


HEAVY = ("grpc", "asyncssh", "rich", "google.protobuf", "msgspec", "ClusterShell", "cryptography", "pydantic")


def probe(names: tuple[str, ...]) -> str:
    """A program that runs a command line, and tells on stderr which of the modules it has imported."""
    return f"""
import sys
from jackstay.cli.main import run
code = run(sys.argv[1:])
loaded = [name for name in {names!r} if name in sys.modules]
print("LOADED", loaded, file=sys.stderr)
sys.exit(code)
"""


PROBE = probe(HEAVY)


UNUSED = (
    "ClusterShell", "aiohttp", "asyncssh", "configparser", "cryptography", "csv", "decimal", "hashlib",
    "jackstay.cli.parsing.mounts", "jackstay.cli.parsing.ports", "jackstay.copying", "jackstay.inventory.hosts_file",
    "jackstay.tunnel.ssh", "jackstay_oci.tar", "jackstay_proto.v1.networks_pb2", "jackstay_proto.v1.volumes_pb2",
    "msgspec", "pydantic", "rich", "shlex", "tomllib",
)  # fmt: skip
"""What a command on this machine, without such flags and files, has no use for."""


@pytest.mark.parametrize(
    "arguments", [["run", "--rm", "app:1", "true"], ["ps"], ["images"]], ids=lambda words: words[0]
)
def test_a_local_command_imports_only_what_it_uses(
    arguments: list[str], jackstay: Any, archive: Path, sockets: Path, home: Path
) -> None:
    assert jackstay("-H", "web1", "load", "-i", str(archive)).code == 0
    (home / ".config" / "jackstay" / "hosts.toml").unlink()
    command = [sys.executable, "-c", probe(UNUSED), "-H", "local", *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[-1] == "LOADED []"


def test_options_that_are_text_are_not_converted() -> None:
    arguments = ["-H", "local", "commit", "-c", "USER a", "-c", "CMD b", "--no-pause", "app", "app:1"]
    environment = os.environ | {"JACKSTAY_SOCKET": "/nowhere/socket", "LANG": "C.UTF-8"}
    command = [sys.executable, "-c", PROBE, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 4, result.stderr
    assert "pydantic" not in result.stderr.splitlines()[-1]


def test_numbers_are_converted(jackstay: Any) -> None:
    assert jackstay("-H", "web1", "--timeout", "2.5", "--fanout", "3", "version").code == 0
    refused = jackstay("-H", "web1", "--fanout", "many", "version")
    assert (refused.code, refused.out) == (2, "")
    assert "--fanout" in refused.err


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["ps", "--help"], ["run", "--help"], ["image", "--help"]]
)
def test_nothing_heavy_is_imported_for_words(arguments: list[str]) -> None:
    result = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True)
    assert result.stderr.splitlines()[-1] == "LOADED []"


def test_completion_knows_commands_and_imports_nothing_heavy() -> None:
    environment = os.environ | {"_JACKSTAY_COMPLETE": "complete_bash", "COMP_WORDS": "jackstay im", "COMP_CWORD": "1"}
    program = f"""
import atexit, sys
from jackstay.cli.main import run
atexit.register(lambda: print("LOADED", [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr))
run([])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert result.stdout.split() == ["images", "import", "image"]
    assert result.stderr.splitlines()[-1] == "LOADED []"


def test_completion_knows_hosts(home: Path) -> None:
    environment = os.environ | {
        "_JACKSTAY_COMPLETE": "complete_bash",
        "COMP_WORDS": "jackstay ps -H",
        "COMP_CWORD": "3",
    }
    command = [sys.executable, "-m", "jackstay.cli.main"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert result.stdout.split() == ["web1", "web2", "web3", "down", "@web"]


def test_version_imports_little() -> None:
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "jackstay.cli.main", "--version"], capture_output=True, text=True
    )
    imported = {line.rsplit("|", 1)[1].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}
    assert "jackstay.cli" in imported
    assert not imported & {"asyncio", "asyncssh", "google.protobuf", "grpc", "inspect", "msgspec", "rich", "typer"}


def test_the_root_knows_every_command() -> None:
    root = build_root(ROOT)
    assert set(root.table) == set(ROOT)
