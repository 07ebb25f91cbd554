"""Sends the files that a device does not have: rsync where both sides have it, else tar."""

from __future__ import annotations

import re
import shlex
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType
from typing import IO

from spit_edge.base.drafts import draft_folder
from spit_edge.export.deploy.agent.protocol import FULL
from spit_edge.export.deploy.child import tied
from spit_edge.export.deploy.errors import DeployError, silent
from spit_edge.export.deploy.package import PackedFile
from spit_edge.export.deploy.remote import SILENCE, Remote

_CHUNK = 1 << 20
_REASONS = {
    1: "rsync here or there is too old",
    2: "rsync does not bear what the login on the device prints",
    12: "rsync's stream is disturbed, as by what a login prints, or broke",
}
"""By rsync's exit status."""
_TIMEOUT = 30


def send(
    remote: Remote, root: str, files: Mapping[str, PackedFile], missing: Mapping[str, int], *,
    rsync: bool,
) -> int:  # fmt: skip
    """Bring the missing files (SHA-256 to bytes that are there already) onto the device.

    root   the service's folder, absolute
    rsync  whether the device has it

    Returns the bytes sent, as far as known from sizes.  Raises DeployError or Unreachable; what
    has arrived by then is not sent again.
    """
    if not missing:
        return 0
    sources = {file.sha256: file for file in files.values() if file.sha256 in missing}
    total = sum(file.bytes - missing[sha256] for sha256, file in sources.items())
    remote.reporter.sending(total)
    try:
        sent = rsync and shutil.which("rsync") and _send_rsync(remote, root, sources, total)
        if not sent:
            archive = _Archive(sources, missing, remote.reporter.sent)
            remote.call("receive", NoneType, feed=archive.write)
    finally:
        remote.reporter.transfer_ended()
    whole = {sha256: file.bytes for sha256, file in sources.items()}
    remote.call("adopt", NoneType, files=whole)
    return total


def _send_rsync(remote: Remote, root: str, sources: Mapping[str, PackedFile], total: int) -> bool:
    """False if it does not work: here or there it may be too old, or a login there prints lines,
    which its protocol does not bear."""
    with draft_folder(Path(tempfile.gettempdir()), "spit-send") as draft:
        folder = draft / "files"
        folder.mkdir()
        for sha256, file in sources.items():
            (folder / sha256).symlink_to(file.source.resolve())
        words = [
            "rsync",
            "--recursive",
            "--copy-links",
            "--inplace",
            "--partial",
            f"--timeout={SILENCE}",
            "-s",  # no shell reads the folder's name
        ]
        words += ["--info=progress2", "--rsh", shlex.join(tied(remote.ssh()))]
        words += ["--", f"{folder}/", f"{_bracketed(remote.target.host)}:{root}/incoming/"]
        code, told = remote.run_local(words, lambda line: _progress(line, remote, total))
    if code == 0:
        return True
    if "No space left on device" in told or "Disk quota exceeded" in told:
        raise DeployError(FULL)
    if code == _TIMEOUT:
        raise silent(remote.target.host, SILENCE)
    # If it is the connection, tar finds that out and says so.
    first = (told.strip().splitlines() or [f"status {code}"])[0][:300]
    why = _REASONS.get(code, f"rsync does not work: {first}")
    remote.reporter.line(f"{why}: tar is used instead")
    return False


def _progress(line: str, remote: Remote, total: int) -> None:
    if found := re.search(r"\s(\d+)%", line):
        remote.reporter.sent(total * int(found[1]) // 100)


def _bracketed(host: str) -> str:
    """An IPv6 address as rsync wants it."""
    user, at, address = host.rpartition("@")
    return f"{user}{at}[{address}]" if ":" in address else host


class _Archive:
    """A tar stream of ``<sha256>.<offset>``, each the file from the offset on."""

    def __init__(
        self,
        sources: Mapping[str, PackedFile],
        missing: Mapping[str, int],
        sent: Callable[[int], None],
    ) -> None:
        self._sources, self._missing, self._sent = sources, missing, sent
        self._done = 0

    def write(self, send: Callable[[bytes], None]) -> None:
        """Raises DeployError for a file that is shorter than it was."""
        # Without tarfile's stream, which writes even when it is dropped after an interrupt.
        for sha256, file in self._sources.items():
            offset = self._missing[sha256]
            member = tarfile.TarInfo(f"{sha256}.{offset}")
            member.size = file.bytes - offset
            send(member.tobuf(tarfile.PAX_FORMAT))
            with file.source.open("rb") as content:
                content.seek(offset)
                self._send(content, member.size, file.source, send)
            send(b"\0" * (-member.size % tarfile.BLOCKSIZE))
        send(b"\0" * 2 * tarfile.BLOCKSIZE)

    def _send(
        self, content: IO[bytes], size: int, source: Path, send: Callable[[bytes], None]
    ) -> None:
        while size:
            data = content.read(min(size, _CHUNK))
            if not data:
                raise DeployError(f"{source} has changed meanwhile: deploy again")
            send(data)
            size -= len(data)
            self._done += len(data)
            self._sent(self._done)
