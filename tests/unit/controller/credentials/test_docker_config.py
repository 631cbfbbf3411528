"""docker's ``config.json``: whose credentials are in it, and what is left alone when it is written."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from jackstay.credentials.docker_config import HUB_KEY, DockerConfig, config_path, registry_of
from jackstay.errors import UsageError
from jackstay_oci.registry.tokens import Credential

SECRET = "pa:ss wörd"


def auth(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def written(tmp_path: Path, document: Any) -> Path:
    path = tmp_path / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        (HUB_KEY, "docker.io"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("https://registry-1.docker.io/v2/", "docker.io"),
        ("registry.example:5000", "registry.example:5000"),
        ("https://registry.example:5000", "registry.example:5000"),
        ("http://registry.example/v1/", "registry.example"),
        ("quay.io/team", None),
        ("", None),
    ],
)
def test_what_keys_mean(key: str, registry: str | None) -> None:
    assert registry_of(key) == registry


def test_where_it_is() -> None:
    assert config_path({"HOME": "/home/me"}) == Path("/home/me/.docker/config.json")
    assert config_path({"HOME": "/home/me", "DOCKER_CONFIG": "/etc/mine"}) == Path("/etc/mine/config.json")


def test_credentials_that_docker_wrote(tmp_path: Path) -> None:
    auths = {
        HUB_KEY: {"auth": auth("me", SECRET)},
        "https://old.example/v1/": {"auth": auth("old", "x\0\0"), "email": "old@example.com"},
        "plain.example": {"username": "you", "password": "y"},
        "token.example": {"auth": auth("robot", ""), "identitytoken": "TOKEN"},
        "quay.io/team": {"auth": auth("team", "z")},
        "kept.elsewhere.example": {},
    }
    config = DockerConfig.load(written(tmp_path, {"auths": auths}))
    assert config.credential("docker.io") == Credential("me", SECRET)
    assert config.credential("old.example") == Credential("old", "x")
    assert config.credential("plain.example") == Credential("you", "y")
    assert config.credential("token.example") == Credential("robot", "", "TOKEN")
    for registry in ("quay.io", "kept.elsewhere.example", "other.example"):
        assert config.credential(registry) is None


def test_what_is_stored_is_read_again_and_the_rest_stays(tmp_path: Path) -> None:
    old = {
        "auths": {"https://index.docker.io/v1/": {"auth": auth("other", "o")}, "docker.io": {"auth": auth("a", "b")}},
        "HttpHeaders": {"X": "ü"},
        "detachKeys": "ctrl-q",
        "plugins": {"x": {"y": 1}},
    }
    path = written(tmp_path, old)
    path.chmod(0o644)
    config = DockerConfig.load(path)
    config.store("docker.io", Credential("me", SECRET))
    config.store("registry.example:5000", Credential("robot", "unused", "TOKEN"))
    config.save()
    document = json.loads(path.read_text())
    assert document == old | {
        "auths": {
            HUB_KEY: {"auth": auth("me", SECRET)},
            "registry.example:5000": {"auth": auth("robot", ""), "identitytoken": "TOKEN"},
        }
    }
    assert path.stat().st_mode & 0o777 == 0o600
    again = DockerConfig.load(path)
    assert again.credential("docker.io") == Credential("me", SECRET)
    assert again.forget("docker.io")
    assert not again.forget("docker.io")
    again.save()
    assert list(json.loads(path.read_text())["auths"]) == ["registry.example:5000"]
    assert [each.name for each in tmp_path.iterdir()] == ["config.json"]


def test_a_new_file_is_made_in_a_folder_for_this_user(tmp_path: Path) -> None:
    path = tmp_path / ".docker" / "config.json"
    config = DockerConfig.load(path)
    config.store("registry.example", Credential("me", SECRET))
    config.save()
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_which_helper_is_asked(tmp_path: Path) -> None:
    document = {"credsStore": "all", "credHelpers": {"gcr.io": "gcloud", HUB_KEY: "hub", "none.example": ""}}
    config = DockerConfig.load(written(tmp_path, document))
    names = [config.helper(name) for name in ("gcr.io", "docker.io", "none.example", "other.example")]
    assert names == ["gcloud", "hub", "all", "all"]
    assert DockerConfig.load(tmp_path / "missing.json").helper("gcr.io") is None


@pytest.mark.parametrize(
    "document",
    [
        f'{{"auths": {{"x": {{"auth": "{SECRET}"',
        "[]",
        {"auths": []},
        {"auths": {"registry.example": SECRET}},
        {"credHelpers": {"x": 3}},
        {"credsStore": {}},
        "[" * 100_000,
    ],
)
def test_a_malformed_file_is_named_and_not_quoted(tmp_path: Path, document: Any) -> None:
    path = written(tmp_path, document)
    with pytest.raises(UsageError, match=r"config\.json: ") as error:
        DockerConfig.load(path)
    assert SECRET not in error.value.message + error.value.hint + repr(error.value.__cause__)


@pytest.mark.parametrize("entry", [{"auth": SECRET}, {"auth": base64.b64encode(b"nocolon").decode()}, {"auth": 3}])
def test_a_malformed_entry_is_told_when_it_is_wanted(tmp_path: Path, entry: dict[str, Any]) -> None:
    config = DockerConfig.load(written(tmp_path, {"auths": {"registry.example": entry}}))
    assert config.credential("other.example") is None
    with pytest.raises(UsageError, match=r"registry\.example") as error:
        config.credential("registry.example")
    assert SECRET not in error.value.message


def test_what_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        DockerConfig.load(tmp_path / "config.json")
    config = DockerConfig(Path("/proc/nothing/config.json"), {})
    with pytest.raises(UsageError, match="cannot be written"):
        config.save()
