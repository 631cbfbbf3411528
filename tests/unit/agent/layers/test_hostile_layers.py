"""More hostile layers, beside those of `test_defences`: each attack succeeds when the test switches its defence off.

Root needed.
"""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.errors import InvalidArchive, LimitExceeded
from jackstay_agent.kernel import syscalls
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.metadata.database import Database
from jackstay_oci.compression import zstd
from jackstay_oci.tar.entries import Kind
from tests.unit.agent.layers.drivers import DRIVERS, root_for
from tests.unit.agent.layers.layer_tars import blob, file, folder, link, node, symlink, tar
from tests.unit.agent.layers.test_defences import Unpack


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What lies beside the target: a folder with a secret, which is also the layer below in what `read` shows."""
    (tmp_path / "outside/shown").mkdir(parents=True)
    (tmp_path / "outside/shown/old").write_text("old")
    (tmp_path / "outside/secret").write_text("secret")
    return tmp_path / "outside"


async def test_an_absolute_name_begins_at_the_target(unpack: Unpack, outside: Path) -> None:
    data = tar([file(f"{outside}/new", b"x")])
    await unpack(data)
    assert (outside.parent / f"fs/{outside}/new").read_bytes() == b"x"
    await unpack(data, off=("names",), target=outside.parent / "fs2")
    await unpack(data, off=("names", "resolve"), target=outside.parent / "fs3")  # the child's root is the target
    assert not (outside / "new").exists()
    await unpack(data, off=("names", "resolve", "root"), target=outside.parent / "fs4")
    assert (outside / "new").read_bytes() == b"x"


@pytest.mark.parametrize("way", ["{outside}", "../outside", "a/../../outside", "/proc/self/root{outside}"])
@pytest.mark.parametrize("what", ["whiteout", "opaque", "device", "link target"])
async def test_no_kind_of_entry_goes_through_a_link(unpack: Unpack, outside: Path, way: str, what: str) -> None:
    """CVE-2021-32760, CVE-2025-47290: not files only. A mode, a whiteout, a hard link do their own harm."""
    entry = {
        "whiteout": file("way/.wh.new"),
        "opaque": file("way/.wh..wh..opq"),
        "device": node("way/new", Kind.CHARACTER, 1, 3),
        "link target": link("mine", "way/secret", mode=0o4777),
    }[what]
    data = tar([folder("a"), symlink("way", way.format(outside=outside)), entry])
    before = _facts(outside)
    try:
        await unpack(data)
    except InvalidArchive:
        assert what == "link target"  # which the layer does not have
    assert _facts(outside) == before
    await _try(unpack, data, outside.parent / "fs2", ("resolve", "root"))
    assert _facts(outside) != before


async def test_what_was_replaced_is_not_written_to(unpack: Unpack, outside: Path) -> None:
    """A folder that is kept open is not the folder of that name any more once a link has taken its place."""
    data = tar([folder("a"), file("a/x", b"1"), symlink("a", "b"), folder("b"), file("a/y", b"2")])
    await unpack(data)
    assert (outside.parent / "fs/b/y").read_bytes() == b"2"
    try:
        await unpack(data, off=("stale",), target=outside.parent / "fs2")
    except InvalidArchive:
        return  # it was removed
    raise AssertionError("a file went into a folder that has no name")


@pytest.mark.parametrize("attribute", ["opaque", "metacopy", "whiteout"])
async def test_attributes_that_overlay_reads_come_from_no_layer(
    unpack: Unpack, outside: Path, attribute: str
) -> None:  # fmt: skip
    """``trusted.overlay.redirect`` is in `test_defences`."""
    steer = {
        "opaque": [folder("shown", xattrs={b"trusted.overlay.opaque": b"y"})],
        "metacopy": [
            file("mine", mode=0o777, xattrs={b"trusted.overlay.metacopy": b"", b"trusted.overlay.redirect": b"/secret"})
        ],
        # Overlay's other form of a whiteout: an empty file with an attribute, in a folder with one.
        "whiteout": [
            folder("shown", xattrs={b"trusted.overlay.opaque": b"x"}),
            file("shown/old", xattrs={b"trusted.overlay.whiteout": b""}),
        ],
    }[attribute]
    harmless = {"opaque": "shown/old=old", "metacopy": "mine=", "whiteout": "shown/old="}[attribute]
    harmful = {"opaque": "shown/old gone", "metacopy": "mine=secret", "whiteout": "shown/old gone"}[attribute]
    path = harmful.partition("=")[0].removesuffix(" gone")
    await unpack(tar(steer))
    assert _read(outside.parent, "fs:outside", path) == harmless
    await unpack(tar(steer), off=("attributes",), target=outside.parent / "fs2")
    assert _read(outside.parent, "fs2:outside", path) == harmful


async def test_a_label_of_the_hosts_security_module_is_dropped(unpack: Unpack, outside: Path) -> None:
    labels = {b"security.selinux": b"system_u:object_r:shadow_t:s0", b"security.SMACK64": b"_", b"trusted.x": b"1"}
    data = tar([file("a", xattrs=labels)])
    await unpack(data)
    assert os.listxattr(outside.parent / "fs/a") == []
    await unpack(data, off=("attributes",), target=outside.parent / "fs2")
    assert "security.selinux" in os.listxattr(outside.parent / "fs2/a")


async def test_a_sparse_file_of_a_terabyte_in_a_kilobyte(unpack: Unpack, outside: Path) -> None:
    """CVE-2025-58183 and its kin: the size that the header says counts, not what is stored."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as writer:
        info = tarfile.TarInfo("s")
        info.pax_headers = {"GNU.sparse.size": str(1 << 40), "GNU.sparse.map": f"{1 << 40},0"}
        writer.addfile(info)
    with pytest.raises(LimitExceeded, match="layer_bytes"):
        await unpack(out.getvalue())
    assert not (outside.parent / "fs/s").exists()
    await unpack(out.getvalue(), limits=Limits(layer_bytes=1 << 41), target=outside.parent / "fs2")
    assert (outside.parent / "fs2/s").stat().st_size == 1 << 40


async def test_a_bomb_in_zstd(unpack: Unpack, outside: Path) -> None:
    bomb = zstd.compress(tar([file("a", bytes(300 << 20))]))
    with pytest.raises(LimitExceeded, match="compression_ratio"):
        await unpack(bomb, compression="zstd")
    await unpack(bomb, compression="zstd", limits=Limits(compression_ratio=100_000), target=outside.parent / "fs2")
    assert (outside.parent / "fs2/a").stat().st_size == 300 << 20


async def test_a_header_that_would_fill_the_memory(unpack: Unpack, outside: Path) -> None:
    """CVE-2017-14992: a record of a PAX header is held in memory, and as large as its header says."""
    value = bytes(3 << 20)
    data = tar([file("a", xattrs={b"user.large": value})])
    with pytest.raises(LimitExceeded, match="header_bytes"):
        await unpack(data)
    assert not (outside.parent / "fs/a").exists()
    with pytest.raises(Exception, match=r"'a'"):  # it was read, and then no filesystem takes it
        await unpack(data, limits=Limits(header_bytes=8 << 20), target=outside.parent / "fs2")


async def test_more_entries_than_the_disk_has_inodes_for(unpack: Unpack, outside: Path) -> None:
    data = tar([file(f"f{number}") for number in range(500)])
    with pytest.raises(LimitExceeded, match="layer_entries"):
        await unpack(data, limits=Limits(layer_entries=100))
    assert len(os.listdir(outside.parent / "fs")) == 100
    await unpack(data, target=outside.parent / "fs2")
    assert len(os.listdir(outside.parent / "fs2")) == 500


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that every user of the machine may enter."""
    with tempfile.TemporaryDirectory(prefix="jackstay-open-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.parametrize("driver", DRIVERS)
async def test_no_user_of_the_host_runs_a_set_user_id_program_of_an_image(
    open_to_all: Path, database: Database, jobs: Spawner, mounts: Mounts, driver: str
) -> None:
    """CVE-2021-41103: what lies on the host's disk with an image's modes is for root alone."""
    with root_for(driver, open_to_all / "layers") as root:
        layers = DRIVERS[driver](str(root), database, jobs, mounts, Limits())
        made = await layers.prepare("extract-1", None)
        program = blob(tar([file("set", b"#!\n", mode=0o4755)]))
        await layers.apply("extract-1", program, "none")
        os.close(program)
        path = root / f"snapshots/{made.id}/fs/set"
        assert stat.S_IMODE(path.stat().st_mode) == 0o4755
        assert _seen_by_another(path) == "PermissionError"
        for above in list(path.parents)[1:4]:
            above.chmod(0o755)
        assert _seen_by_another(path) == "0o4755"


def _seen_by_another(path: Path) -> str:
    """The mode of *path*, or the error, for the user 65534."""
    look = f"""
import os
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
try: print(oct(os.stat({str(path)!r}).st_mode & 0o7777))
except OSError as error: print(type(error).__name__)
"""
    return subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.strip()


async def _try(unpack: Unpack, data: bytes, target: Path, off: tuple[str, ...]) -> None:
    try:
        await unpack(data, off=off, target=target)
    except InvalidArchive:
        pass


def _facts(folder: Path) -> list[object]:
    """All that an attack could change of the folder and what is in it."""
    return [
        (path.name, status.st_mode, status.st_nlink, status.st_rdev, os.listxattr(path))
        for path in [folder, *sorted(folder.iterdir())]
        for status in [os.lstat(path)]
    ]


def _read(work: Path, lower: str, path: str) -> str:
    """What a container on the stack *lower* would find as *path*, where the kernel has every feature of overlay on."""
    at = work / "merged"
    at.mkdir(exist_ok=True)
    stack = ":".join(str(work / each) for each in lower.split(":"))
    options = f"lowerdir={stack},redirect_dir=on,metacopy=on"
    syscalls.mount("overlay", str(at), "overlay", syscalls.MS_RDONLY, options)
    try:
        return f"{path}={(at / path).read_text()}" if (at / path).exists() else f"{path} gone"
    finally:
        syscalls.umount(str(at))
