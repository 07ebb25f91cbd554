"""Protocol buffers field by field, without a schema compiler.

The encoding is https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_VARINT_BYTES = 10
_TAG_BITS = 32


def fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview | None]]:
    """Number, encoding and, where it is length-delimited, content of every field.

    Raises ValueError where the bytes are no protocol buffer.
    """
    at = 0
    while at < len(message):
        start = at
        tag, at = _read_varint(message, at)
        kind, payload = tag & 7, None
        if tag >> _TAG_BITS or not tag >> 3:
            raise ValueError(f"no field of a protocol buffer begins at byte {start}")
        if kind == VARINT:
            _, at = _read_varint(message, at)
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        elif kind == BYTES:
            length, at = _read_varint(message, at)
            payload = message[at : at + length]
            at += length
        else:
            raise ValueError(f"no field of a protocol buffer begins at byte {start}")
        if at > len(message):
            raise ValueError("the protocol buffer ends within a field")
        yield tag >> 3, message[start:at], payload


def delimited(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return b"".join([_varint(number << 3 | BYTES), _varint(len(content)), content])


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_VARINT_BYTES):
        if at + place == len(data):
            raise ValueError("the protocol buffer ends within a number")
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("the protocol buffer has a number of more than 64 bits")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
