"""What callers of the ops give, as the native module takes it; errors name the op, the argument and
its value."""

from __future__ import annotations

import operator
import sys
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spit_edge.base.contracts import Contract
from spit_edge.base.ranges import THREADS

Pixels = Literal["uint8", "unit", "imagenet"]
Layout = Literal["NCHW", "NHWC"]


def is_tensor(value: object) -> bool:
    """Without importing torch: a tensor can only come from a torch that is imported already."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def as_array(contract: Contract, name: str, value: Any) -> NDArray[Any]:
    what = f"{contract.name}: {name} must be"
    if is_tensor(value):
        if value.device.type != "cpu":
            raise TypeError(f"{what} on the CPU, not on {value.device}")
        if value.layout is not sys.modules["torch"].strided:
            raise TypeError(f"{what} a dense tensor, not {value.layout}")
        try:
            array: NDArray[Any] = value.detach().numpy()
        except (TypeError, RuntimeError) as error:
            raise TypeError(f"{what} a tensor that numpy can hold: {error}") from None
        return array
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{what} a numpy array or a torch tensor, not {type(value).__name__}")
    return value


def images(
    contract: Contract, value: Any, layout: Layout | None, size: tuple[int, ...] | None = None
) -> NDArray[Any]:
    """A view [B, 3, H, W] of one image or a batch in either layout; of this size, where known."""
    array = as_array(contract, "images", value)
    if array.dtype not in (np.uint8, np.float32):
        raise TypeError(f"{contract.name}: images must be uint8 or float32, not {array.dtype}")
    if layout not in (None, "NCHW", "NHWC"):
        raise ValueError(f"{contract.name}: layout must be NCHW, NHWC or None, not {layout!r}")
    batch: NDArray[Any] = array[np.newaxis] if array.ndim == 3 else array
    first = batch.ndim == 4 and batch.shape[1] == 3 and layout != "NHWC"
    last = batch.ndim == 4 and batch.shape[3] == 3 and layout != "NCHW"
    if first and last:
        last = size is not None and size != batch.shape[2:]  # the ops' own layout is the first
    if last:
        batch = batch.transpose(0, 3, 1, 2)
    if first or last:
        return batch
    wanted = {"NCHW": "[B, 3, H, W]", "NHWC": "[B, H, W, 3]"}
    expected = wanted[layout] if layout else " or ".join(reversed(wanted.values()))
    raise ValueError(
        f"{contract.name}: images must be {expected}, or one image without the B, "
        f"not {list(array.shape)}"
    )


def int32(contract: Contract, name: str, value: Any) -> NDArray[np.int32]:
    array = as_array(contract, name, value)
    if array.dtype == np.int32:
        return array
    if array.dtype.kind not in "iu":
        raise TypeError(f"{contract.name}: {name} must be integers, not {array.dtype}")
    narrow = array.astype(np.int32)
    if not np.array_equal(narrow, array):
        raise ValueError(f"{contract.name}: {name} must fit in 32 bits, but reach {array.max()}")
    return narrow


def pixels(array: NDArray[Any], wanted: Pixels | None) -> str:
    if wanted is not None:
        return wanted
    return "uint8" if array.dtype == np.uint8 else "unit"


def plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def threads(contract: Contract, value: int | None) -> int:
    if value is None:
        return 0
    wanted = whole(contract, "threads", value)
    if wanted not in THREADS:
        raise ValueError(f"{contract.name}: threads must be {THREADS}, or None, not {wanted}")
    return wanted


def executor(contract: Contract, value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{contract.name}: executor must be a string, not {value!r}")
    return value


def seed(contract: Contract, value: int) -> int:
    return whole(contract, "seed", value) % 2**64


def whole(contract: Contract, name: str, value: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{contract.name}: {name} must be an integer, not {value!r}")
    return int(value)


def seeds(contract: Contract, value: Any) -> NDArray[np.int64]:
    """One integer or several; only their lowest 64 bits count."""
    try:
        chosen = [operator.index(one) for one in (value if np.iterable(value) else [value])]
    except TypeError:
        raise TypeError(f"{contract.name}: seeds must be integers, not {value!r}") from None
    if not chosen:
        raise ValueError(f"{contract.name}: seeds must not be empty")
    return np.array([(one + 2**63) % 2**64 - 2**63 for one in chosen], dtype=np.int64)


def like(given: Any, result: NDArray[Any]) -> Any:
    """A result as what the images were given as."""
    return sys.modules["torch"].from_numpy(result) if is_tensor(given) else result
