"""How a bundle takes its place: in one step, and without loss of what is not the tool's.

A bundle is written as a draft.  Where the system can, draft and place are exchanged at once; of
the old bundle, which is the draft then, files that its manifest does not list are carried over, and
the others removed.  A place that cannot be renamed (a mount point, a folder of a lower layer of an
overlay file system, a folder that somebody works in) is filled file by file instead, the manifest
last.  Whatever moment a writer is killed at, `recover` does the rest: the next time that somebody
writes or opens the bundle.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spit_edge.base.drafts import draft_folder, end_dead_folders, is_draft, turn
from spit_edge.base.files import FULL
from spit_edge.runtime.bundle.manifest import MANIFEST, MODEL, decode
from spit_edge.runtime.bundle.moving import carry, make_room, move
from spit_edge.runtime.bundle.reading import check_name, read_inside
from spit_edge.runtime.errors import BundleError

MANIFEST_LIMIT = 4 << 20

_NEW, _OLD, _EXCHANGED = "new", "old", "exchanged"
"""In a draft's folder: the bundle; what was replaced file by file; a file that says that ``new``
may be the old bundle."""
_CANNOT_RENAME = {
    errno.EBUSY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM,
}  # fmt: skip
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_TRIES = 10


def prepare(place: Path) -> None:
    """`recover`, and raise BundleError where no bundle can be written: before the work."""
    recover(place)
    with turn(place.parent):
        _check_place(place)


def _check_place(place: Path) -> None:
    """Raise BundleError unless a bundle can be written to ``place`` without loss.

    It must be free, an empty folder, or hold a bundle: a manifest of ours that can be read.
    """
    if not place.exists():
        above = next(folder for folder in place.parents if folder.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise BundleError(f"cannot write to {place.parent}: no folder that may be written")
        return
    if not place.is_dir():
        raise BundleError(f"{place} is a file: choose a folder for the bundle")
    names = listed_files(place)
    if names is None and not all(is_draft(entry.name) for entry in place.iterdir()):
        raise BundleError(
            f"{place} exists and is not a bundle with a manifest that can be read: "
            "remove it or choose another"
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise BundleError(f"cannot write to {place}: the folder may not be written")
    for folder, folders, _ in os.walk(place):
        for inner in folders:
            if _is_mounted(Path(folder) / inner):
                raise BundleError(
                    f"{Path(folder) / inner} is a mount point within the bundle {place}: "
                    "unmount it or choose another folder"
                )


@contextmanager
def draft_of(place: Path) -> Iterator[Path]:
    """An empty folder for a bundle that :func:`put_in_place` brings to ``place``.

    Raises OSError.
    """
    home = place if _stays(place) else place.parent
    home.mkdir(parents=True, exist_ok=True)
    with draft_folder(home, place.name, lambda draft: _finish(draft, place)) as draft:
        (draft / _NEW).mkdir()
        yield draft / _NEW


def put_in_place(new: Path, place: Path) -> None:
    """Let the finished draft ``new`` be the bundle ``place``.

    What users put there is carried over when the draft ends.  Raises OSError or BundleError; then
    the old bundle is as it was.
    """
    draft = new.parent
    _write_out(new)
    with turn(place.parent):
        _check_place(place)
        if draft.parent != place and _renamed(new, place):
            return
        (draft / _EXCHANGED).unlink(missing_ok=True)
        (draft / _OLD).mkdir()
        _pour(draft, place)


def recover(place: Path) -> None:
    """Finish what killed writers of ``place`` began.  What may not be done here is left."""
    for home in (place.parent, place):
        end_dead_folders(home, place.name, lambda draft: _finish(draft, place))


def listed_files(folder: Path) -> frozenset[str] | None:
    """The files of the bundle ``folder`` by its manifest; None if it has none that can be read."""
    try:
        data = read_inside(folder, MANIFEST, MANIFEST_LIMIT)
        files = frozenset(decode(data, str(folder / MANIFEST)).files)
        for name in files:
            check_name(folder, name)
    except BundleError:
        return None
    return files


def sentence(error: OSError, place: Path, draft: Path | None = None) -> str:
    """What an OSError while a bundle was written means.

    NumPy has no number for its own: whether the disk is full shows when more is written.
    """
    if error.errno in FULL or (draft is not None and error.errno is None and _is_full(draft)):
        return f"no space left for {place}: free some on that disk and build again"
    return f"cannot write to {place}: {error.strerror or error}"


def _is_full(draft: Path) -> bool:
    probe = draft / ".probe"
    try:
        with probe.open("wb") as stream:
            stream.write(bytes(1 << 20))
            stream.flush()
            os.fsync(stream.fileno())
        return False
    except OSError as error:
        return error.errno in FULL
    finally:
        probe.unlink(missing_ok=True)


def _stays(place: Path) -> bool:
    """Whether the folder itself has to stay, because it cannot be renamed or is in use."""
    if not place.is_dir():
        return False
    in_use = False
    with contextlib.suppress(OSError):  # the current folder may be gone
        in_use = Path.cwd().is_relative_to(place)
    return in_use or _is_mounted(place) or not os.access(place.parent, os.W_OK | os.X_OK)


def _is_mounted(folder: Path) -> bool:
    if os.path.ismount(folder):
        return True
    # A folder mounted from the same file system shows in the list of mounts alone.
    with contextlib.suppress(OSError):
        wanted = os.fsencode(os.path.realpath(folder))
        for special in (b"\\", b" ", b"\t", b"\n"):
            wanted = wanted.replace(special, b"\\%03o" % special[0])
        with open("/proc/self/mountinfo", "rb") as mounts:
            return any(line.split(b" ", 5)[4] == wanted for line in mounts)
    return False


def _write_out(folder: Path) -> None:
    """Onto the disk, so that a power cut after the renaming leaves no empty files."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


def _renamed(new: Path, place: Path) -> bool:
    """Bring ``new`` to ``place`` in one step; False where the system cannot."""
    marker = new.parent / _EXCHANGED
    for _ in range(_TRIES):
        try:
            if place.is_dir():
                _keep_owner(new, place)
            if place.is_dir() and any(place.iterdir()):
                marker.touch()
                _exchange(new, place)
            else:
                new.rename(place)
            return True
        except OSError as error:
            if error.errno in _CANNOT_RENAME:
                return False
            if error.errno not in _TAKEN:  # somebody else was there first, or took it away
                raise
    return False


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders atomically.  Raises OSError, with ENOSYS where the system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    first, second = (os.fsencode(path) for path in (one, other))
    if libc.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def _keep_owner(new: Path, place: Path) -> None:
    old = place.stat()
    with contextlib.suppress(OSError):
        os.chown(new, old.st_uid, old.st_gid)
    with contextlib.suppress(OSError):
        new.chmod(stat.S_IMODE(old.st_mode))


def _finish(draft: Path, place: Path) -> None:
    """Bring what is in a draft's folder to where it belongs, so that the rest can be removed."""
    new = draft / _NEW
    with turn(place.parent):
        if (draft / _OLD).is_dir():
            _pour(draft, place)
        elif (draft / _EXCHANGED).exists() and (new / MANIFEST).exists():
            names = listed_files(new)
            if names is None:
                raise OSError(errno.EIO, f"{new / MANIFEST} cannot be read")
            carry(new, place, names | {MANIFEST})


def _pour(draft: Path, place: Path) -> None:
    """Bring the new bundle to ``place`` file by file.  Can be begun again wherever it ended."""
    new, old = draft / _NEW, draft / _OLD
    if not (new / MANIFEST).exists():
        return  # it is done: the manifest comes last
    coming = listed_files(new) or frozenset()
    if not (old / MANIFEST).exists() and (place / MANIFEST).exists():
        move(place / MANIFEST, old / MANIFEST)
    for name in listed_files(old) or ():
        # One that is there already was replaced, and so was one that is no longer in the new.
        arrived = name in coming and not (new / name).exists()
        if not arrived and not (old / name).exists() and _is_plain_file(place, name):
            (old / name).parent.mkdir(parents=True, exist_ok=True)
            move(place / name, old / name)
    for path in sorted(new.rglob("*"), key=lambda path: path == new / MANIFEST):
        if not path.is_dir():
            make_room(place, path.relative_to(new))
            move(path, place / path.relative_to(new))


def _is_plain_file(folder: Path, name: str) -> bool:
    path = folder / name
    parents = [folder / parent for parent in Path(name).parents]
    return path.is_file() and not any(parent.is_symlink() for parent in parents[:-1])


def is_bundle(folder: Path) -> bool:
    """Whether a written draft has what every bundle has."""
    return (folder / MANIFEST).is_file() and (folder / MODEL).is_file()
