"""What a device says, decoded once into checked types: it may be anything."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from spit_edge.base.text import shown
from spit_edge.export.deploy.errors import Unbelievable

_BEGIN = b'{"event"'
_QUOTED = 80
"""Characters of a strange line that are worth reading."""
_T = TypeVar("_T")

Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
ReleaseName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\Z")]


class Alive(Struct, frozen=True, tag_field="event", tag="alive"):
    """A sign of life."""


class StepBegun(Struct, frozen=True, tag_field="event", tag="step"):
    """A piece of work begins."""

    what: str


class StepDone(Struct, frozen=True, tag_field="event", tag="done"):
    """It is over, after so many seconds."""

    what: str
    seconds: Annotated[float, Meta(ge=0)]


class TableMade(Struct, frozen=True, tag_field="event", tag="table"):
    """A table, drawn."""

    text: str


class Result(Struct, frozen=True, tag_field="event", tag="result"):
    """The last word: what was asked for, of a type that depends on the question."""

    value: Raw


class Refusal(Struct, frozen=True, tag_field="event", tag="error"):
    """The last word: why it is not done."""

    text: str


Event = StepBegun | StepDone | TableMade
"""What is of interest to people."""
_Line = Alive | StepBegun | StepDone | TableMade | Result | Refusal


class Missing(Struct, frozen=True):
    """Answer of ``compare``: bytes by SHA-256 that are there already; if there's an environment."""

    missing: dict[str, Count]
    venv: bool


class Activated(Struct, frozen=True):
    """Answer of ``activate``; without a check that passed, nothing has changed."""

    passed: bool
    removed: list[str] = []
    remark: str = ""


class RolledBack(Struct, frozen=True):
    """Answer of ``rollback``: the release that is in use now, or would be had its check passed."""

    release: ReleaseName
    passed: bool


def event_in(host: str, line: bytes) -> _Line | None:
    """The event of a line; None for what a login prints.  Raises Unbelievable."""
    if not line.lstrip().startswith(_BEGIN):
        return None
    try:
        event: _Line = msgspec.json.decode(line, type=_Line)
        return event
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unbelievable(
            f"{host} says what spit-edge does not say: {quoted(line)} ({error})"
        ) from error


def value_of(host: str, operation: str, result: Result, kind: type[_T] | Any) -> _T:
    """The checked value.  Raises Unbelievable."""
    try:
        value: _T = msgspec.json.decode(result.value, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unbelievable(
            f"{host} answers {operation} with {quoted(bytes(result.value))}: {error}"
        ) from error
    return value


def quoted(line: bytes) -> str:
    """The beginning of a line, for a sentence."""
    text = shown(line[: 4 * _QUOTED].decode(errors="replace"))
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."
