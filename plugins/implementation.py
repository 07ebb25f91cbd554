"""The seam between the ops and what computes them outside TensorRT: the native kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.typing import NDArray

from spit_edge.base.contracts import CONTRACTS
from spit_edge.plugins.native import ops

Arrays = tuple[NDArray[Any], ...]
Implementation = Callable[..., Arrays]
"""Takes the op's inputs as arrays, its attributes by name, and ``threads``; gives its outputs."""

IMPLEMENTATIONS: dict[str, Implementation] = {
    contract.name: partial(ops.call, contract) for contract in CONTRACTS
}
