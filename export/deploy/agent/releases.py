"""Files by their content: what is there is never sent again, and releases share it.

``objects/<sha256>`` holds whole files, ``incoming/<sha256>`` what has arrived of the others, and
``releases/<name>/`` hard links to objects.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import shutil
import stat
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, cast

from spit_edge.base.files import file_sha256
from spit_edge.export.deploy.agent.protocol import Refused, attempt, step
from spit_edge.export.deploy.agent.use import RELEASES, STATES, in_use

OBJECTS, INCOMING, VENVS = "objects", "incoming", "venvs"
CONTENTS = "package.json"
_MADE = "made-ready.json"
MARK = ".spit-edge"
"""A file that says the folder is ours."""
_CHUNK = 1 << 20


class Readable(Protocol):
    """What a tar stream is read from."""

    def read(self, size: int = -1, /) -> bytes: ...


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Around all that writes: one deployment at a time.  Makes ``root`` if there is none.

    Raises Refused if others than this user could have put there what would run.
    """
    if root.exists() and not (root / MARK).exists() and any(root.iterdir()):
        raise Refused(f"{root} on the device holds something else: choose another folder")
    root.mkdir(parents=True, exist_ok=True)
    _refuse_foreign(root)
    with (root / MARK).open("a") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(f"another deployment is at work in {root} on the device") from None
        for folder in (OBJECTS, INCOMING, RELEASES, VENVS):
            (root / folder).mkdir(exist_ok=True)
        yield


def _refuse_foreign(root: Path) -> None:
    inner = [root / name for name in (OBJECTS, INCOMING, RELEASES, VENVS, STATES)]
    deeper = [p for name in (RELEASES, VENVS, STATES) for p in (root / name).glob("*")]
    for place in (root.resolve(), *inner, *deeper):
        if not os.path.lexists(place):
            continue
        found = place.lstat()
        if found.st_uid != os.geteuid():
            raise Refused(
                f"{place} on the device belongs to {_user(found.st_uid)}, whose programs would "
                f"run: log in as that user, or choose another folder, or, if all in it is yours, "
                f"sudo chown -R {_user(os.geteuid())} {root} there"
            )
        if not stat.S_ISDIR(found.st_mode):
            raise Refused(f"{place} on the device is not a folder: choose another, or remove it")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Refused(
                f"{place} on the device can be written by others, whose programs would run: look "
                f"through it, then chmod -R go-w {root} there"
            )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


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


def remember(folder: Path, made: Mapping[str, Any]) -> None:
    """Keep, beside a release, how it was made ready."""
    fresh = folder / f".{_MADE}.new"
    fresh.write_text(json.dumps(made))
    fresh.replace(folder / _MADE)


def remembered(folder: Path) -> dict[str, Any] | None:
    """What was kept; None if nothing was, or it is damaged."""
    try:
        made = json.loads((folder / _MADE).read_text())
    except (OSError, ValueError):
        return None
    return made if isinstance(made, dict) else None


def clean(root: Path, keep: int) -> list[str]:
    """Remove all but the last ``keep`` releases and what only they held; names of what went.

    The current and the previous one stay in any case.
    """
    pinned = set(in_use(root))
    releases = sorted((root / RELEASES).iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)
    removed = [p for p in releases[keep:] if p.name not in pinned]
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


def earlier(root: Path) -> str:
    """The release before, to go back to, every file of it as it was sent.

    Files that are missing in it are linked again.  Raises Refused if there is none, or others are
    damaged.
    """
    release = in_use(root).previous
    folder = root / RELEASES / str(release)
    if release is None or not folder.is_dir():
        raise Refused(f"there is no earlier release in {root} on the device to go back to")
    try:
        files = _contents(folder, release)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(release, CONTENTS) from None
    assemble(root, release, {p: h for p, h in files.items() if (root / OBJECTS / h).is_file()})
    for path, sha256 in files.items():
        place = folder / path
        if not place.is_file() or file_sha256(place)[0] != sha256:
            raise _damaged(release, path)
    return release


def _contents(folder: Path, release: str) -> dict[str, str]:
    """SHA-256 by path; raises ValueError if the list is not what the release is named by."""
    data = (folder / CONTENTS).read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if not sha256.startswith(release):
        raise ValueError
    listed = json.loads(data)["files"].items()
    return {CONTENTS: sha256, **{path: str(file["sha256"]) for path, file in listed}}


def _damaged(release: str, path: str) -> Refused:
    return Refused(
        f"{release} is damaged on the device ({path}), so what is in use stays: deploy that "
        "bundle again"
    )


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
