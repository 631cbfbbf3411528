"""``jackstay secret`` and ``--secret``: what is sent, and that no value is printed."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from jackstay.cli.parsing.secrets import SecretSpec, parse_secret
from jackstay_oci.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("key", SecretSpec("key")),
        ("source=key", SecretSpec("key")),
        ("key,type=mount,target=k,uid=5,gid=6,mode=0400", SecretSpec("key", "mount", "k", 5, 6, 0o400)),
        ("type=env,src=key,target=KEY", SecretSpec("key", "env", "KEY")),
        ("key,mode=0", SecretSpec("key", mode=0)),
    ],
)
def test_secret(text: str, secret: SecretSpec) -> None:
    assert parse_secret(text) == secret


@pytest.mark.parametrize(
    "text",
    ["", "type=env", "key,other", "key,x=1", "key,source=two", "key,type=file", "key,type=env,mode=0400",
     "key,uid=root", "key,mode=9", "key,mode=01777", "key,target=", "key,uid=2147483648"],
)  # fmt: skip
def test_secret_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--secret"):
        parse_secret(text)


def test_a_secrets_life(jackstay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "value"
    file.write_bytes(b"correct horse\x00\n")
    made = jackstay("-H", "web1", "secret", "create", "--label", "a=1", "db", str(file))
    assert (made.code, made.out) == (0, "5" * 25 + "\n")
    assert jackstay("-H", "web1", "secret", "create", "db", str(file)).code == 1
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"v" * 512000)))
    assert jackstay("-H", "web1", "secret", "create", "--replace", "-l", "a=1", "db", "-").code == 0
    title, line = jackstay("-H", "web1", "secret", "ls").out.splitlines()
    assert title.split() == ["ID", "NAME", "CREATED", "UPDATED"]
    assert line.split()[:2] == ["5" * 25, "db"]
    assert jackstay("-H", "web1", "secret", "ls", "-q").out == "5" * 25 + "\n"
    assert jackstay("-H", "web1", "secret", "list", "--format", '{{.Name}} {{.Label "bytes"}}').out == "db 512000\n"
    assert jackstay("-H", "web1", "secret", "inspect", "db").json == [
        {
            "ID": "5" * 25,
            "CreatedAt": "2023-11-14T22:13:20Z",
            "UpdatedAt": "2023-11-14T22:13:20Z",
            "Spec": {"Name": "db", "Labels": {"a": "1", "bytes": "512000"}},
        }
    ]
    refused = jackstay("-H", "@web", "secret", "rm", "db")
    assert (refused.code, "on 3 hosts" in refused.err) == (2, True)
    assert jackstay("-H", "web1", "secret", "rm", "db").out == "db\n"
    assert jackstay("-H", "web1", "secret", "rm", "db").code == 1
    assert jackstay("-H", "web1", "secret", "rm", "-f", "db").code == 0


def test_values_that_are_refused_are_sent_nowhere(
    jackstay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").touch()
    refused = jackstay("-H", "web1", "secret", "create", "db", str(tmp_path / "empty"))
    assert (refused.code, "must have 1 to 512000 bytes" in refused.err) == (2, True)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"v" * 512001)))
    refused = jackstay("-H", "web1", "secret", "create", "db", "-")
    assert (refused.code, "vvv" in refused.err) == (2, False)
    missing = jackstay("-H", "web1", "secret", "create", "db", str(tmp_path / "none"))
    assert "none cannot be read: No such file or directory" in missing.err
    assert jackstay("-H", "web1", "secret", "ls", "-q").out == ""


def test_a_missing_secret_is_not_taken_for_a_missing_image(jackstay: Any, archive: Path) -> None:
    assert jackstay("copy", f"docker-archive:{archive}", "web1::").code == 0
    failed = jackstay("-H", "web1", "run", "--secret", "image-key", "app:1", "serve")
    assert (failed.code, "secret image-key not found" in failed.err) == (125, True)
    assert "bring the image there" not in failed.err
    assert "pull" not in failed.err
