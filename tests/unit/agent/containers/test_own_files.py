"""Whom a container that runs asks for names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jackstay_agent.containers import own_files
from jackstay_agent.containers.settings import Settings
from jackstay_agent.networks.attachment import Attachment

SETTINGS = Settings(image="i", name="n", hostname="h", dns=("192.0.2.53",), dns_search=("example.org",))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The resolv.conf of a container that was started in a network without names."""
    own_files.write(str(tmp_path), SETTINGS, Attachment("/netns", "bridge"))
    return tmp_path / "resolv.conf"


def nameservers(file: Path) -> list[str]:
    return [line.split()[1] for line in file.read_text().splitlines() if line.startswith("nameserver")]


def test_the_file_that_is_mounted_is_written_and_not_replaced(file: Path, tmp_path: Path) -> None:
    mounted = os.open(file, os.O_RDONLY)
    try:
        assert nameservers(file) == ["192.0.2.53"]
        own_files.ask(str(tmp_path), SETTINGS, ["10.71.0.1", "10.72.0.1", "10.73.0.1"])
        text = os.pread(mounted, 1000, 0).decode()
        assert nameservers(file) == ["10.71.0.1", "10.72.0.1", "10.73.0.1"]
        assert text == file.read_text()
        assert "search example.org" in text
        own_files.ask(str(tmp_path), SETTINGS, [])  # it has left them; the text is shorter now
        assert nameservers(file) == ["192.0.2.53"]
        assert os.pread(mounted, 1000, 0).decode() == file.read_text()
    finally:
        os.close(mounted)


@pytest.mark.parametrize("changed", ["nameserver 203.0.113.1\n", "", "{}nameserver 203.0.113.1\n"])
def test_what_the_container_has_written_stays(file: Path, tmp_path: Path, changed: str) -> None:
    text = changed.format(file.read_text())
    file.write_text(text)
    own_files.ask(str(tmp_path), SETTINGS, ["10.71.0.1"])
    assert file.read_text() == text


def test_one_that_an_earlier_agent_has_started_keeps_its_own(file: Path, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf.given").unlink()
    own_files.ask(str(tmp_path), SETTINGS, ["10.71.0.1"])
    assert nameservers(file) == ["192.0.2.53"]
