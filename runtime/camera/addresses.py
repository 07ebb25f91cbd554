"""Addresses and pipelines as words of the command line: what ends, and what must not be told."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from spit_edge.base.text import shown

_VIDEO_FILES = frozenset(
    f".{ending}"
    for ending in (
        "3gp", "asf", "avi", "flv", "gif", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mxf",
        "ogv", "webm", "wmv",
    )
)  # fmt: skip
# What is before an @ in an address, however odd the password; a query, which may hold one, too.
_USER = re.compile(r"(?<=://)[^\s!\"']*@")
_QUERY = re.compile(r"(://[^\s!\"'?]*\?)[^\s!\"']+")
_PROPERTY = re.compile(
    r"([\w-]*(?:pw|pass|secret|token|key)[\w-]*\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s!]+)", re.IGNORECASE
)
_ENDING_PIPELINE = re.compile(r"\b\w*filesrc\b|\bnum-buffers\s*=\s*\d|\buri\s*=\s*[\"']?file:")


def without_secrets(text: str) -> str:
    """An address or pipeline for people: users, passwords and queries are ``***``."""
    text = _USER.sub("***@", text)
    text = _QUERY.sub(r"\1***", text)
    if "!" in text:
        text = _PROPERTY.sub(r"\1***", text)
    return shown(text)


def local_file(address: str) -> Path | None:
    """What a ``file://`` address means; None for other addresses."""
    parts = urlsplit(address)
    if parts.scheme.lower() != "file" or parts.netloc.lower() not in ("", "localhost"):
        return None
    typed = address.split("://", 1)[1][len(parts.netloc) :]
    # FFmpeg takes the name as it stands; browsers write it with %20 for a blank.
    return Path(typed) if Path(typed).exists() else Path(unquote(typed))


def has_end(text: str) -> bool:
    """Whether an address is that of a video file, or a pipeline reads one or a number of frames."""
    if "!" in text:
        return _ENDING_PIPELINE.search(text) is not None
    parts = urlsplit(text)
    name = PurePosixPath(unquote(parts.path))
    return parts.scheme.lower() not in ("rtsp", "rtsps") and name.suffix.lower() in _VIDEO_FILES
