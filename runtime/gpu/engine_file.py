"""The bundle's engine for this GPU, opened and compared with the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from runtime.bundle import Bundle
from runtime.errors import BackendUnavailable
from runtime.gpu.network import Network, Tensor
from runtime.gpu.tokenizer_library import TokenizerLibrary
from runtime.manifest import Manifest, TensorSpec

Part = Literal["full", "trunk"]


@dataclass(frozen=True)
class OpenEngine:
    """An ICudaEngine, the module it comes from, and the library with the tokenizer's kernels."""

    engine: Any
    trt: ModuleType
    library: TokenizerLibrary


def open_engine(bundle: Bundle, part: Part) -> OpenEngine:
    """The engine of the bundle's ``part`` that fits this GPU and this TensorRT.

    Raises BackendUnavailable with the reason and the command that builds one.
    """
    raise BackendUnavailable("not yet")


def check_engine(
    network: Network,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    manifest: Manifest,
) -> None:
    """Raise BackendUnavailable unless the engine takes and gives what the manifest says.

    Dimensions that the specs leave open must reach the largest batch and the token budget.
    """
    largest = {"B": manifest.batch.max, "T": manifest.token_budget}
    for specs, tensors in ((inputs, network.inputs), (outputs, network.outputs)):
        if sorted(tensors) != sorted(spec.name for spec in specs):
            found, wanted = ", ".join(tensors), ", ".join(spec.name for spec in specs)
            raise _unfit(f"it has the tensors {found} instead of {wanted}")
        for spec in specs:
            _check_tensor(tensors[spec.name], spec, largest)


def _check_tensor(tensor: Tensor, spec: TensorSpec, largest: dict[str, int]) -> None:
    if str(tensor.dtype) != spec.dtype:
        raise _unfit(f"its {spec.name} is {tensor.dtype} instead of {spec.dtype}")
    wanted = tuple(dim if isinstance(dim, int) else largest[dim] for dim in spec.shape)
    if tensor.shape != wanted:
        raise _unfit(f"its {spec.name} is at most {tensor.shape} instead of {wanted}")


def _unfit(reason: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"the engine does not fit the bundle ({reason}): build it again with "
        "python -m runtime engine BUNDLE"
    )
