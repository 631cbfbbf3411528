"""What the README shows works: its commands are run as they stand, on three hosts where it says forty."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.lab.archives import write_archive
from tests.lab.images import busybox_web
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop

pytestmark = pytest.mark.lab

README = Path(__file__).parents[2] / "README.md"
SMALLER = {"web[2-40]": "web[2-3]", "web7": "web3"}  # the lab has three hosts
ENDLESS = ("logs -f",)


def commands() -> list[str]:
    """The `jackstay` lines of the first console block, without their comments."""
    block = re.search(r"```console\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    text = block[1]
    for large, small in SMALLER.items():
        text = text.replace(large, small)
    lines = re.findall(r"^\$ (jackstay .*?)(?:\s+#.*)?$", text, re.MULTILINE)
    assert len(lines) >= 5
    return lines


def test_the_first_commands_of_the_readme(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    write_archive(tmp_path / "app.tar", [busybox_web(tmp_path, "app:42")])
    for command in commands():
        endless = any(word in command for word in ENDLESS)
        ran = subprocess.run(
            ["bash", "-c", f"timeout 3 {command}" if endless else command],
            cwd=tmp_path,
            env=laptop.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == (124 if endless else 0), f"{command}\n{ran.stdout}{ran.stderr}"
    listed = laptop.ok("-H", "@web", "ps", "--format", "{{.Host}} {{.Names}} {{.Image}}").lines
    assert listed == ["web1 app app:42", "web2 app app:42", "web3 app app:42"]


def test_the_inventory_of_the_readme(laptop: Laptop, tmp_path: Path) -> None:
    block = re.search(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    inventory = tmp_path / "hosts.toml"
    inventory.write_text(re.sub(r"^ {3}", "", block[1], flags=re.MULTILINE))
    listed = laptop.ok("--inventory", inventory, "host", "ls", "@web")
    assert "192.0.2.11" in listed.stdout
    assert "192.0.2.12" in listed.stdout
