"""Files by their content: what is there is never sent again, and releases share it.

``objects/<sha256>`` holds whole files, ``incoming/<sha256>`` what has arrived of the others, and
``releases/<name>/`` hard links to objects.  The links ``current`` and ``previous`` say which is in
use and which was before.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, cast

from spit_edge.base.files import file_sha256
from spit_edge.export.deploy.agent.protocol import Refused, attempt, step

OBJECTS, INCOMING, RELEASES, VENVS = "objects", "incoming", "releases", "venvs"
MARK = ".spit-edge"
"""A file that says the folder is ours."""
_CHUNK = 1 << 20


class Readable(Protocol):
    """What a tar stream is read from."""

    def read(self, size: int = -1, /) -> bytes: ...


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Around all that writes: one deployment at a time.  Makes ``root`` if there is none."""
    if root.exists() and not (root / MARK).exists() and any(root.iterdir()):
        raise Refused(f"{root} on the device holds something else: choose another folder")
    root.mkdir(parents=True, exist_ok=True)
    with (root / MARK).open("a") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(f"another deployment is at work in {root} on the device") from None
        for folder in (OBJECTS, INCOMING, RELEASES, VENVS):
            (root / folder).mkdir(exist_ok=True)
        yield


def missing(root: Path, wanted: Mapping[str, int]) -> dict[str, int]:
    """Of the wanted files (SHA-256 to bytes), those to send, with the bytes that have arrived.

    Objects are read again, so that a damaged one is sent again.
    """
    absent = {}
    for sha256, size in wanted.items():
        place = root / OBJECTS / sha256
        if place.is_file() and place.stat().st_size == size and file_sha256(place)[0] == sha256:
            continue
        part = root / INCOMING / sha256
        absent[sha256] = min(part.stat().st_size, size) if part.is_file() else 0
    return absent


def receive(root: Path, stream: Readable) -> None:
    """Unpack a tar stream of members ``<sha256>.<offset>`` into ``incoming``."""
    with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as archive:
        for member in archive:
            sha256, _, offset = member.name.partition(".")
            data = archive.extractfile(member)
            if data is None or not sha256.isalnum():
                raise Refused(f"{member.name!r} is not a file of a bundle")
            place = root / INCOMING / sha256
            with place.open("r+b" if place.exists() else "wb") as target:
                target.truncate(int(offset))
                target.seek(int(offset))
                shutil.copyfileobj(data, target, _CHUNK)


def adopt(root: Path, wanted: Mapping[str, int]) -> None:
    """Make objects of what has arrived; Refused if it is not what was to arrive."""
    damaged = []
    for sha256 in wanted:
        part = root / INCOMING / sha256
        if not part.is_file():
            raise Refused("not all files have arrived: deploy again")
        if file_sha256(part)[0] == sha256:
            part.replace(root / OBJECTS / sha256)
        else:
            part.unlink()
            damaged.append(sha256)
    if damaged:
        raise Refused(
            f"{len(damaged)} files arrived with another SHA-256 than they were sent with: "
            "deploy again"
        )


def assemble(root: Path, release: str, files: Mapping[str, str]) -> Path:
    """The release's folder, with a link to an object (SHA-256) for every path; repairs it."""
    folder = root / RELEASES / release
    for path, sha256 in files.items():
        place, source = folder / path, root / OBJECTS / sha256
        if place.exists() and os.path.samefile(place, source):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name(f".{place.name}.new")
        fresh.unlink(missing_ok=True)
        os.link(source, fresh)
        fresh.replace(place)
    return folder


def clean(root: Path, keep: int) -> list[str]:
    """Remove all but the last ``keep`` releases and what only they held; names of what went.

    The current and the previous one stay in any case.
    """
    pinned = {link.resolve() for name in ("current", "previous") if (link := root / name).exists()}
    releases = sorted((root / RELEASES).iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)
    removed = [p for p in releases[keep:] if p.resolve() not in pinned]
    for folder in removed:
        shutil.rmtree(folder)
    used = {p.resolve() for p in (root / RELEASES).glob("*/venv")}
    for venv in (root / VENVS).iterdir():
        if venv.resolve() not in used:
            shutil.rmtree(venv)
    for place in [*(root / OBJECTS).iterdir()]:
        if place.stat().st_nlink == 1:
            place.unlink()
    for part in (root / INCOMING).iterdir():
        _remove(part)
    return [folder.name for folder in removed]


def switch(root: Path, release: str) -> None:
    """Make ``release`` the current one and the one before it the previous one."""
    before = _release_of(root / "current")
    os.utime(root / RELEASES / release)
    # All of the release is on the disk before anything leads to it.
    os.sync()
    if before is not None and before != release:
        _point(root / "previous", before)
    _point(root / "current", release)


def rollback(root: Path) -> str:
    """Swap current and previous; the name of what is current then."""
    current, previous = _release_of(root / "current"), _release_of(root / "previous")
    if current is None or previous is None or not (root / RELEASES / previous).is_dir():
        raise Refused(f"there is no earlier release in {root} on the device to go back to")
    _point(root / "current", previous)
    _point(root / "previous", current)
    return previous


def restart(unit: str | None) -> None:
    """Restart a unit of the user's systemd if it runs, so that it uses what is current."""
    if unit is None:
        return
    # A command over ssh is not always told where the user's systemd listens.
    place = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    with step(f"restarting {unit}, if it runs"):
        try:
            done = attempt(
                ["systemctl", "--user", "try-restart", "--", unit], {"XDG_RUNTIME_DIR": place}
            )
        except FileNotFoundError:
            raise Refused(f"{unit} is not restarted: the device has no systemctl") from None
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise Refused(f"{unit} is not restarted, though the release is switched: {reason}")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _release_of(link: Path) -> str | None:
    return os.path.basename(os.readlink(link)) if link.is_symlink() else None


def _point(link: Path, release: str) -> None:
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path(RELEASES) / release)
    os.replace(fresh, link)
