"""Try which matrix products of a trunk may be in reduced precision: the gates decide."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from spit_edge.base.errors import SpitError
from spit_edge.base.progress import Steps
from spit_edge.export.graph.trunk import TrunkGraph, product_names
from spit_edge.export.precision.layers import LayerError, product_errors, worse
from spit_edge.export.reference import Reference
from spit_edge.export.trunk_check import trunk_parity
from spit_edge.runtime.bundle.manifest import Precision
from spit_edge.runtime.parity.judge import Expected, ImageParity
from spit_edge.spit_ref import Spit
from spit_edge.spit_ref.tokenizer import Tokens


class OutOfTrials(SpitError):
    """As many sets of products were tried as allowed."""


@dataclass(frozen=True)
class Sample:
    """An image's name, its tokens, and the reference's answer in float32."""

    name: str
    tokens: Tokens
    answer: Expected


class Trials:
    """Runs the exported trunk in PyTorch, which rounds to the graph's types after each operation.

    An engine does too, while ONNX Runtime computes half precision in float32 on CPUs and would hide
    what overflows.

    limit     how many sets may be tried
    count     how many were
    smallest  the smallest set that was seen to hold
    """

    def __init__(
        self,
        model: Spit,
        precision: Precision,
        images: Mapping[str, NDArray[np.uint8]],
        steps: Steps,
        limit: int,
    ) -> None:
        self._model, self._precision, self._steps, self.limit = model, precision, steps, limit
        asked = steps.track(_samples(model, images), "asking the reference", len(images))
        self._samples = list(asked)
        self._known: dict[frozenset[str], ImageParity | None] = {}
        self.products = product_names(model.config.depth)
        self.count = 0
        self.smallest: frozenset[str] | None = None

    def holds(self, fp32: frozenset[str]) -> bool:
        """Whether every gate holds on every image with the products ``fp32`` in float32.

        Raises OutOfTrials.
        """
        return self.failure(fp32) is None

    def failure(self, fp32: frozenset[str]) -> ImageParity | None:
        """The first image that fails.  Raises OutOfTrials."""
        if fp32 not in self._known:
            if self.count == self.limit:
                raise OutOfTrials
            self.count += 1
            start = time.perf_counter()
            failure = self._known[fp32] = self._try(fp32)
            if failure is None and (self.smallest is None or len(fp32) < len(self.smallest)):
                self.smallest = fp32
            result = "holds" if failure is None else describe(failure)
            self._steps.line(
                f"trial {self.count} of at most {self.limit}: "
                f"{len(fp32)} of {len(self.products)} products in fp32: {result} "
                f"{time.perf_counter() - start:.1f} s"
            )
        return self._known[fp32]

    def errors_alone(self) -> dict[str, LayerError]:
        """The error of every product by itself, the worst of all images."""
        exact = TrunkGraph(self._model, "fp32").eval()
        reduced = TrunkGraph(self._model, self._precision).eval()
        worst: dict[str, LayerError] = {}
        meaning, number = "measuring every product by itself", len(self._samples)
        for sample in self._steps.track(self._samples, meaning, number):
            tokens = sample.tokens
            for error in product_errors(sample.name, exact, reduced, tokens.rows, tokens.counts):
                worst[error.name] = worse(worst.get(error.name, error), error)
        return worst

    @torch.no_grad()
    def _try(self, fp32: frozenset[str]) -> ImageParity | None:
        trunk = TrunkGraph(self._model, self._precision, fp32=fp32).eval()
        reference = Reference(self._model, self._precision, fp32)
        for index, sample in enumerate(self._samples):
            tokens = sample.tokens
            (logits,) = trunk(tokens.rows, tokens.counts)
            exact = torch.from_numpy(sample.answer.logits)
            error = reference.precision_error(tokens, exact)
            answer = replace(sample.answer, precision_error=error)
            row = trunk_parity(sample.name, logits.numpy(), tokens, answer, self._precision)
            if not row.passed:
                # What fails once fails often: ask it first the next time.
                self._samples.insert(0, self._samples.pop(index))
                return row
        return None


def describe(row: ImageParity) -> str:
    """What failed, where."""
    return f"fails in {row.image} ({', '.join(row.failures)})"


def _samples(model: Spit, images: Mapping[str, NDArray[np.uint8]]) -> Iterator[Sample]:
    exact = Reference(model, "fp32")
    for name, image in images.items():
        tokens = exact.tokens(image)
        yield Sample(name, tokens, exact.expected_of(tokens))
