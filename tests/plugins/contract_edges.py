"""Values of every attribute of every contract at the edges of what it accepts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from spit_edge.base.contracts import CONTRACTS, Attribute, Contract, ContractError, Value

SMALL: dict[str, Value] = {
    "levels": 1,
    "max_tokens": 4,
    "bins": 2,
    "gradient": 0,
    "height": 4,
    "width": 5,
}
"""What makes a call cheap, whatever the attribute under test is."""


@dataclass(frozen=True)
class Edge:
    """A value of one attribute; ``says`` is why it is refused, None if it is not."""

    contract: Contract
    field: Attribute
    value: Any
    says: str | None

    @property
    def attributes(self) -> dict[str, Any]:
        """A whole call's attributes."""
        known = {field.name for field in self.contract.fields}
        usual = {name: value for name, value in SMALL.items() if name in known}
        return usual | {self.field.name: self.value}

    @property
    def is_typed(self) -> bool:
        """Whether the value has the attribute's own type, as C and TensorRT can hand it over."""
        return type(self.value) is {"int": int, "float": float, "string": str}[self.field.type]

    @property
    def is_costly(self) -> bool:
        """Whether a call would take an image of 2^26 pixels."""
        return self.says is None and self.field.name in ("height", "width") and self.value > 1000


def _values(field: Attribute) -> Iterator[tuple[Any, bool]]:
    """Values just inside and just outside, of other types, and not-a-number."""
    if field.choices:
        yield from ((choice, True) for choice in field.choices)
        yield from ((value, False) for value in ("", field.choices[0].upper(), 0, None))
        return
    whole = field.type == "int"
    for value in (field.low, field.high):
        yield (int(value) if whole else float(value)), True
    if whole:
        yield from (
            (value, False) for value in (int(field.low) - 1, int(field.high) + 1, 2**31 - 1)
        )
        yield from ((value, False) for value in (float(field.high), float("nan")))
    else:
        for end, away in ((field.low, -np.inf), (field.high, np.inf)):
            yield float(np.nextafter(np.float32(end), np.float32(away))), False
        yield from ((value, False) for value in (float("nan"), float("inf"), -float("inf")))
        yield float(np.float32(field.low + (field.high - field.low) / 7)), False  # digits
    yield from ((value, False) for value in ("1", None))


def _says(contract: Contract, field: Attribute, value: Any) -> str:
    """The contract's words."""
    with pytest.raises(ContractError) as refused:
        field.checked(value, contract.name)
    return str(refused.value)


EDGES = [
    Edge(contract, field, value, None if fits else _says(contract, field, value))
    for contract in CONTRACTS
    for field in contract.fields
    for value, fits in _values(field)
]


def name_of(edge: Edge) -> str:
    return f"{edge.contract.name}-{edge.field.name}-{edge.value!r}"
