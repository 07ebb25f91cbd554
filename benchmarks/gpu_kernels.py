"""The tokenizer's kernels on a GPU, called through the plugin library."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from spit_edge.plugins.plugin_library import PluginLibraryError, find_library, read_library
from spit_edge.runtime.cuda.gpu import current_gpu
from spit_edge.runtime.cuda.kernels import (
    FLOAT32,
    INTERPOLATIONS,
    Arguments,
    SpitFeatures,
    SpitMerge,
    TokenizerLibrary,
)
from spit_edge.runtime.cuda.op_runs import OpRuns, images_on_gpu
from spit_edge.runtime.errors import BackendUnavailable


def open_library() -> TokenizerLibrary:
    """The plugin library for the GPU here; BackendUnavailable says what is missing."""
    architecture = current_gpu().sm
    try:
        library = read_library(find_library())
        library.check(architecture=architecture)
    except PluginLibraryError as error:
        raise BackendUnavailable(str(error)) from error
    return TokenizerLibrary.load(library.path)


class GpuKernels:
    """Both ops on images that lie on the GPU already; each call waits for its result to be there,
    and leaves it on the GPU."""

    def __init__(
        self,
        library: TokenizerLibrary,
        images: NDArray[np.uint8],
        tokens: int,
        *,
        sigma: float = 0.05,
    ) -> None:
        batch, _, height, width = images.shape
        self._library = library
        with ExitStack() as stack:
            self._gpu = stack.enter_context(OpRuns())
            source = self._gpu.given(images)
            self._labels = self._gpu.array((batch, height, width), np.int32)
            counts = self._gpu.array((batch,), np.int32)
            rows = self._gpu.array((batch, tokens, 1280), np.float32)
            self._merge = SpitMerge(
                images=images_on_gpu(source),
                levels=4,
                labels=self._labels.address,
                counts=counts.address,
            )
            self._features = SpitFeatures(
                images=images_on_gpu(source),
                labels=self._labels.address,
                counts=counts.address,
                max_tokens=tokens,
                bins=16,
                sigma=sigma,
                gradient=1,
                interpolation=INTERPOLATIONS["bilinear"],
                token_type=FLOAT32,
                tokens=rows.address,
            )
            for arguments in (self._merge, self._features):
                self._gpu.prepare(library, arguments)
            self._resources = stack.pop_all()
        self.merge()

    def merge(self) -> None:
        """From images to superpixels."""
        self._run(self._merge)

    def features(self) -> None:
        """From images and their superpixels to token rows."""
        self._run(self._features)

    def _run(self, arguments: Arguments) -> None:
        self._gpu.run(self._library, arguments)
        self._gpu.stream.synchronize()

    def labels(self) -> NDArray[np.int32]:
        """What the last merge gave, int32 [B, H, W]."""
        found: NDArray[np.int32] = self._gpu.values(self._labels)
        return found

    def __enter__(self) -> GpuKernels:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._resources.close()
