"""login, logout, search, registry ls and tags, against a small registry on the loopback."""

from __future__ import annotations

import base64
import getpass
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jackstay.library import hub_search
from tests.unit.controller.cli.http_registry import HttpRegistry

PASSWORD = "pass:wörd"


@pytest.fixture
def registry() -> Iterator[HttpRegistry]:
    with HttpRegistry() as registry:
        registry.users = {"me": PASSWORD}
        yield registry


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Types on standard input, which may be a terminal."""

    def type_in(text: str, *, terminal: bool = False) -> None:
        stdin = io.StringIO(text)
        stdin.isatty = lambda: terminal  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stdin", stdin)

    return type_in


def auths(home: Path) -> Any:
    path = home / ".docker" / "config.json"
    return json.loads(path.read_text())["auths"] if path.exists() else {}


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_login_keeps_what_the_registry_takes(jackstay: Any, home: Path, registry: HttpRegistry, typed: Any) -> None:
    typed("wrong\n")
    result = jackstay("login", "-u", "me", "--password-stdin", registry.name)
    assert result.code == 1
    assert result.out == ""
    assert result.err.startswith(f"Error: {registry.name} refuses the password of 'me'")
    assert "wrong" not in result.err
    assert auths(home) == {}

    typed(f"{PASSWORD}\r\n")
    result = jackstay("login", "-u", "me", "--password-stdin", f"http://{registry.name}/v2/")
    assert (result.code, result.out) == (0, "Login Succeeded\n")
    assert result.err.startswith("WARNING: the password lies unencrypted in ")
    assert auths(home) == {registry.name: auth("me", PASSWORD)}

    registry.asked.clear()
    (element,) = jackstay("--json", "login", registry.name).json  # what is kept is tried
    assert element["host"] == registry.name
    assert element["data"] == [{"Registry": registry.name, "Username": "me", "File": ""}]
    assert registry.asked

    assert jackstay("logout", registry.name).out == f"Removing login credentials for {registry.name}\n"
    assert jackstay("logout", registry.name).out == f"Not logged in to {registry.name}\n"
    assert auths(home) == {}


def test_a_password_on_the_command_line_is_warned_of(jackstay: Any, home: Path, registry: HttpRegistry) -> None:
    result = jackstay("login", "-u", "me", "-p", PASSWORD, registry.name)
    assert result.code == 0
    assert "WARNING: a password on the command line can be seen by others" in result.err
    assert PASSWORD not in result.err + result.out


def test_who_logs_in_is_not_told_to_log_in(jackstay: Any, home: Path, registry: HttpRegistry) -> None:
    result = jackstay("login", "-u", "me", "-p", "wrong", registry.name)
    assert result.code == 1
    assert result.err.endswith("Hint: check the name and the password\n")
    assert not (home / ".docker").exists()


def test_name_and_password_are_asked_for(
    jackstay: Any, home: Path, registry: HttpRegistry, typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = []

    def ask(prompt: str, stream: Any) -> str:
        prompts.append((prompt, stream))
        return PASSWORD

    monkeypatch.setattr(getpass, "getpass", ask)
    typed("me\n", terminal=True)
    result = jackstay("login", registry.name)
    assert (result.code, result.out) == (0, "Login Succeeded\n")
    assert result.err.startswith("Username: ")
    assert prompts == [("Password: ", sys.stderr)]

    registry.users = {"me": "new"}  # what is kept is refused, so it is asked for anew
    monkeypatch.setattr(getpass, "getpass", lambda *_: "new")
    typed("me\n", terminal=True)
    assert jackstay("login", registry.name).code == 0
    assert auths(home) == {registry.name: auth("me", "new")}

    typed("me\n", terminal=True)
    monkeypatch.setattr(getpass, "getpass", lambda *_: "")
    assert "the password is empty" in jackstay("login", "-u", "me", registry.name).err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-p", "x"], "whose password"),
        (["--password-stdin"], "whose password"),
        (["-u", "me", "-p", "x", "--password-stdin"], "either --password or --password-stdin"),
        (["-u", "me", "--password-stdin"], "has no password"),
        (["-u", "me"], "no terminal to ask for the password"),
        ([], "no terminal to ask for the name"),
        (["team/app"], "is no registry"),
        (["Some Host"], "is no registry"),
    ],
)
def test_what_login_refuses(jackstay: Any, home: Path, typed: Any, arguments: list[str], words: str) -> None:
    typed("")
    result = jackstay("login", *arguments)
    assert result.code == 2
    assert words in result.err


def test_a_helper_keeps_it_where_one_is_named(
    jackstay: Any, home: Path, registry: HttpRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keeper = tmp_path / "docker-credential-keeper"
    keeper.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/calls; cat > {tmp_path}/told\n')
    keeper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text('{"credsStore": "keeper"}')
    result = jackstay("login", "-u", "me", "-p", PASSWORD, registry.name)
    assert result.code == 0
    assert "unencrypted" not in result.err
    told = json.loads((tmp_path / "told").read_text())
    assert told == {"ServerURL": registry.name, "Username": "me", "Secret": PASSWORD}
    assert (tmp_path / "calls").read_text() == "store\n"


def test_repositories_and_tags(jackstay: Any, home: Path, registry: HttpRegistry) -> None:
    registry.users = {}
    for repository, tag in (("app", "1"), ("app", "2"), ("team/app", "latest"), ("team/base", "1")):
        registry.put(repository, tag, [b"layer"])
    assert jackstay("registry", "ls", registry.name).out.split() == ["REPOSITORY", "app", "team/app", "team/base"]
    assert jackstay("registry", "ls", "-q", "-f", "name=team/*", registry.name).out == (
        f"{registry.name}/team/app\n{registry.name}/team/base\n"
    )
    assert jackstay("registry", "ls", "-f", "nome=x", registry.name).code == 2
    assert jackstay("registry", "ls", "--format", "{{.Host}}/{{.Repository}}", registry.name).out == (
        f"{registry.name}/app\n{registry.name}/team/app\n{registry.name}/team/base\n"
    )
    assert jackstay("registry", "ls", "--format", "{{.Nome}}", registry.name).code != 0

    app = f"{registry.name}/app"
    (element,) = jackstay("--json", "registry", "tags", app).json
    assert (element["host"], element["ok"], element["outcome"]) == (registry.name, True, "ok")
    assert element["data"] == [{"Repository": app, "Tag": tag, "Name": f"{app}:{tag}"} for tag in ("1", "2")]
    lines = [json.loads(line) for line in jackstay("--jsonl", "registry", "tags", app).out.splitlines()]
    assert [line.get("outcome") for line in lines] == [None, None, "ok"]
    assert jackstay("registry", "tags", "-q", app).out == f"{app}:1\n{app}:2\n"
    assert f"write {app}" in jackstay("registry", "tags", f"{app}:1").err
    ended = jackstay("registry", "tags", registry.name)
    assert (ended.code, f"jackstay registry ls {registry.name}\n" in ended.err) == (2, True)


def test_what_a_registry_refuses_has_the_one_shape(jackstay: Any, home: Path, registry: HttpRegistry) -> None:
    result = jackstay("registry", "tags", f"{registry.name}/app")
    assert (result.code, result.out) == (1, "")
    assert result.err.count(registry.name) >= 1
    assert f"Hint: log in with an account that has the right to it: `jackstay login {registry.name}`" in result.err
    result = jackstay("--json", "registry", "ls", registry.name)
    assert result.code == 1
    (element,) = result.json
    assert (element["outcome"], element["error"]["kind"], element["data"]) == ("failed", "UNAUTHORIZED", [])
    registry.users = {}
    assert jackstay("--json", "registry", "tags", f"{registry.name}/none").json[0]["error"]["kind"] == "NOT_FOUND"
    assert not (home / ".local" / "state" / "jackstay" / "last-failed").exists()  # which is for hosts


def test_docker_hub_is_searched(
    jackstay: Any, home: Path, registry: HttpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.users = {}
    registry.found = [
        {"name": "httpd", "description": "The Apache\nHTTP Server Project, in more than 45 letters", "star_count": 4000,
         "is_official": True, "is_automated": False},
        {"name": "someone/httpd", "star_count": 3, "is_official": False, "is_automated": True},
    ]  # fmt: skip
    monkeypatch.setattr(hub_search, "SEARCH", f"http://{registry.name}/v1/search")
    lines = jackstay("search", "httpd").out.splitlines()
    assert lines[0].split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
    assert lines[1].split("   ")[0] == "httpd"
    assert "The Apache HTTP Server Project, in more than…" in lines[1]
    assert lines[1].endswith("[OK]")
    assert registry.asked == ["GET /v1/search?q=httpd&n=25"]
    (element,) = jackstay("--json", "search", "--limit", "1", "httpd").json
    (item,) = element["data"]
    assert item == {
        "Description": "The Apache HTTP Server Project, in more than 45 letters",
        "IsAutomated": "false",
        "IsOfficial": "true",
        "Name": "httpd",
        "StarCount": "4000",
    }

    def names(*filters: str) -> str:
        options = [part for text in filters for part in ("--filter", text)]
        out: str = jackstay("search", "--format", "{{.Name}}", *options, "httpd").out
        return " ".join(out.split())

    assert names("is-official=true") == "httpd"
    assert names("is-official=false", "stars=3") == names("is-automated=1") == "someone/httpd"
    assert names("stars=4") == "httpd"
    for arguments in (["--limit", "0", "x"], ["--limit", "101", "x"], ["--filter", "is-official=maybe", "x"], [""]):
        assert jackstay("search", *arguments).code == 2
    registry.found = [{"name": 3}]
    assert "no list of images" in jackstay("search", "httpd").err
    registry.users = {"me": PASSWORD}
    assert "status 401" in jackstay("search", "httpd").err


def test_other_registries_are_searched_by_their_catalogue(jackstay: Any, home: Path, registry: HttpRegistry) -> None:
    registry.users = {}
    for repository in ("app", "team/app", "base"):
        registry.put(repository, "1", [b"layer"])
    result = jackstay("search", "--format", "{{.Name}}", f"{registry.name}/app")
    assert result.out == f"{registry.name}/app\n{registry.name}/team/app\n"
    assert len(jackstay("search", "--limit", "1", f"{registry.name}/app").out.splitlines()) == 2
