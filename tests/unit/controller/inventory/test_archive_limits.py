"""The user's own bounds on archives: read from the file, and kept by what reads archives."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from jackstay.copying.archive_source import ArchiveSource
from jackstay.errors import LimitExceeded, UsageError
from jackstay.inventory.archive_limits import archive_limits
from jackstay.library.importing import open_layer
from jackstay_oci.limits import DEFAULT_LIMITS

MAKE = Path(__file__).parent.parent / "oci_archive.py"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def write(home: dict[str, str], text: str) -> None:
    folder = Path(home["HOME"]) / ".config/jackstay"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(text)


def test_what_is_not_set_stays(home: dict[str, str]) -> None:
    assert archive_limits(home) == DEFAULT_LIMITS
    write(home, 'host = "web1"\n[limits]\nimages = 7\n')
    found = archive_limits(home)
    assert (found.images, found.entries) == (7, DEFAULT_LIMITS.entries)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("limits = 3", "[limits]"), ("[limits]\nimages = 'many'", "[limits]"), ("[limits]\nimages = 0", "images is 0"),
        ("[limits]\nimage = 1", "no bound is called 'image'"), ("[limits", "config.toml"),
    ],
)  # fmt: skip
def test_what_is_refused(home: dict[str, str], text: str, told: str) -> None:
    write(home, text)
    with pytest.raises(UsageError) as caught:
        archive_limits(home)
    assert told in caught.value.message
    assert "config.toml: " in caught.value.message


async def test_archives_and_imported_tars_are_held_to_them(home: dict[str, str], tmp_path: Path) -> None:
    archive = runpy.run_path(str(MAKE))["make_archive"](tmp_path / "two.tar", {"a:1": b"a", "b:1": b"b"})
    write(home, "[limits]\nimages = 2\n")
    await (await ArchiveSource.open(str(archive), "two.tar", home)).close()
    write(home, "[limits]\nimages = 1\n")
    with pytest.raises(LimitExceeded, match="limit images") as caught:
        await ArchiveSource.open(str(archive), "two.tar", home)
    assert "config.toml" in caught.value.hint
    write(home, "[limits]\ntotal_bytes = 1000\n")
    with pytest.raises(LimitExceeded, match="limit total_bytes") as caught:
        async with open_layer(str(archive), home):
            raise AssertionError("it was taken")
    assert "config.toml" in caught.value.hint
