"""The other verbs, on one host and on several: text, JSON, exit codes, questions."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def loaded(jackstay: Any, archive: Path) -> Any:
    """``app:1`` on every host, a running container ``srv`` on each."""
    assert jackstay("copy", f"docker-archive:{archive}", "@web::").code == 0
    assert jackstay("-H", "@web", "run", "-d", "--name", "srv", "app:1", "serve").code == 0
    return jackstay


def test_inspect_on_one_host_is_dockers_bare_array(loaded: Any) -> None:
    documents = loaded("-H", "web1", "inspect", "srv", "app:1").json
    assert [document.get("RepoTags") for document in documents] == [None, ["app:1"]]
    assert loaded("-H", "web1", "inspect", "--format", "{{.State.Status}} {{json .Config.Cmd}}", "srv").out == (
        'running ["serve"]\n'
    )


def test_inspect_on_several_hosts_is_an_element_a_host(loaded: Any) -> None:
    elements = loaded("-H", "web[1-2]", "inspect", "srv").json
    assert [(item["host"], item["data"][0]["State"]["Status"]) for item in elements] == [
        ("web1", "running"),
        ("web2", "running"),
    ]


def test_inspect_of_nothing(loaded: Any) -> None:
    result = loaded("-H", "web1", "inspect", "srv", "nothing")
    assert result.code == 1
    assert len(result.json) == 1  # what was found is shown
    assert "no container, image, network or volume is called 'nothing'" in result.err
    assert loaded("-H", "web1", "volume", "create", "data").code == 0
    found = loaded("-H", "web1", "inspect", "app:1", "data", "bridge").json
    assert [document.get("Name") for document in found] == [None, "data", "bridge"]
    assert loaded("-H", "web1", "inspect", "--type", "network", "data").code == 1
    assert "not container, image, network or volume" in loaded("-H", "web1", "inspect", "--type", "x", "srv").err


def test_format_has_dockers_short_form(loaded: Any) -> None:
    assert loaded("-H", "web1", "inspect", "-f", "{{.Host}}", "srv").out == "web1\n"
    assert loaded("-H", "web1", "info", "-f", "{{.Host}}").out == "web1\n"


def test_exec_folds_what_is_the_same(loaded: Any) -> None:
    result = loaded("-H", "@web", "exec", "srv", "echo", "hi")
    assert (result.code, result.out) == (0, "---------------\nweb[1-3] (3)\n---------------\nhi\n")
    result = loaded("-H", "@web", "exec", "--no-fold", "srv", "hostname")
    assert sorted(result.out.splitlines()) == ["web1: web1", "web2: web2", "web3: web3"]
    result = loaded("-H", "@web", "exec", "srv", "err", "oops")
    assert sorted(result.err.splitlines()) == ["web1: oops", "web2: oops", "web3: oops"]


def test_exec_exit_codes(loaded: Any) -> None:
    assert loaded("-H", "web1", "exec", "srv", "exit", "9").code == 9
    assert loaded("-H", "web1", "exec", "srv", "missing").code == 127
    assert loaded("-H", "web1", "exec", "nothing", "true").code == 125
    assert loaded("-H", "down", "exec", "srv", "true").code == 125
    result = loaded("-H", "@web", "exec", "srv", "exit", "9")
    assert result.code == 1
    assert "Error: web2: the command ended with exit code 9" in result.err


def test_exec_as_json(loaded: Any) -> None:
    elements = loaded("-H", "web[1-2]", "--json", "exec", "srv", "hostname").json
    assert [item["data"] for item in elements] == [
        [{"ExitCode": 0, "Stdout": "web1\n", "Stderr": ""}],
        [{"ExitCode": 0, "Stdout": "web2\n", "Stderr": ""}],
    ]
    (failed,) = loaded("-H", "web1", "--json", "exec", "srv", "exit", "4").json
    assert failed["data"] == [{"ExitCode": 4, "Stdout": "", "Stderr": ""}]


def test_much_output_is_not_kept_for_folding(loaded: Any) -> None:
    result = loaded("-H", "web[1-2]", "exec", "srv", "big", str(3 << 20))
    assert result.code == 0
    lines = result.out.splitlines()
    assert {line[:6] for line in lines} == {"web1: ", "web2: "}
    assert len(lines) == 96


def test_exec_in_the_background(loaded: Any) -> None:
    assert loaded("-H", "web1", "exec", "-d", "srv", "sleep", "9").code == 0


def test_interactive_is_for_one_host(loaded: Any) -> None:
    for arguments in (["run", "-it", "app:1"], ["run", "-i", "app:1"], ["exec", "-it", "srv", "sh"], ["attach", "srv"]):
        result = loaded("-H", "@web", *arguments)
        assert result.code == 2, arguments
        assert "3" in result.err


def test_a_terminal_must_be_one(loaded: Any) -> None:
    result = loaded("-H", "web1", "run", "-it", "app:1", "sh")
    assert result.code == 2
    assert "not a terminal" in result.err


def test_destroying_on_several_hosts_needs_a_yes(loaded: Any) -> None:
    for arguments in (
        ["rm", "-f", "srv"],
        ["rmi", "app:1"],
        ["image", "prune"],
        ["volume", "prune"],
        ["volume", "rm", "x"],
    ):
        result = loaded("-H", "@web", *arguments)
        assert result.code == 2, arguments
        assert "on 3 hosts (web[1-3])" in result.err
        assert "--yes" in result.err
    assert loaded("-H", "@web", "ps", "-q").out.count("\n") == 3
    result = loaded("-H", "@web", "rm", "-f", "--yes", "srv")
    assert (result.code, result.out) == (0, "web1: srv\nweb2: srv\nweb3: srv\n")
    assert loaded("-H", "web1", "rmi", "app:1").code == 0  # one host is not asked


def test_what_succeeded_is_told_beside_what_failed(loaded: Any) -> None:
    result = loaded("-H", "web1", "rm", "nothing", "srv", "neither")
    assert result.code == 1
    assert "no container nothing" in result.err
    assert "no container neither" in result.err


def test_what_is_not_there_needs_no_removal_by_force(loaded: Any) -> None:
    result = loaded("-H", "web1", "rm", "-f", "nothing", "srv", "neither")
    assert (result.code, result.out) == (0, "srv\n")
    assert result.err == "Error: web1: no such container: nothing\nError: web1: no such container: neither\n"
    assert loaded("-H", "web1", "--json", "rm", "-f", "nothing").json[0]["data"] == []


def test_jsonl_tells_objects_then_outcomes(loaded: Any) -> None:
    lines = [json.loads(line) for line in loaded("-H", "web1,down", "--jsonl", "ps").out.splitlines()]
    assert {"host", "data"} in [set(line) for line in lines]
    outcomes = {line["host"]: line["outcome"] for line in lines if "outcome" in line}
    assert outcomes == {"web1": "ok", "down": "unreachable"}


def test_ps_json_has_the_envelope_also_when_empty(loaded: Any) -> None:
    assert loaded("-H", "web1", "rm", "-f", "srv").code == 0
    assert loaded("-H", "web1", "ps", "--json").json == [
        {"host": "web1", "ok": True, "outcome": "ok", "error": None, "data": []}
    ]


def test_format(loaded: Any) -> None:
    assert loaded("-H", "web[1-2]", "ps", "--format", "{{.Host}} {{.Names}}").out == "web1 srv\nweb2 srv\n"
    result = loaded("-H", "web1", "ps", "--format", "{{.Name}}")
    assert result.code == 2
    assert result.err.startswith(
        'Error: --format: unknown field .Name, did you mean .Names? at character 3 (".Name}}")'
    )
    assert loaded("-H", "web1", "ps", "--format", "{{range .}}").code == 2


def test_lifecycle(loaded: Any) -> None:
    for verb, state in (("pause", "paused"), ("unpause", "running"), ("stop", "exited"), ("restart", "running")):
        assert loaded("-H", "web1", verb, "srv").out == "srv\n"
        assert loaded("-H", "web1", "ps", "-a", "--format", "{{.State}}").out == f"{state}\n"
    assert loaded("-H", "web1", "stop", "-t", "3", "srv").code == 0
    assert loaded("-H", "web1", "wait", "srv").code == 143
    assert loaded("-H", "web1", "kill", "-s", "HUP", "srv").code == 0
    assert loaded("-H", "web1", "rename", "srv", "srv2").out == ""
    assert loaded("-H", "web1", "start", "srv2").out == "srv2\n"
    assert loaded("-H", "web1", "commit", "-c", 'CMD ["x"]', "srv2", "app:2").out == "sha256:" + "c" * 64 + "\n"
    assert loaded("-H", "web1", "tag", "app:1", "other:3").code == 0
    assert loaded("-H", "web1", "images", "--format", "{{.Repository}}:{{.Tag}}").out == "app:1\nother:3\n"
    assert loaded("-H", "web1", "images", "other", "-q").out.count("\n") == 1


def test_create_then_start_attached(loaded: Any, tmp_path: Path) -> None:
    file = tmp_path / "id"
    result = loaded("-H", "web1", "create", "--name", "job", "--cidfile", str(file), "app:1", "echo", "done")
    assert result.code == 0
    assert file.read_text() == result.out.strip()
    assert loaded("-H", "web1", "create", "--cidfile", str(file), "app:1").code == 2
    assert loaded("-H", "web1", "start", "-a", "job").out == "done\n"
    assert loaded("-H", "@web", "run", "-d", "--cidfile", str(tmp_path / "x"), "app:1").code == 2
    assert loaded("-H", "web1", "run", "-d", "--pull", "never", "--cidfile", str(tmp_path / "y"), "nothere").code == 125
    assert not (tmp_path / "y").exists()


def test_names_taken_and_warnings(loaded: Any) -> None:
    result = loaded("-H", "web1", "run", "-d", "--name", "srv", "app:1")
    assert result.code == 125
    assert "Error: web1: the name srv is taken\nHint: use --replace, or another name\n" in result.err
    result = loaded("-H", "web1", "run", "-d", "--privileged", "--name", "srv", "--replace", "app:1")
    assert result.code == 0
    assert "WARNING: web1: privileged is dangerous" in result.err
    for verb in (["create"], ["run", "-d"]):
        (element,) = loaded("-H", "web1", "--json", *verb, "--privileged", "app:1").json
        assert element["data"][0]["Warnings"] == ["privileged is dangerous"]


def test_save_is_whole_or_not_there(loaded: Any, tmp_path: Path) -> None:
    file = tmp_path / "out.tar"
    result = loaded("-H", "web1", "save", "-o", str(file), "--format", "oci", "--compress", "zstd", "app:1")
    assert (result.code, file.read_text()) == (0, "oci\nzstd\napp:1\n")
    assert loaded("-H", "web1", "save", "-o", str(tmp_path / "no.tar"), "nothere").code == 1
    assert [path.name for path in tmp_path.glob("*.tar*")].count("out.tar") == 1
    assert not list(tmp_path.glob("no.tar*"))
    assert loaded("-H", "@web", "save", "-o", str(file), "app:1").code == 2
    link = tmp_path / "link.tar"
    link.symlink_to(file)
    assert loaded("-H", "web1", "save", "-o", str(link), "app:1").code == 0
    assert link.is_symlink()
    assert file.read_text() == "docker\nnone\napp:1\n"
    assert loaded("-H", "web1", "save", "-o", str(tmp_path), "app:1").code == 2


def test_what_is_no_file_is_written_to_and_stays(loaded: Any, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    assert loaded("-H", "web1", "save", "-o", str(fifo), "app:1").code == 0
    assert os.read(reader, 100) == b"docker\nnone\napp:1\n"
    os.close(reader)
    assert fifo.is_fifo()
    assert [path.name for path in tmp_path.iterdir() if "fifo" in path.name] == ["fifo"]


def test_saving_by_copy(loaded: Any, tmp_path: Path) -> None:
    file = tmp_path / "out.tar"
    assert loaded("-H", "web1", "save", "app:1").out == "docker\nnone\napp:1\n"
    assert loaded("copy", "web1::app:1", f"oci-archive:{file}").code == 0
    assert file.read_text() == "oci\n\ndocker.io/library/app:1\n"
    assert loaded("copy", "web1::app:1", "-").out == "docker\n\ndocker.io/library/app:1\n"


def test_copy_renames_and_refuses(loaded: Any) -> None:
    assert loaded("copy", "web1::app:1", "web2::team/app:2").code == 0
    assert "team/app" in loaded("-H", "web2", "images").out
    plan = loaded("copy", "--plan", "web1::app:1", "web2::", "web3::")
    assert [line.split()[:2] for line in plan.out.splitlines()] == [
        ["HOST", "IMAGE"],
        ["web2", "app:1"],
        ["web3", "app:1"],
    ]
    for arguments, words in (
        (["web1::app:1"], "at least one destination"),
        (["web[1-2]::app:1", "web3::"], "one host"),
        (["web1::", "web2::"], "names no image"),
        (["web1::app:1", "web2::a", "web3::b"], "different names"),
        (["-H", "web1", "web1::app:1", "web2::"], "not with -H"),
        (["--all", "web1::app:1", "web2::"], "either --all"),
        (["web1::app:1", "web2::", "docker-archive:x"], "only destination"),
        (["app:1", "web2::"], "HOSTS::IMAGE"),
    ):
        result = loaded("copy", *arguments)
        assert result.code == 2, arguments
        assert words in result.err
    for end in ("docker-daemon:app:1", "web1::docker-daemon:app"):
        result = loaded("copy", end, "web2::")
        assert result.code == 1
        assert "comes later" in result.err
    result = loaded("copy", "web1::nothere", "web2::")
    assert (result.code, result.err) == (1, "Error: web1: no image nothere\n")
    assert loaded("copy", "down::app:1", "web2::").code == 4


def test_load_from_standard_input(jackstay: Any, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = os.dup(0)
    try:
        with archive.open("rb") as file:
            os.dup2(file.fileno(), 0)
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        assert jackstay("-H", "web1", "load").out == "Loaded image: app:1\n"
    finally:
        os.dup2(kept, 0)
        os.close(kept)


def test_volumes_networks_and_the_system(loaded: Any) -> None:
    assert loaded("-H", "web1", "volume", "create", "--label", "a=1", "data").out == "data\n"
    assert loaded("-H", "web1", "volume", "ls").out == "DRIVER   VOLUME NAME\nlocal    data\n"
    (document,) = loaded("-H", "web1", "volume", "inspect", "data").json
    assert (document["Labels"], document["CreatedAt"]) == ({"a": "1"}, "2023-11-14T22:13:20Z")
    assert loaded("-H", "web1", "volume", "rm", "data").out == "data\n"
    assert loaded("-H", "web1", "volume", "rm", "data").code == 1
    assert loaded("-H", "web1", "volume", "prune", "-f").out.endswith("Total reclaimed space: 5MB\n")
    assert loaded("-H", "web1", "network", "ls").out.splitlines()[1].split() == ["b" * 12, "bridge", "bridge", "local"]
    assert loaded("-H", "web1", "network", "inspect", "bridge").json[0]["Name"] == "bridge"
    assert "Name: web1" in loaded("-H", "web1", "info").out
    assert loaded("-H", "@web", "info", "--format", "{{.Name}}").out == "web1\nweb2\nweb3\n"
    assert "crun 1.8.1" in loaded("-H", "web1", "version").out
    assert loaded("-H", "web1", "system", "df").out.splitlines()[1].split() == [
        "Images",
        "2",
        "1",
        "4MB",
        "1MB",
        "(25%)",
    ]
    assert loaded("-H", "web1", "history", "app:1").out.splitlines()[1].startswith("aaaaaaaaaaaa")
    assert loaded("host", "check", "web[1-2]").code == 0
    assert loaded("host", "check").code == 4


def test_logs(loaded: Any) -> None:
    result = loaded("-H", "web1", "logs", "-t", "--tail", "2", "srv")
    assert result.out == "2023-11-14T22:13:20.000000007Z from web1\n"
    assert result.err == "2023-11-14T22:13:20.000000006Z oops\n"
    assert loaded("-H", "@web", "logs", "nothing").code == 1
    (element,) = loaded("-H", "web1", "--json", "logs", "srv").json
    assert element["data"] == [{"Stdout": "one\nfrom web1\n", "Stderr": "oops\n"}]
    lines = [json.loads(line) for line in loaded("-H", "web1", "--jsonl", "logs", "srv").out.splitlines()]
    assert [line["data"]["Text"] for line in lines[:3]] == ["one\n", "oops\n", "from web1\n"]
    assert lines[3]["outcome"] == "ok"
    assert loaded("-H", "web1", "logs", "--tail", "x", "srv").code == 2


def test_hosts_are_added_and_removed(jackstay: Any, home: Path) -> None:
    assert jackstay("host", "add", "db1", "admin@192.0.2.9:2222", "--sudo").code == 0
    assert "db1" in jackstay("host", "ls").out
    assert jackstay("host", "ls", "db1", "--json").json[0]["data"][0]["Port"] == "2222"
    assert jackstay("host", "add", "db1").code == 2
    assert jackstay("host", "rm", "db1").code == 0
    assert jackstay("host", "rm", "db1").code == 2
    assert jackstay("host", "ls", "-q", "@web!web2").out == "web1\nweb3\n"
    assert jackstay("-H", "web11", "ps").code == 2


def test_last_failed_is_remembered(loaded: Any) -> None:
    assert loaded("-H", "web1,down", "ps").code == 4
    assert loaded("host", "ls", "-q", "--limit", "@last-failed").out == "down\n"
    assert loaded("-H", "web1,down", "ps", "--limit", "@last-failed").err.startswith("Error: down refused")
    assert loaded("-H", "@web", "ps").code == 0
    assert loaded("-H", "@web", "ps", "--limit", "@last-failed").code == 2


def test_stopping_early(loaded: Any) -> None:
    result = loaded("-H", "down,web1,web2", "--serial", "1", "--max-fail", "1", "ps", "--json")
    assert result.code == 5
    assert [item["outcome"] for item in result.json] == ["unreachable", "skipped", "skipped"]
