"""Reports to test on: one that passes, one with a wrong label, one of a model that overflows."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np

from spit_edge.base.progress import Steps
from spit_edge.export.report.writing import write_report
from spit_edge.runtime.bundle.folder import MANIFEST, Bundle, hash_files
from spit_edge.runtime.bundle.manifest import encode

VOID = {"meta", "img", "br", "link", "input"}


def report_of(bundle: Path, out: Path, **wanted) -> str:
    write_report(bundle, out, Steps(quiet=True), **wanted)
    return out.read_text(encoding="utf-8")


def with_wrong_labels(bundle: Path, copy: Path) -> Path:
    """A copy whose expected answer has other labels in a square of the first image."""
    shutil.copytree(bundle, copy)
    with np.load(copy / "check" / "expected.npz") as stored:
        data = dict(stored)
    data["labels"][0, 100:104, 50:54] += 1
    np.savez_compressed(copy / "check" / "expected.npz", **data)
    manifest = Bundle.open(bundle).manifest
    manifest = msgspec.structs.replace(manifest, files=hash_files(copy))
    (copy / MANIFEST).write_bytes(encode(manifest))
    return copy


class Page(HTMLParser):
    """Tags with their attributes, and the text outside style; fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        elif tag == "br":
            self.text += " "

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data
