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
from hypothesis import find, given, settings
from hypothesis import strategies as st

from jackstay_agent.config import Limits
from jackstay_agent.errors import Error
from jackstay_agent.kernel import syscalls
from jackstay_agent.layers import apply as applying
from jackstay_agent.layers.tree import Tree
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
_layers = st.lists(_entries, min_size=1, max_size=12)


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

    def unpack(self, layer: list[Entry]) -> bool:
        """Whether anything outside of the target is another than it was."""
        before = self._facts()
        data = tar((self._at_home(entry), b"evil!" * (entry.kind is Kind.FILE)) for entry in layer)
        opened, packed = os.open(self.target, os.O_RDONLY | os.O_DIRECTORY), blob(data)
        bounds = limits.Limits(**applying.bounds_of(Limits()))
        tree = Tree(opened)
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


def harmed(folder: Path, layer: list[Entry]) -> bool:
    scene = Scene(folder / f"scene-{next(_numbers)}")
    try:
        return scene.unpack(layer)
    finally:
        shutil.rmtree(scene.folder)


@examples(100)
@given(layer=_layers)
def test_nothing_outside_changes(tmp_path: Path, layer: list[Entry]) -> None:
    assert not harmed(tmp_path, layer)


def test_without_the_kernels_help_something_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "RESOLVE_IN_ROOT", 0)
    attack = find(_layers, lambda layer: harmed(tmp_path, layer), settings=settings(max_examples=2000, deadline=None))
    assert Kind.SYMLINK in {entry.kind for entry in attack} or Kind.HARDLINK in {entry.kind for entry in attack}
