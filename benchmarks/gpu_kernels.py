"""The tokenizer's kernels on a GPU, called through the plugin library."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from spit_edge.plugins.plugin_library import PluginLibraryError, find_library, read_library
from spit_edge.runtime.cuda.api import Stream
from spit_edge.runtime.cuda.gpu import current_device
from spit_edge.runtime.cuda.kernels import (
    FLOAT32,
    INTERPOLATIONS,
    PIXELS,
    SpitFeatures,
    SpitImages,
    SpitMerge,
    TokenizerLibrary,
)
from spit_edge.runtime.cuda.memory import DeviceArray, DeviceMemory, PinnedArray, download, upload
from spit_edge.runtime.errors import BackendUnavailable


def open_library() -> TokenizerLibrary:
    """The plugin library for the GPU here; BackendUnavailable says what is missing."""
    architecture = current_device().sm
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
            self._stream = stack.enter_context(Stream())
            source = stack.enter_context(DeviceArray(images.shape, np.uint8))
            self._labels = stack.enter_context(DeviceArray((batch, height, width), np.int32))
            self._counts = stack.enter_context(DeviceArray((batch,), np.int32))
            rows = stack.enter_context(DeviceArray((batch, tokens, 1280), np.float32))
            with PinnedArray.like(source) as pinned:
                upload(images, pinned, source, self._stream)
                self._stream.synchronize()
            given = SpitImages(source.address, 0, PIXELS["uint8"], batch, height, width)
            self._merge = SpitMerge(
                images=given,
                levels=4,
                labels=self._labels.address,
                counts=self._counts.address,
            )
            self._features = SpitFeatures(
                images=given,
                labels=self._labels.address,
                counts=self._counts.address,
                max_tokens=tokens,
                bins=16,
                sigma=sigma,
                gradient=1,
                interpolation=INTERPOLATIONS["bilinear"],
                token_type=FLOAT32,
                tokens=rows.address,
            )
            for arguments in (self._merge, self._features):
                workspace = stack.enter_context(DeviceMemory(library.workspace(arguments)))
                arguments.workspace = workspace.address
            self._resources = stack.pop_all()
        self.merge()

    def merge(self) -> None:
        """From images to superpixels."""
        self._library.enqueue(self._merge, int(self._stream))
        self._stream.synchronize()

    def features(self) -> None:
        """From images and their superpixels to token rows."""
        self._library.enqueue(self._features, int(self._stream))
        self._stream.synchronize()

    def labels(self) -> NDArray[np.int32]:
        """What the last merge gave, int32 [B, H, W]."""
        with PinnedArray.like(self._labels) as pinned:
            download(self._labels, pinned, self._labels.shape[0], self._stream)
            self._stream.synchronize()
            found: NDArray[np.int32] = pinned.view.copy()
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
