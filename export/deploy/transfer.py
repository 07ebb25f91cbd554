"""Sends the files that a device does not have: rsync where both sides have it, else tar."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from spit_edge.export.deploy.agent.protocol import FULL
from spit_edge.export.deploy.errors import DeployError, unreachable
from spit_edge.export.deploy.package import PackedFile
from spit_edge.export.deploy.remote import Remote

_USAGE = 1
"""Exit status of rsync that does not know an option."""


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
            remote.call("receive", feed=_Archive(sources, missing, remote.reporter.sent).write)
    finally:
        remote.reporter.transfer_ended()
    remote.call("adopt", files={sha256: file.bytes for sha256, file in sources.items()})
    return total


def _send_rsync(remote: Remote, root: str, sources: Mapping[str, PackedFile], total: int) -> bool:
    """False if the rsync here does not know the options."""
    with tempfile.TemporaryDirectory(prefix="spit-send-") as folder:
        for sha256, file in sources.items():
            (Path(folder) / sha256).symlink_to(file.source.resolve())
        words = [
            "rsync",
            "--recursive",
            "--copy-links",
            "--inplace",
            "--partial",
            "-s",  # no shell reads the folder's name
        ]
        words += ["--info=progress2", "--rsh", shlex.join(remote.ssh())]
        words += ["--", f"{folder}/", f"{_bracketed(remote.target.host)}:{root}/incoming/"]
        code, told = remote.run_local(words, lambda line: _progress(line, remote, total))
    if code == 0:
        return True
    if code == _USAGE:
        remote.reporter.line("rsync here or there is too old: tar is used instead")
        return False
    if "No space left on device" in told or "Disk quota exceeded" in told:
        raise DeployError(FULL)
    if code in (12, 30, 255) or code < 0:  # of rsync: its stream, a timeout; of ssh
        raise unreachable(remote.target.host, told)
    raise DeployError(f"rsync failed: {(told.strip().splitlines() or [f'status {code}'])[0]}")


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

    def write(self, stream: IO[bytes]) -> None:
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for sha256, file in self._sources.items():
                offset = self._missing[sha256]
                member = tarfile.TarInfo(f"{sha256}.{offset}")
                member.size = file.bytes - offset
                with file.source.open("rb") as content:
                    content.seek(offset)
                    archive.addfile(member, _Counted(content, self._count))

    def _count(self, number: int) -> None:
        self._done += number
        self._sent(self._done)


class _Counted(io.RawIOBase):
    """A file that tells how much of it was read."""

    def __init__(self, content: IO[bytes], count: Callable[[int], None]) -> None:
        self._content, self._count = content, count

    def read(self, size: int = -1) -> bytes:
        data = self._content.read(size)
        self._count(len(data))
        return data
