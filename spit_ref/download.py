"""Download a file that is published with its MD5: whole and right, or not at all."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, Request, build_opener

from spit_edge.base.errors import SpitError
from spit_edge.base.files import whole_file
from spit_edge.base.progress import Meter, console
from spit_edge.base.sizes import size_text

CHUNK = 1 << 18  # bytes read at a time


class WeightsError(SpitError):
    """Weights could not be had; the message says what was wrong, where, and what to do."""


class DownloadError(WeightsError):
    """A file could not be downloaded, or what came was not that file."""


def download(url: str, target: Path, md5: str, *, timeout: float = 15.0) -> None:
    """Download ``url`` to ``target``, which appears whole and with this MD5, or not at all.

    ``timeout``: seconds the server may be silent.  Raises DownloadError.
    """
    try:
        if not url.lower().startswith(("http://", "https://")):
            raise ValueError("only http and https are allowed")
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as file:
            found = _transfer(url, file, timeout)
            if found != md5:
                raise ValueError(f"its MD5 is {found}, not {md5} as published")
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection
        raise DownloadError(
            f"{url} could not be downloaded ({str(error) or type(error).__name__}): download it by "
            f"hand in a browser, then pass --weights PATH or put it at {target}."
        ) from error


def _transfer(url: str, file: BinaryIO, timeout: float) -> str:
    """Stream what ``url`` answers into ``file``; returns its MD5."""
    # Share links set a cookie as they redirect, and want it back.
    opener = build_opener(HTTPCookieProcessor())
    request = Request(url, headers={"User-Agent": "spit-edge"})
    digest, done = hashlib.md5(usedforsecurity=False), 0
    with opener.open(request, timeout=timeout) as answer:
        size: int | None = answer.length
        html = answer.headers.get_content_type() == "text/html"
        meter = Meter(console(stderr=True), "downloading weights:", size, size_text)
        with meter, suppress(IncompleteRead, ConnectionResetError):
            while chunk := answer.read(CHUNK):
                start = b"" if done else chunk.lstrip()[:16].lower()
                if html or start.startswith((b"<!doctype html", b"<html")):
                    raise ValueError("it gave a web page; share links may lead to a login page")
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                meter.update(done)
    if size is not None and done < size:
        raise ValueError(f"the connection was cut after {done} of {size} bytes")
    return digest.hexdigest()
