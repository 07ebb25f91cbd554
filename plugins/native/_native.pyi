from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

def call(
    op: str,
    inputs: Sequence[NDArray[Any]],
    attributes: Sequence[float],
    threads: int,
    executor: str,
    seed: int,
) -> tuple[NDArray[Any], ...]: ...
def info() -> dict[str, Any]: ...
