"""Renames the domain of an ONNX model's custom ops, without the package onnx.

ONNX Runtime offers TensorRT's plugins as ops of the domain "trt.plugins" and finds a node's op by
its domain, so that the nodes of a bundle have to be moved there.  The numbers of fields are those
of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Callable

from spit_edge.runtime.bundle.protobuf import delimited, fields

_GRAPH, _OPSET = 7, 8  # of a ModelProto
_NODE = 1  # of a GraphProto
_NODE_DOMAIN = 7
_OPSET_DOMAIN = 1

_Edit = Callable[[memoryview], bytes]


def with_domain(model: bytes, old: str, new: str) -> bytes:
    """``model`` (a ModelProto) with the domain ``old`` called ``new``; the rest byte for byte.

    Raises ValueError if the bytes are no protocol buffer.
    """
    before, after = old.encode(), new.encode()

    def rename(domain: memoryview) -> bytes:
        return after if domain == before else bytes(domain)

    def node(data: memoryview) -> bytes:
        return _edited(data, {_NODE_DOMAIN: rename})

    def graph(data: memoryview) -> bytes:
        return _edited(data, {_NODE: node})

    def opset(data: memoryview) -> bytes:
        return _edited(data, {_OPSET_DOMAIN: rename})

    return _edited(memoryview(model), {_GRAPH: graph, _OPSET: opset})


def _edited(message: memoryview, edits: dict[int, _Edit]) -> bytes:
    """``message`` with the length-delimited fields of these numbers put through functions."""
    parts: list[bytes | memoryview] = []
    for number, whole, payload in fields(message):
        edit = edits.get(number)
        if edit is None or payload is None:
            parts.append(whole)
        else:
            parts.append(delimited(number, edit(payload)))
    return b"".join(parts)
