"""A folder that a layer is unpacked into: one method a kind of entry.

Guarantees: every name is resolved by the kernel below the root (openat2, RESOLVE_IN_ROOT), so that links in the layer
lead around inside it as they will in the container; the last part of a name is never followed; what an overlay
interprets (character device 0:0, ``trusted.overlay.*``) comes from whiteouts only. A layer sees of itself what it has
made, and nothing of the layers below, also where they lie in the same folder: so a layer gives the same tree whatever
driver keeps it. Leaves to `apply`: where entries come from, bounds, and what an `OSError` means; to `whiteouts`: how
what is below is hidden.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict, deque
from collections.abc import Callable

from jackstay_agent.errors import InvalidArchive
from jackstay_agent.kernel import syscalls
from jackstay_agent.layers import xattrs
from jackstay_agent.layers.deleting import delete
from jackstay_agent.layers.folder_times import FolderTimes
from jackstay_agent.layers.names import shown, split
from jackstay_agent.layers.whiteouts import Apart, Together, Whiteouts
from jackstay_oci.tar.entries import Entry, Kind

_PATH = os.O_PATH | os.O_DIRECTORY
_READ = os.O_RDONLY | os.O_DIRECTORY
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FOLDERS = 64
_PLAIN = 0o777  # of a mode: what no chown and no write takes away
_LINKS = 40  # as the kernel bounds them
_NODES = {Kind.CHARACTER: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO}


class Tree:
    """The tree below the folder *root*; *lower* is what it will lie on, or None.

    With *whole*, *root* holds all of *lower* already, in a copy of its own, and is to become the merged tree.

    Attributes:
        size: bytes of files made, holes counted; what a later entry replaced stays counted.
        inodes: files, folders and nodes made.
        incomplete: whether something was needed of the tree below and there was none to look at.
    """

    def __init__(self, root: int, lower: int | None = None, *, whole: bool = False) -> None:
        self._root = root
        self._lower = lower
        self._whiteouts: Whiteouts = Together() if whole else Apart()
        self._open: OrderedDict[bytes, int] = OrderedDict()
        self._stale = False
        self._times = FolderTimes(root)
        self.size = 0
        self.inodes = 0
        self.incomplete = False
        self._whiteouts.joined(b".", root)
        if lower is not None:
            self._times.remember(b".", os.stat(b".", dir_fd=lower).st_mtime_ns)

    def add(self, parent: bytes, base: bytes, entry: Entry, write: Callable[[int], int]) -> None:
        """Make *entry* as *base* in the folder *parent*, in place of what is there.

        *write* puts a file's content into a descriptor and says how many bytes it is. Raises `InvalidArchive`,
        `OSError`.
        """
        if not base:
            if entry.kind is not Kind.DIRECTORY:
                raise InvalidArchive(f"the layer's root is a {entry.kind.value}")
            self._dress(self._folder(b""), b".", b".", entry)
            xattrs.take_bare(self._root)
            return
        folder = self._folder(parent)
        if entry.kind is Kind.FILE:
            self._add_file(folder, base, entry, write)
        elif entry.kind is Kind.DIRECTORY:
            self._add_folder(folder, base, entry, parent + b"/" + base if parent else base)
        elif entry.kind is Kind.HARDLINK:
            self._add_link(folder, base, entry)
        else:
            self._add_node(folder, base, entry)

    def hide(self, parent: bytes, base: bytes) -> None:
        """Hide *base* of the tree below. What this layer itself has under that name stays, whichever comes first
        (image-spec, layer.md, "Whiteouts": they only apply to lower layers)."""
        self.inodes += self._whiteouts.hide(base, self._folder(parent))

    def hide_all(self, parent: bytes) -> None:
        """Hide everything that the tree below has in the folder *parent*; what this layer has there stays."""
        if parent or not self._whiteouts.apart:
            self._whiteouts.hide_all(b".", self._folder(parent))
        elif self._lower is None:
            self.incomplete = True
        else:
            # Overlay does not look for the mark on the root, so each name is hidden by itself.
            listed = os.open(b".", _READ | os.O_CLOEXEC, dir_fd=self._lower)
            try:
                for name in os.listdir(listed):
                    self.hide(b"", os.fsencode(name))
            finally:
                os.close(listed)

    def finish(self) -> None:
        """Give the folders their times."""
        self._times.set_all()

    def close(self) -> None:
        """Close every descriptor."""
        self._forget()
        self._times.close()

    def _add_file(self, folder: int, base: bytes, entry: Entry, write: Callable[[int], int]) -> None:
        mode = entry.mode & _PLAIN
        try:
            descriptor = os.open(base, _NEW, mode, dir_fd=folder)
        except FileExistsError:
            self._clear(folder, base)
            descriptor = os.open(base, _NEW, mode, dir_fd=folder)
        try:
            if entry.size:
                self.size += write(descriptor)
            _own(descriptor, entry)
            os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(descriptor)
        self._made(base, folder)

    def _add_folder(self, folder: int, base: bytes, entry: Entry, path: bytes) -> None:
        is_new = self._make_folder(folder, base, entry.mode & _PLAIN)
        if not is_new:
            self._whiteouts.joined(base, folder)
        self._dress(folder, base, path, entry, is_new=is_new)

    def _make_folder(self, folder: int, base: bytes, mode: int = 0o700) -> bool:
        """A folder *base*; one that takes the place of something else shows nothing of the tree below. False when one
        is there already."""
        try:
            os.mkdir(base, mode, dir_fd=folder)
        except FileExistsError:
            if stat.S_ISDIR(os.stat(base, dir_fd=folder, follow_symlinks=False).st_mode):
                return False
            self._clear(folder, base)
            os.mkdir(base, mode, dir_fd=folder)
            self._whiteouts.covered(base, folder)
        self._made(base, folder)
        return True

    def _made(self, base: bytes, folder: int) -> None:
        self._whiteouts.made(base, folder)
        self.inodes += 1

    def _dress(self, folder: int, base: bytes, path: bytes, entry: Entry, *, is_new: bool = False) -> None:
        descriptor = os.open(base, _READ | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            if not is_new:
                xattrs.remove_others(descriptor, entry.xattrs)
            _own(descriptor, entry)
        finally:
            os.close(descriptor)
        self._times.remember(path, entry.mtime_ns)

    def _add_link(self, folder: int, base: bytes, entry: Entry) -> None:
        parent, name = split(entry.linkname)
        try:
            source = self._reach(parent) if self._whiteouts.apart else self._lead_to(parent, make=False)
            try:
                target = os.stat(name or b".", dir_fd=source, follow_symlinks=False)
                if not self._whiteouts.has(target):
                    raise FileNotFoundError
                self._link(source, name, target, folder, base)
                if not stat.S_ISLNK(target.st_mode):
                    self._dress_linked(folder, base, target, entry)
            finally:
                os.close(source)
        except (FileNotFoundError, NotADirectoryError):
            raise InvalidArchive(f"hard link to {shown(entry.linkname)}, which the layer does not have") from None

    def _link(self, source: int, name: bytes, target: os.stat_result, folder: int, base: bytes) -> None:
        try:
            os.link(name, base, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            if os.path.samestat(target, os.stat(base, dir_fd=folder, follow_symlinks=False)):
                return
            self._clear(folder, base)
            os.link(name, base, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)

    def _dress_linked(self, folder: int, base: bytes, status: os.stat_result, entry: Entry) -> None:
        """Give the file that a hard link leads to what the link's own entry says, as Docker and containerd do.

        Most archives repeat there what the file has already. A capability that is not repeated stays.
        """
        if (status.st_uid, status.st_gid) != (entry.uid, entry.gid):
            os.chown(base, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
        if entry.xattrs and stat.S_ISREG(status.st_mode):  # to open a device can do things, and a pipe has none
            descriptor = os.open(base, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            try:
                xattrs.write(descriptor, entry.xattrs)
            finally:
                os.close(descriptor)
        os.chmod(base, entry.mode, dir_fd=folder)  # it is no symlink, and nobody else is here to make it one
        os.utime(base, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder, follow_symlinks=False)

    def _add_node(self, folder: int, base: bytes, entry: Entry) -> None:
        """A symlink, device or FIFO."""
        device = os.makedev(entry.devmajor, entry.devminor)
        if entry.kind is Kind.CHARACTER and not device:
            raise InvalidArchive("a character device 0:0, which overlay takes for a whiteout")

        def make() -> None:
            if entry.kind is Kind.SYMLINK:
                os.symlink(entry.linkname, base, dir_fd=folder)
            else:
                os.mknod(base, _NODES[entry.kind] | entry.mode, device, dir_fd=folder)

        try:
            make()
        except FileExistsError:
            self._clear(folder, base)
            make()
        os.chown(base, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
        if entry.kind is not Kind.SYMLINK:
            os.chmod(base, entry.mode, dir_fd=folder)  # after chown, which takes set-user-id away
        os.utime(base, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder, follow_symlinks=False)
        self._made(base, folder)

    def _folder(self, path: bytes) -> int:
        """A descriptor of the folder *path*, which is made, with what leads to it, where it is missing.

        It stays good until the next call.
        """
        if self._stale:
            self._forget()
        found = self._open.get(path)
        if found is not None:
            self._open.move_to_end(path)
            return found
        try:
            found = self._reach(path) if self._whiteouts.apart else self._lead_to(path)
        except (FileNotFoundError, NotADirectoryError):
            found = self._lead_to(path)
        self._open[path] = found
        if len(self._open) > _OPEN_FOLDERS:
            os.close(self._open.popitem(last=False)[1])
        return found

    def _lead_to(self, path: bytes, *, make: bool = True) -> int:
        """A descriptor of *path*, following links of the layer as the kernel would in its root.

        The folders that lead to it are made unless they are the layer's own; without *make* that is an error.
        """
        left = deque(path.split(b"/"))
        way: list[bytes] = []  # of folders only, so that ".." may take the last one off
        links = 0
        while left:
            part = left.popleft()
            if part in (b"", b".", b".."):
                if part == b".." and way:
                    way.pop()
                continue
            above = self._reach(b"/".join(way))
            try:
                links += self._step(above, way, part, left, make)
            finally:
                os.close(above)
            if links > _LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return self._reach(b"/".join(way))

    def _step(self, above: int, way: list[bytes], part: bytes, left: deque[bytes], make: bool) -> int:
        """Go into *part* of the folder *above*; 1 when it was a link, to be gone through yet."""
        try:
            status = os.stat(part, dir_fd=above, follow_symlinks=False)
        except FileNotFoundError:
            status = None
        own = status is not None and self._whiteouts.has(status)
        if status is not None and own and stat.S_ISLNK(status.st_mode):
            target = os.readlink(part, dir_fd=above)
            if target.startswith(b"/"):
                way.clear()
            left.extendleft(reversed(target.split(b"/")))
            return 1
        way.append(part)
        if status is not None and stat.S_ISDIR(status.st_mode) and (own or make):
            if not own:  # with the look that it has below
                self._whiteouts.joined(part, above)
                self._times.remember(b"/".join(way), status.st_mtime_ns)
        elif own:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        elif not make:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        else:
            self._make_folder(above, part)
            self._imply(above, part, b"/".join(way))
        return 0

    def _reach(self, path: bytes) -> int:
        return syscalls.openat2(path or b".", _PATH, dir_fd=self._root, resolve=syscalls.RESOLVE_IN_ROOT)

    def _imply(self, above: int, base: bytes, path: bytes) -> None:
        """Dress a folder that the layer has no entry for like the one below it."""
        entry = Entry(name=path, kind=Kind.DIRECTORY, mode=0o755)
        if self._lower is None:
            self.incomplete = True
        else:
            try:
                below = syscalls.openat2(path, _READ, dir_fd=self._lower, resolve=syscalls.RESOLVE_IN_ROOT)
            except (FileNotFoundError, NotADirectoryError):
                pass
            else:
                try:
                    entry = like(below, path)
                finally:
                    os.close(below)
        self._dress(above, base, path, entry, is_new=True)

    def _clear(self, folder: int, base: bytes) -> None:
        """Take away what is there as *base*."""
        kind = stat.S_IFMT(os.stat(base, dir_fd=folder, follow_symlinks=False).st_mode)
        delete(base, folder)
        if kind in (stat.S_IFDIR, stat.S_IFLNK):
            self._stale = True  # an open folder may have been reached through it

    def _forget(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
        self._stale = False


def _own(descriptor: int, entry: Entry) -> None:
    """Give a file or folder the owner, mode and attributes of *entry*. Nearly all have owner and mode already, since
    root made them with that mode: to look costs a tenth of a change, which is a change of the filesystem's journal."""
    status = os.fstat(descriptor)
    if (status.st_uid, status.st_gid) != (entry.uid, entry.gid):
        os.fchown(descriptor, entry.uid, entry.gid)
    if entry.xattrs:
        xattrs.write(descriptor, entry.xattrs)  # after chown, which takes capabilities away
    if entry.xattrs or stat.S_IMODE(status.st_mode) != entry.mode:
        os.fchmod(descriptor, entry.mode)  # after chown, which takes set-user-id away; attributes may be access lists


def like(folder: int, name: bytes) -> Entry:
    """An entry *name* with the metadata of the open *folder*."""
    status = os.fstat(folder)
    return Entry(
        name=name,
        kind=Kind.DIRECTORY,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        xattrs=xattrs.read(folder),
    )
