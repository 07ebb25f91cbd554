"""Open a bundle, run images, get arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from spit_edge.base.errors import OptionError
from spit_edge.base.ranges import THREADS
from spit_edge.runtime.backends.background import BackgroundRuns
from spit_edge.runtime.backends.protocol import (
    AsyncBackend,
    Backend,
    Outputs,
    Pending,
    StagedBackend,
)
from spit_edge.runtime.backends.registry import open_backend
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.classes import Guess, likeliest
from spit_edge.runtime.cuda.images import GpuImages, on_gpu
from spit_edge.runtime.errors import (
    BundleError,
    ImageError,
    TokenBudgetExceeded,
)
from spit_edge.runtime.images import as_array, as_nchw, fit_image, load_image, speaks_numpy
from spit_edge.runtime.session_use import SessionUse

_Picture = str | os.PathLike[str] | NDArray[np.uint8]


@dataclass(frozen=True)
class Output:
    """Results for a batch; the last three are None unless the bundle was exported with them, and
    their rows beyond an image's tokens mean nothing.

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


class Ticket:
    """A batch given to :meth:`Session.submit`."""

    def __init__(self, pending: Pending, budget: int | None, use: SessionUse) -> None:
        self._pending, self._budget, self._use = pending, budget, use

    def result(self) -> Output:
        """The results, waited for.  Raises what ``run`` would, every time."""
        self._use.check_process()
        outputs = self._pending.result()
        _check_budget(outputs["num_tokens"], self._budget, 0)
        return Output(**outputs)


class Session:
    """An opened bundle.  Use it as a context manager, or call ``close``.

    Threads may share it.  A forked process may not: there every call raises BackendUnavailable.
    """

    def __init__(self, bundle: Bundle, backend: str, executor: Backend) -> None:
        self.bundle = bundle
        self.backend = backend
        self._executor = executor
        self._background = None if isinstance(executor, AsyncBackend) else BackgroundRuns(executor)
        self._use = SessionUse((executor, self._background))

    @classmethod
    def open(
        cls,
        bundle: str | os.PathLike[str] | Bundle,
        backend: str = "auto",
        *,
        threads: int | None = None,
    ) -> Session:
        """Open a bundle folder; every file is compared with the manifest's hashes.

        backend  "auto" or a name of :func:`backend_names`
        threads  of one run, 1...256; None leaves the choice to the back end

        Raises BundleError (which file is wrong), BackendUnavailable (what is missing) or
        OptionError, a ValueError (threads out of range).
        """
        if threads is not None:
            threads = THREADS.checked("threads", threads)
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

        They may be NumPy's, or whatever gives such an array, as a torch tensor on the CPU does.  On
        the TensorRT back ends [B, 3, H, W] may also lie on the GPU, as anything that speaks DLPack
        or has ``__cuda_array_interface__``: a torch tensor, for example.

        seeds     of the random regions, one per image, for bundles exported with --seed-input;
                  None: the bundle's own for all
        truncate  leave out the regions beyond the token budget instead of raising; ``num_tokens``
                  still counts all of them
        tokens    give the token rows even if the bundle was exported without them

        Batches larger than the bundle's profile are run in parts.  Raises ImageError for arrays
        that do not fit and TokenBudgetExceeded.
        """
        with self._use.call():
            return self._run(images, seeds, truncate, tokens)

    def _run(
        self, images: Any, seeds: Sequence[int] | None, truncate: bool, tokens: bool
    ) -> Output:
        executor = self._executor
        batch = self._batch(images, executor)
        chosen = self._seeds(seeds, len(batch))
        largest = self.bundle.manifest.batch.max
        budget = None if truncate else self.bundle.manifest.token_budget
        parts = []
        for start in range(0, len(batch), largest):
            span = slice(start, start + largest)
            part = executor.run(
                batch[span],  # type: ignore[arg-type]  # on a GPU only for those that adopted it
                seeds=None if chosen is None else chosen[span],
                tokens=tokens,
            )
            _check_budget(part["num_tokens"], budget, start)
            parts.append(part)
        return Output(**_joined(parts))

    def submit(
        self,
        images: NDArray[Any],
        *,
        seeds: Sequence[int] | None = None,
        truncate: bool = False,
        tokens: bool = False,
    ) -> Ticket:
        """Begin what :meth:`run` does and return before it is done.

        Batches are computed in order.  Two are in flight: a third waits until the first is done,
        whether or not its result was asked for.  The TensorRT back ends work on the GPU meanwhile,
        the others in a thread.  Arrays may be written again when this returns; images on the GPU,
        when the result is there.

        Raises ImageError, also for batches larger than the bundle's profile; what happens later is
        raised by the ticket's ``result``.
        """
        with self._use.call():
            return self._submit(images, seeds, truncate, tokens)

    def _submit(
        self, images: Any, seeds: Sequence[int] | None, truncate: bool, tokens: bool
    ) -> Ticket:
        executor = self._executor
        batch = self._batch(images, executor)
        chosen = self._seeds(seeds, len(batch))
        largest = self.bundle.manifest.batch.max
        if len(batch) > largest:
            raise ImageError(f"submit takes up to {largest} images at a time, not {len(batch)}")
        budget = None if truncate else self.bundle.manifest.token_budget
        pending: Pending
        if isinstance(executor, AsyncBackend):
            pending = executor.submit(batch, seeds=chosen, tokens=tokens)
        else:
            assert self._background is not None and isinstance(batch, np.ndarray)
            pending = self._background.submit(batch, seeds=chosen, tokens=tokens)
        return Ticket(pending, budget, self._use)

    def stages(
        self, images: NDArray[np.uint8], *, seeds: Sequence[int] | None = None
    ) -> dict[str, float] | None:
        """Milliseconds of "labels", "features" and "trunk" for one batch, up to the profile's size.

        None where the back end cannot tell them apart.  Raises ImageError.
        """
        with self._use.call():
            executor = self._executor
            batch = self._batch(images, executor)
            if not isinstance(executor, StagedBackend):
                return None
            assert isinstance(batch, np.ndarray)
            return executor.stages(batch, seeds=self._seeds(seeds, len(batch)))

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is a sequence of str, but meant as one
        self, images: _Picture, *, top: int = ...
    ) -> list[Guess]: ...

    @overload
    def predict(self, images: Iterable[_Picture], *, top: int = ...) -> list[list[Guess]]: ...

    def predict(self, images: Any, *, top: int = 5) -> list[Guess] | list[list[Guess]]:
        """The ``top`` likeliest classes of an image file, the likeliest first.

        Of several files, a list for each.  In place of a file there may be an image, uint8
        [h, w, 3].  All are scaled and cropped to the model's size, and regions beyond the token
        budget left out.

        Raises ImageError for what cannot be read, BackendUnavailable if the session is closed.
        """
        if isinstance(images, (str, os.PathLike)) or speaks_numpy(images):
            return self._guesses([images], top)[0]
        largest, all_images = self.bundle.manifest.batch.max, list(images)
        batches = (all_images[i : i + largest] for i in range(0, len(all_images), largest))
        return [guesses for batch in batches for guesses in self._guesses(batch, top)]

    def _guesses(self, images: Sequence[_Picture], top: int) -> list[list[Guess]]:
        output = self.run(self._fitted(images), truncate=True)
        return [likeliest(logits, top) for logits in output.logits]

    def _fitted(self, pictures: Sequence[_Picture]) -> NDArray[np.uint8]:
        size = self.bundle.manifest.preprocessing
        loaded = (
            load_image(one) if isinstance(one, (str, os.PathLike)) else as_array(one)
            for one in pictures
        )
        return np.stack([fit_image(image, size.height, size.width) for image in loaded])

    def close(self) -> None:
        """Finish what is in flight, also in other threads, and release the back end.

        Later calls raise BackendUnavailable.  More than once does no harm, nor in a forked process.
        """
        if self._use.close():
            if self._background is not None:
                self._background.close()
            self._executor.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _batch(self, images: Any, executor: Backend) -> NDArray[np.uint8] | GpuImages:
        size = self.bundle.manifest.preprocessing
        if not on_gpu(images):
            return as_nchw(images, size.height, size.width)
        if not isinstance(executor, AsyncBackend):
            raise ImageError(f"the backend {self.backend} takes no images that are on a GPU")
        return executor.adopt(images)

    def _seeds(self, seeds: Sequence[int] | None, images: int) -> NDArray[np.int64] | None:
        """What to feed the input "seeds", if the graph has one."""
        manifest = self.bundle.manifest
        if not any(spec.name == "seeds" for spec in manifest.inputs):
            if seeds is not None:
                raise OptionError("this bundle takes no seeds: export with --seed-input")
            return None
        if seeds is None:
            seeds = [manifest.tokenizer.seed or 0] * images
        if len(seeds) != images:
            raise OptionError(f"{images} images need {images} seeds, not {len(seeds)}")
        return np.array(seeds, np.int64)


def _check_budget(num_tokens: NDArray[np.int32], budget: int | None, start: int) -> None:
    for index, count in enumerate(num_tokens.tolist()):
        if budget is not None and count > budget:
            raise TokenBudgetExceeded(count, budget, start + index)


def _joined(parts: list[Outputs]) -> dict[str, Any]:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
