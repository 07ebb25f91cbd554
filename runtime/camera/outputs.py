"""Where results go: pictures, label maps, and lines of JSON."""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import msgspec
import numpy as np

from spit_edge.base.files import whole_file
from spit_edge.base.text import shown
from spit_edge.runtime.camera.frame_queue import Frame
from spit_edge.runtime.classes import likeliest
from spit_edge.runtime.errors import CameraError
from spit_edge.runtime.images import Pixels
from spit_edge.runtime.images.overlay import overlay
from spit_edge.runtime.session import Output

TOP = 5
_SCALE = 2
_QUALITY = 90
_LONGEST_NAME = 230
"""Bytes; file systems take 255."""


@dataclass(frozen=True)
class Result:
    """A frame, the part of it that the model saw, uint8 [H, W, 3], and what the model says.

    latency  seconds from the frame's reading to the result
    budget   token slots of the model; regions beyond them were left out
    """

    frame: Frame
    image: Pixels
    output: Output
    latency: float
    budget: int

    @property
    def id(self) -> str:
        """Names the frame in files and lines.

        In a folder of images the file's own name in it, else the time the frame was read, in UTC.
        """
        if self.frame.file is not None:
            return str(self.frame.file)
        return f"{self.frame.taken:%Y%m%dT%H%M%S.%fZ}"


class Sink(Protocol):
    """Takes results, one after another."""

    def write(self, result: Result) -> None:
        """Raises OSError."""

    def close(self) -> None:
        """Nothing more comes."""


class OverlayFolder:
    """``latest.jpg``, replaced whole, and the last ``keep`` pictures by their ids.

    every  writes only each so many-th result
    """

    def __init__(self, folder: Path, *, keep: int = 0, every: int = 1) -> None:
        self._folder, self._every, self._turn = _made(folder), every, 0
        self._kept = _Kept(folder, "jpg", keep) if keep else None

    def write(self, result: Result) -> None:
        self._turn += 1
        if (self._turn - 1) % self._every:
            return
        picture = overlay(result.image, result.output.labels[0], scale=_SCALE)
        data = io.BytesIO()
        picture.save(data, format="JPEG", quality=_QUALITY)
        with whole_file(self._folder / "latest.jpg") as stream:
            stream.write(data.getbuffer())
        if self._kept is not None:
            with whole_file(self._kept.place(result.id)) as stream:
                stream.write(data.getbuffer())

    def close(self) -> None:
        pass


class LabelFolder:
    """``ID.npz`` for each result: labels int32 [H, W], num_tokens, logits float32 [classes].

    keep  the last so many; None: all
    """

    def __init__(self, folder: Path, *, keep: int | None = None) -> None:
        self._kept = _Kept(_made(folder), "npz", keep)

    def write(self, result: Result) -> None:
        output = result.output
        with whole_file(self._kept.place(result.id)) as stream:
            np.savez_compressed(
                stream,
                labels=output.labels[0],
                num_tokens=output.num_tokens[0],
                logits=output.logits[0],
            )

    def close(self) -> None:
        pass


class JsonLines:
    """A line of JSON for each result, added to ``file``; "-" is the standard output."""

    def __init__(self, file: str) -> None:
        self._stream: IO[str] = sys.stdout
        if file != "-":
            self._stream = Path(file).open("a", encoding="utf-8")  # noqa: SIM115

    def write(self, result: Result) -> None:
        self._stream.write(msgspec.json.encode(_line(result)).decode() + "\n")
        self._stream.flush()

    def close(self) -> None:
        if self._stream is not sys.stdout:
            self._stream.close()


class _Kept:
    """The newest ``keep`` files of a folder, those of earlier runs with a camera among them."""

    def __init__(self, folder: Path, suffix: str, keep: int | None) -> None:
        self._folder, self._suffix, self._keep = folder, suffix, keep
        pattern = f"[0-9]*T[0-9]*Z.{suffix}"
        self._files = deque(sorted(folder.glob(pattern)) if keep is not None else ())

    def place(self, name: str) -> Path:
        """Where to write the next one; the oldest makes room."""
        file = self._folder / f"{_short(name)}.{self._suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if self._keep is not None:
            if file in self._files:
                self._files.remove(file)
            while len(self._files) >= self._keep:
                self._files.popleft().unlink(missing_ok=True)
            self._files.append(file)
        return file


def _line(result: Result) -> dict[str, object]:
    num_tokens = int(result.output.num_tokens[0])
    return {
        "id": shown(result.id),
        "frame": result.frame.number,
        "time": result.frame.taken.isoformat(),
        "top": [
            {"index": guess.index, "class": guess.name, "share": guess.share}
            for guess in likeliest(result.output.logits[0], TOP)
        ],
        "num_tokens": num_tokens,
        "truncated": num_tokens > result.budget,
        "latency_ms": round(result.latency * 1e3, 3),
    }


def _short(name: str) -> str:
    """A relative path whose last part leaves room for an ending and for a draft beside the file."""
    parent, _, last = name.rpartition("/")
    if len(os.fsencode(last)) > _LONGEST_NAME:
        # Different names stay different.
        digest = hashlib.sha256(os.fsencode(last)).hexdigest()[:16]
        last = f"{last[: _LONGEST_NAME // 5]}-{digest}"
    return f"{parent}/{last}" if parent else last


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CameraError(f"the folder {shown(folder)} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CameraError(f"nothing can be written into the folder {shown(folder)}")
    return folder
