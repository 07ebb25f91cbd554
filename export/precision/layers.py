"""Errors of the trunk layer by layer: after every matrix product and every block."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spit_edge.export.graph.trunk import BLOCK_PRODUCTS, DTYPES, TrunkGraph, product_names
from spit_edge.runtime.backends.onnxruntime_session import open_session
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import Precision
from spit_edge.runtime.errors import BundleError
from spit_edge.spit_ref.zoo import ModelConfig

MEMORY = 1 << 29
"""Bytes of values that are held at once, of each implementation; one block is always held."""


@dataclass(frozen=True)
class LayerError:
    """How far a layer's values are from those of fp32, over all images the worst of each.

    relative    root mean square of the differences, in that of fp32's values; infinite where a
                value is not finite
    largest     largest difference of a finite value
    magnitude   largest value in fp32
    not_finite  number of values that are infinite or no number
    image       where ``relative`` is from
    """

    name: str
    relative: float
    largest: float
    magnitude: float
    not_finite: int
    image: str


class Layers(Protocol):
    """An implementation of the trunk that shows its inner values."""

    def values(self, tokens: Tensor, counts: Tensor, names: Sequence[str]) -> dict[str, Any]:
        """Values (any float type) of the layers ``names`` for token rows [1, T, D]."""


class TorchLayers:
    """The exported trunk in PyTorch, which rounds to the graph's types after every operation."""

    def __init__(self, trunk: TrunkGraph) -> None:
        self._trunk = trunk.eval()

    @torch.no_grad()
    def values(self, tokens: Tensor, counts: Tensor, names: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def keep(name: str) -> Any:
            def hook(_: nn.Module, _inputs: object, output: Any) -> None:
                value = output[0] if isinstance(output, tuple) else output
                found[name] = value.float().numpy()

            return hook

        hooks = [
            self._trunk.get_submodule(name).register_forward_hook(keep(name)) for name in names
        ]
        try:
            self._trunk(tokens, counts)
        finally:
            for handle in hooks:
                handle.remove()
        return found


class OnnxRuntimeLayers:
    """The bundle's trunk in ONNX Runtime, its inner values made outputs.

    Raises BundleError for a graph whose values do not have the layers' names.
    """

    def __init__(self, bundle: Bundle, names: Sequence[str]) -> None:
        model = onnx.load(str(bundle.trunk), load_external_data=False)
        given = {output for node in model.graph.node for output in node.output}
        if missing := [name for name in names if name not in given]:
            raise BundleError(f"{bundle.trunk} has no value {missing[0]}: export the bundle again")
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        self._session = open_session(model.SerializeToString(), weights=bundle.path)

    def values(self, tokens: Tensor, counts: Tensor, names: Sequence[str]) -> dict[str, Any]:
        feeds = {"tokens": tokens.numpy(), "num_tokens": counts.numpy()}
        return dict(zip(names, self._session.run(list(names), feeds), strict=True))


@torch.no_grad()
def product_errors(
    image: str, exact: TrunkGraph, reduced: TrunkGraph, tokens: Tensor, counts: Tensor
) -> list[LayerError]:
    """Errors of the matrix products of ``reduced`` each by itself: on the inputs of ``exact``."""
    errors = []

    def measure(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found = reduced.get_submodule(name)(*inputs).float().numpy()
            errors.append(_error(image, name, output.numpy(), found))

        return hook

    names = product_names(len(exact.blocks))
    hooks = [exact.get_submodule(n).register_forward_hook(measure(n)) for n in names]
    try:
        exact(tokens, counts)
    finally:
        for handle in hooks:
            handle.remove()
    return errors


def layer_names(depth: int) -> list[str]:
    """Matrix products and blocks in the order in which they are computed."""
    names = ["embedder"]
    for index in range(depth):
        block = f"blocks.{index}"
        names += [*(f"{block}.{product}" for product in BLOCK_PRODUCTS), block]
    return names


def rounding_step(precision: Precision) -> float:
    """Distance from 1 to the next number of a type."""
    return float(torch.finfo(DTYPES[precision]).eps)


class LayerMeter:
    """Collects errors of several implementations against the trunk in fp32."""

    def __init__(self, exact: TrunkGraph, others: Sequence[Layers], config: ModelConfig) -> None:
        self._exact, self._others, self._config = TorchLayers(exact), others, config
        self.worst: list[dict[str, LayerError]] = [{} for _ in others]

    def measure(self, image: str, tokens: Tensor, counts: Tensor) -> None:
        """Take one image's token rows [1, T, D] in, T all valid."""
        for names in _groups(self._config, tokens.shape[1]):
            wanted = self._exact.values(tokens, counts, names)
            for other, worst in zip(self._others, self.worst, strict=True):
                found = other.values(tokens, counts, names)
                for name in names:
                    error = _error(image, name, wanted[name], found[name])
                    worst[name] = worse(worst.get(name, error), error)


def _groups(config: ModelConfig, tokens: int) -> Iterator[list[str]]:
    """Layers whose values fit MEMORY together."""
    length = tokens + 1
    block_bytes = 4 * length * (11 * config.dim + config.heads * length)
    blocks = max(1, MEMORY // block_bytes)
    names = layer_names(config.depth)
    size = blocks * (len(BLOCK_PRODUCTS) + 1)
    yield names[: 1 + size]
    for start in range(1 + size, len(names), size):
        yield names[start : start + size]


def _error(image: str, name: str, wanted: NDArray[Any], found: NDArray[Any]) -> LayerError:
    exact = wanted.astype(np.float64)
    finite = np.isfinite(found)
    difference = np.subtract(found, exact, out=np.zeros_like(exact), where=finite)
    bad = int(finite.size - np.count_nonzero(finite))
    scale = math.sqrt(float(np.mean(np.square(exact)))) or 1.0
    return LayerError(
        name=name,
        relative=math.inf if bad else math.sqrt(float(np.mean(np.square(difference)))) / scale,
        largest=float(np.abs(difference).max()),
        magnitude=float(np.abs(exact).max()),
        not_finite=bad,
        image=image,
    )


def worse(one: LayerError, other: LayerError) -> LayerError:
    """The worst of two errors of the same layer, in every respect."""
    return LayerError(
        name=one.name,
        relative=max(one.relative, other.relative),
        largest=max(one.largest, other.largest),
        magnitude=max(one.magnitude, other.magnitude),
        not_finite=max(one.not_finite, other.not_finite),
        image=(one if one.relative >= other.relative else other).image,
    )
