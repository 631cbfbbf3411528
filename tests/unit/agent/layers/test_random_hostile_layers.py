"""Whatever a layer says, nothing outside of its target changes: random layers of names and links that lead out.

In this process, whose root is the host's: so only the kernel's resolving below the target is looked at, which in the
agent has the child's own root behind it. Root needed.
"""

from __future__ import annotations

import itertools
import os
import shutil
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.config import Limits
from jackstay_agent.errors import Error
from jackstay_agent.kernel import syscalls
from jackstay_agent.layers import apply as applying
from jackstay_agent.layers.tree import Tree
from jackstay_agent.layers.whiteouts import Together
from jackstay_oci import limits
from jackstay_oci.tar.entries import Entry, Kind
from tests.effort import examples
from tests.unit.agent.layers.layer_tars import blob, tar

_numbers = itertools.count(1)
_parts = st.sampled_from(["a", "way", "outside", "secret", ".wh.secret", ".wh..wh..opq", ".", ""])
# None leads further up than `Scene` is deep, also link upon link: a breach must not reach the machine's own files.
_targets = st.sampled_from(["../outside", "OUTSIDE", "a", "..", "../..", "way", "/proc/self/rootOUTSIDE"])
_DEPTH = 40
_entries = st.builds(
    lambda parts, kind, target, mode: Entry(
        name="/".join(parts).encode() or b".",
        kind=kind,
        mode=mode,
        uid=7,
        size=5 if kind is Kind.FILE else 0,
        linkname=target.encode() if kind in (Kind.SYMLINK, Kind.HARDLINK) else b"",
        devmajor=1 if kind in (Kind.CHARACTER, Kind.BLOCK) else 0,
        devminor=3,
        xattrs={b"user.note": b"evil"} if kind in (Kind.FILE, Kind.DIRECTORY) else {},
    ),
    st.lists(_parts, min_size=1, max_size=4),
    st.sampled_from(
        [Kind.FILE, Kind.FILE, Kind.SYMLINK, Kind.SYMLINK, Kind.DIRECTORY, Kind.HARDLINK, Kind.CHARACTER, Kind.FIFO]
    ),
    st.one_of(_targets, st.lists(_parts, min_size=1, max_size=3).map("/".join)),
    st.sampled_from([0o644, 0o4777]),
)
_images = st.lists(st.lists(_entries, min_size=1, max_size=8), min_size=1, max_size=2)


class Scene:
    """A folder with a target in it, and beside that what must not change."""

    def __init__(self, folder: Path) -> None:
        at = folder.joinpath(*["d"] * _DEPTH)
        self.target = at / "fs"
        self.outside = at / "outside"
        self.target.mkdir(parents=True)
        self.outside.mkdir()
        (self.outside / "secret").write_text("secret")
        self.folder = folder

    def unpack(self, layer: list[Entry], *, whole: bool = False) -> bool:
        """Unpack it on what is there, which with *whole* is the layers below; whether anything outside changed."""
        before = self._facts()
        data = tar((self._at_home(entry), b"evil!" * (entry.kind is Kind.FILE)) for entry in layer)
        opened, packed = os.open(self.target, os.O_RDONLY | os.O_DIRECTORY), blob(data)
        bounds = limits.Limits(**applying.bounds_of(Limits()))
        tree = Tree(opened, whole=whole)
        try:
            applying.apply(tree, applying.source_of(packed, "none", bounds), bounds)
        except Error:
            pass
        finally:
            tree.close()
            os.close(opened)
            os.close(packed)
        return self._facts() != before

    def _at_home(self, entry: Entry) -> Entry:
        return Entry(
            **{name: getattr(entry, name) for name in entry.__struct_fields__}
            | {"linkname": entry.linkname.replace(b"OUTSIDE", os.fsencode(self.outside))}
        )

    def _facts(self) -> list[object]:
        found: list[object] = []
        for at, folders, files in os.walk(self.folder):
            if at == str(self.target):
                folders.clear()
                continue
            for path in sorted([at, *(os.path.join(at, name) for name in files)]):
                status = os.lstat(path)
                content = Path(path).read_bytes() if stat.S_ISREG(status.st_mode) else b""
                found.append((path, status.st_mode, status.st_uid, status.st_nlink * (at != path), content))
                found.append(os.listxattr(path, follow_symlinks=False))
        return found


def harmed(folder: Path, layers: list[list[Entry]], *, whole: bool = False) -> bool:
    scene = Scene(folder / f"scene-{next(_numbers)}")
    try:
        return sum(scene.unpack(layer, whole=whole) for layer in layers) > 0
    finally:
        shutil.rmtree(scene.folder)


@pytest.mark.parametrize("whole", [False, True])
@examples(40)
@given(layers=_images)
def test_nothing_outside_changes(tmp_path: Path, layers: list[list[Entry]], whole: bool) -> None:
    assert not harmed(tmp_path, layers, whole=whole)


WAY = Entry(name=b"way", kind=Kind.SYMLINK, linkname=b"../outside")
ATTACKS = {
    "file": [WAY, Entry(name=b"way/new", size=5)],
    "folder": [WAY, Entry(name=b"way/new", kind=Kind.DIRECTORY)],
    "absolute": [Entry(name=b"a", kind=Kind.SYMLINK, linkname=b"OUTSIDE"), Entry(name=b"a/secret", size=5)],
    "hard link": [WAY, Entry(name=b"a", kind=Kind.HARDLINK, linkname=b"way/secret", mode=0o4777)],
    "whiteout": [WAY, Entry(name=b"way/.wh.secret", size=5)],
}


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("attack", ATTACKS)
def test_without_the_kernels_help_something_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str, whole: bool
) -> None:
    """What random layers are made of is enough to do harm where nothing prevents it."""
    assert not harmed(tmp_path, [ATTACKS[attack]], whole=whole)
    monkeypatch.setattr(syscalls, "RESOLVE_IN_ROOT", 0)
    # In a whole tree each step is gone by itself, and what is not the layer's own is not linked to.
    monkeypatch.setattr(Together, "apart", True)
    monkeypatch.setattr(Together, "has", lambda _self, status: attack == "hard link")
    harmful = attack != "whiteout" or whole  # beside others it only hides, and what is there hides nothing
    assert harmed(tmp_path, [ATTACKS[attack]], whole=whole) == harmful
