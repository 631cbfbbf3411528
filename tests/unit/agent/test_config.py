"""The agent's configuration file: what it may say of registries, and that what means nothing is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from jackstay_agent.config import Config, load
from jackstay_agent.errors import InvalidArgument
from jackstay_oci.signatures.policy import SignedBy


def written(folder: Path, text: str) -> str:
    path = folder / "jackstayd.toml"
    path.write_text(text)
    return str(path)


def test_policies_of_registries(tmp_path: Path) -> None:
    text = """
        [registries]
        plain_http = ["registry.lan:5000"]
        [registries.policy]
        "*" = "reject"
        "docker.io" = "accept"
        "registry.example/team" = { keys = ["/etc/jackstay/team.pub"] }
    """
    found = load(written(tmp_path, text)).registries
    assert found.policy == {
        "*": "reject",
        "docker.io": "accept",
        "registry.example/team": SignedBy(keys=("/etc/jackstay/team.pub",)),
    }
    assert found.plain_http == ("registry.lan:5000",)
    assert Config().registries.policy == {}


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ('"*" = "refuse"', "refuse"),
        ('"*" = { keys = [] }', "no key is named"),
        ('"*" = { keys = ["team.pub"] }', "no whole path"),
        ('"*" = { key = ["/team.pub"] }', "key"),
        ('"httpd" = "reject"', "'httpd' is no registry and no repository in full"),
    ],
)
def test_what_is_no_policy_names_file_and_field(tmp_path: Path, policy: str, says: str) -> None:
    path = written(tmp_path, f"[registries.policy]\n{policy}\n")
    with pytest.raises(InvalidArgument, match=says) as raised:
        load(path)
    assert raised.value.message.startswith(f"{path}: ")
    assert "$.registries" in raised.value.message
