"""What an ONNX graph reads besides itself, found in its tensors, without the package onnx.

A tensor may say that its values lie in another file.  All tensors are looked at wherever ONNX lets
them stand, so that no engine is led to a file that the bundle's manifest does not answer for.  The
numbers of fields are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from spit_edge.base.contracts import DOMAIN
from spit_edge.runtime.bundle.manifest import FileEntry
from spit_edge.runtime.bundle.protobuf import fields

_Kind = Literal["model", "training", "graph", "function", "node", "attribute", "sparse", "tensor"]

_CHILDREN: Mapping[_Kind, Mapping[int, _Kind]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}  # fmt: skip
_NODE_DOMAIN = 7
_EXTERNAL_DATA, _KEY, _VALUE = 13, 1, 2
_DOMAINS = {b"", b"ai.onnx", DOMAIN.encode()}
_DEPTH = 64
_DIGITS = 20


def check_graph(model: bytes, files: Mapping[str, FileEntry]) -> None:
    """Raise ValueError unless all that ``model`` (a ModelProto) reads is among ``files``.

    External data must have a plain name that stands in ``files`` and lie within that file; ops are
    of ONNX or our own, because others come with code that reads files, too.
    """
    for kind, message in _messages("model", memoryview(model), 0):
        if kind == "tensor":
            _check_tensor(message, files)
        elif kind == "node":
            for number, _, payload in fields(message):
                if number == _NODE_DOMAIN and payload is not None and payload not in _DOMAINS:
                    name = bytes(payload).decode(errors="replace")
                    raise ValueError(f"it has a node of the domain {name!r}")


def _messages(kind: _Kind, message: memoryview, depth: int) -> Iterator[tuple[_Kind, memoryview]]:
    if depth > _DEPTH:
        raise ValueError(f"its graphs are nested more than {_DEPTH} deep")
    yield kind, message
    children = _CHILDREN[kind]
    if children:
        for number, _, payload in fields(message):
            if number in children and payload is not None:
                yield from _messages(children[number], payload, depth + 1)


def _check_tensor(tensor: memoryview, files: Mapping[str, FileEntry]) -> None:
    """Of keys that come twice all are checked: who reads the graph may take either."""
    found: dict[str, list[str]] = {"location": [], "offset": [], "length": []}
    external = False
    for number, _, payload in fields(tensor):
        if number != _EXTERNAL_DATA or payload is None:
            continue
        external = True
        entry = {_KEY: [""], _VALUE: [""]}
        for part, _, text in fields(payload):
            if part in entry and text is not None:
                entry[part].append(bytes(text).decode(errors="replace"))
        for key in entry[_KEY]:
            found.setdefault(key, []).extend(entry[_VALUE][1:] or [""])
    if not external:
        return
    if not found["location"]:
        raise ValueError("a tensor's external data has no location")
    end = max(map(_number, found["offset"] or ["0"])) + max(map(_number, found["length"] or ["0"]))
    for location in found["location"]:
        if "/" in location or location not in files:
            raise ValueError(f"its weights lie in {location!r}, which the manifest does not list")
        if end > files[location].bytes:
            raise ValueError(f"its weights go beyond the end of {location}")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < _DIGITS):
        raise ValueError(f"{text[:40]!r} is not an offset or length of external data")
    return int(text)
