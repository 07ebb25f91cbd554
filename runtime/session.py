"""Open a bundle, run images, get arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.backend import Backend, Outputs, open_backend
from runtime.bundle import Bundle
from runtime.errors import BackendUnavailable, BundleError, TokenBudgetExceeded
from runtime.images import as_nchw


@dataclass(frozen=True)
class Output:
    """Results for a batch; the last three are None unless the bundle was exported with them.

    logits      float32 [B, classes]
    labels      int32 [B, H, W], the region of every pixel, 0...num_tokens-1
    num_tokens  int32 [B]
    tokens      float32 [B, T, D], one row per region
    embeddings  float32 [B, 1 + T, d], the class token first
    attention   float32 [B, T] in [0, 1], attention flow
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int32]
    num_tokens: NDArray[np.int32]
    tokens: NDArray[np.float32] | None = None
    embeddings: NDArray[np.float32] | None = None
    attention: NDArray[np.float32] | None = None


class Session:
    """An opened bundle.  Use it as a context manager, or call ``close``."""

    def __init__(self, bundle: Bundle, backend: str, executor: Backend) -> None:
        self.bundle = bundle
        self.backend = backend
        self._executor: Backend | None = executor

    @classmethod
    def open(
        cls,
        bundle: str | os.PathLike[str] | Bundle,
        backend: str = "auto",
        *,
        threads: int | None = None,
    ) -> Session:
        """Open a bundle folder; every file is compared with the manifest's hashes.

        backend  "auto", "onnxruntime" or "torch"
        threads  of one run; None leaves the choice to the back end

        Raises BundleError (which file is wrong) or BackendUnavailable (what is missing).
        """
        opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        if opened.manifest.part != "full":
            raise BundleError(f"{opened.path} holds the trunk alone, which takes no images")
        name, executor = open_backend(backend, opened, threads)
        return cls(opened, name, executor)

    def run(
        self,
        images: NDArray[Any],
        *,
        seeds: Sequence[int] | None = None,
        truncate: bool = False,
        tokens: bool = False,
    ) -> Output:
        """Classify images, uint8 [B, H, W, 3] or [B, 3, H, W] (or one image without B).

        seeds     of the random regions, one per image, for bundles exported with --seed-input;
                  None: the bundle's own for all
        truncate  leave out the regions beyond the token budget instead of raising; ``num_tokens``
                  still counts all of them
        tokens    give the token rows even if the bundle was exported without them

        Batches larger than the bundle's profile are run in parts.  Raises ImageError for arrays
        that do not fit and TokenBudgetExceeded.
        """
        if self._executor is None:
            raise BackendUnavailable("this session is closed: open another one")
        size = self.bundle.manifest.preprocessing
        batch = as_nchw(images, size.height, size.width)
        chosen = self._seeds(seeds, len(batch))
        largest = self.bundle.manifest.batch.max
        parts = []
        for start in range(0, len(batch), largest):
            span = slice(start, start + largest)
            part = self._executor.run(
                batch[span], seeds=None if chosen is None else chosen[span], tokens=tokens
            )
            if not truncate:
                self._check_budget(part["num_tokens"], start)
            parts.append(part)
        return Output(**_joined(parts))

    def close(self) -> None:
        """Release the back end; more than once does no harm."""
        if self._executor is not None:
            self._executor.close()
            self._executor = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _seeds(self, seeds: Sequence[int] | None, images: int) -> NDArray[np.int64] | None:
        """What to feed the input "seeds", if the graph has one."""
        manifest = self.bundle.manifest
        if not any(spec.name == "seeds" for spec in manifest.inputs):
            if seeds is not None:
                raise ValueError("this bundle takes no seeds: export with --seed-input")
            return None
        if seeds is None:
            seeds = [manifest.tokenizer.seed or 0] * images
        if len(seeds) != images:
            raise ValueError(f"{images} images need {images} seeds, not {len(seeds)}")
        return np.array(seeds, np.int64)

    def _check_budget(self, num_tokens: NDArray[np.int32], start: int) -> None:
        budget = self.bundle.manifest.token_budget
        for index, count in enumerate(num_tokens.tolist()):
            if count > budget:
                raise TokenBudgetExceeded(count, budget, start + index)


def _joined(parts: list[Outputs]) -> dict[str, Any]:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
