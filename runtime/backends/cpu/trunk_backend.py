"""A bundle on the CPU: tokenized by the native kernels, the trunk in some engine of others."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spit_edge.runtime.backends.cpu.tokenizer import NativeTokenizer
from spit_edge.runtime.backends.protocol import Outputs
from spit_edge.runtime.bundle.folder import Bundle


class CpuBackend(ABC):
    """See :class:`Backend`.

    The trunk runs image by image on as many tokens as the image has, without the padding of the
    token budget: that is less work, and what an image gives does not depend on its batch.  Rows of
    outputs beyond an image's tokens are 0.
    """

    def __init__(self, bundle: Bundle, threads: int | None) -> None:
        self._budget = bundle.manifest.token_budget
        self._tokenizer = NativeTokenizer(bundle, threads)
        self._gives_tokens = any(spec.name == "tokens" for spec in bundle.manifest.outputs)

    @abstractmethod
    def trunk(self, tokens: NDArray[np.float32], num_tokens: NDArray[np.int32]) -> Outputs:
        """Tokens [1, T, D] and their number [1], which may be larger, to the trunk's outputs."""

    @abstractmethod
    def close(self) -> None:
        """Release the trunk."""

    def run(
        self,
        images: NDArray[np.uint8],
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Outputs:
        labels, counts = self._tokenizer.regions(images, seeds)
        parts = [
            self._run_one(images[one], labels[one], counts[one], tokens or self._gives_tokens)
            for one in (slice(i, i + 1) for i in range(len(images)))
        ]
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return {"labels": labels, "num_tokens": counts, **outputs}

    def stages(
        self, images: NDArray[np.uint8], *, seeds: NDArray[np.int64] | None = None
    ) -> dict[str, float]:
        clock = Stopwatch()
        labels, counts = self._tokenizer.regions(images, seeds)
        clock.lap("labels")
        for one in (slice(i, i + 1) for i in range(len(images))):
            rows = min(int(counts[one][0]), self._budget)
            tokens = self._tokenizer.tokens(images[one], labels[one], counts[one], rows)
            clock.lap("features")
            self.trunk(tokens, counts[one])
            clock.lap("trunk")
        return clock.milliseconds

    def _run_one(
        self,
        image: NDArray[np.uint8],
        labels: NDArray[np.int32],
        counts: NDArray[np.int32],
        with_tokens: bool,
    ) -> Outputs:
        rows = min(int(counts[0]), self._budget)
        tokens = self._tokenizer.tokens(image, labels, counts, rows)
        outputs = self.trunk(tokens, counts)
        if with_tokens:
            outputs["tokens"] = tokens
        # The rows of tokens, of embeddings (behind the class token) and of attention.
        return {
            name: value if name == "logits" else _padded(value, self._budget - rows)
            for name, value in outputs.items()
        }


def _padded(value: NDArray[Any], rows: int) -> NDArray[Any]:
    return np.pad(value, [(0, 0), (0, rows)] + [(0, 0)] * (value.ndim - 2))


class Stopwatch:
    """Runs from its making on.

    milliseconds  by stage; laps of the same stage add up
    """

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """What happened since the last lap belongs to ``stage``."""
        now = time.perf_counter()
        taken = (now - self._last) * 1e3
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + taken
        self._last = now
