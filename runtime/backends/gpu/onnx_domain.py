"""Renames the domain of an ONNX model's custom ops, without the package onnx.

ONNX Runtime offers TensorRT's plugins as ops of the domain "trt.plugins" and finds a node's op by
its domain, so that the nodes of a bundle have to be moved there.  The message's encoding is
https://protobuf.dev/programming-guides/encoding; the numbers of fields are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

_GRAPH, _OPSET = 7, 8  # of a ModelProto
_NODE = 1  # of a GraphProto
_NODE_DOMAIN = 7
_OPSET_DOMAIN = 1

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_Edit = Callable[[bytes], bytes]


def with_domain(model: bytes, old: str, new: str) -> bytes:
    """``model`` (a ModelProto) with the domain ``old`` called ``new``; the rest byte for byte.

    Raises ValueError if the bytes are no protocol buffer.
    """
    before, after = old.encode(), new.encode()

    def rename(domain: bytes) -> bytes:
        return after if domain == before else domain

    def node(data: bytes) -> bytes:
        return _edited(data, {_NODE_DOMAIN: rename})

    def graph(data: bytes) -> bytes:
        return _edited(data, {_NODE: node})

    def opset(data: bytes) -> bytes:
        return _edited(data, {_OPSET_DOMAIN: rename})

    return _edited(model, {_GRAPH: graph, _OPSET: opset})


def _edited(message: bytes, edits: dict[int, _Edit]) -> bytes:
    """``message`` with the length-delimited fields of these numbers put through functions."""
    parts = []
    for number, whole, payload in _fields(message):
        edit = edits.get(number)
        if edit is None or payload is None:
            parts.append(whole)
        else:
            content = edit(payload)
            parts += [_varint(number << 3 | _BYTES), _varint(len(content)), content]
    return b"".join(parts)


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes | None]]:
    """Number, encoding and, where it is length-delimited, content of every field."""
    at = 0
    while at < len(message):
        start = at
        tag, at = _read_varint(message, at)
        kind, payload = tag & 7, None
        if kind == _VARINT:
            _, at = _read_varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        elif kind == _BYTES:
            length, at = _read_varint(message, at)
            payload = message[at : at + length]
            at += length
        else:
            raise ValueError(f"byte {start} begins no field of a protocol buffer")
        if at > len(message):
            raise ValueError("the protocol buffer ends within a field")
        yield tag >> 3, message[start:at], payload


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("the protocol buffer ends within a number")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
