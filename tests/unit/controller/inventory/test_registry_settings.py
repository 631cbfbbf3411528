"""What the machine's and the user's files say of registries."""

from __future__ import annotations

from pathlib import Path

import pytest

from jackstay.errors import UsageError
from jackstay.inventory import default_hosts
from jackstay.inventory.registry_settings import registry_settings
from jackstay_oci.registry.settings import RegistrySettings


def settings(tmp_path: Path, own: str = "", machine: str = "") -> RegistrySettings:
    config = tmp_path / ".config" / "jackstay" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(own)
    (tmp_path / "machine.toml").write_text(machine)
    return registry_settings({"HOME": str(tmp_path)}, tmp_path / "machine.toml")


def test_without_files_the_machines_folders_of_certificates_come_after_the_users(tmp_path: Path) -> None:
    found = registry_settings({"HOME": str(tmp_path)}, tmp_path / "none.toml")
    own = str(tmp_path / ".config/jackstay/certs.d")
    assert found == RegistrySettings(certs=(own, *RegistrySettings().certs))


def test_the_users_file_wins_over_the_machines(tmp_path: Path) -> None:
    machine = """
    [registries]
    mirrors = {"docker.io" = ["https://far.example"], "a.example" = ["https://a.mirror.example"]}
    plain_http = ["old.example:5000"]
    certs = ["/srv/certs"]
    """
    own = """
    host = "@web"
    [registries]
    mirrors = {"docker.io" = ["https://near.example", "https://far.example"]}
    plain_http = ["lab.example:5000", "old.example:5000"]
    """
    found = settings(tmp_path, own, machine)
    assert found.mirrors == {
        "docker.io": ("https://near.example", "https://far.example"),
        "a.example": ("https://a.mirror.example",),
    }
    assert found.plain_http == ("lab.example:5000", "old.example:5000")
    assert found.certs == (str(tmp_path / ".config/jackstay/certs.d"), "/srv/certs")
    assert settings(tmp_path, '[registries]\ncerts = ["/mine"]', machine).certs == ("/mine",)
    (tmp_path / "jackstay.toml").write_text("")
    assert default_hosts({"HOME": str(tmp_path)}, tmp_path).sets == ("local",)  # the file above has no host
    (tmp_path / ".config/jackstay/config.toml").write_text(own)
    assert default_hosts({"HOME": str(tmp_path)}, tmp_path).sets == ("@web",)


@pytest.mark.parametrize("text", ["[registries]\nmirror = {}", "registries = 3", "[registries]\nplain_http = [1]", "["])
def test_a_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"config\.toml: "):
        settings(tmp_path, text)
    with pytest.raises(UsageError, match=r"machine\.toml: "):
        settings(tmp_path, machine=text)
