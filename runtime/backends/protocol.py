"""What a back end is to a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from spit_edge.runtime.cuda.images import GpuImages

Outputs = dict[str, NDArray[Any]]


class Backend(Protocol):
    """Executes one bundle.  Made by ``Backend(bundle, threads)``; raises BackendUnavailable."""

    def run(
        self,
        images: NDArray[np.uint8],
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Outputs:
        """Images [B, 3, H, W], and ``seeds`` [B] for graphs that take them, to outputs by name.

        With ``tokens``, the rows that entered the trunk (float32 [B, T, D]) are among them whether
        or not the graph gives them.
        """

    def close(self) -> None:
        """Release what the back end holds."""


class Pending(Protocol):
    """Outputs that are being computed."""

    def result(self) -> Outputs:
        """The outputs, waited for; raises what went wrong.  May be called again."""


@runtime_checkable
class AsyncBackend(Backend, Protocol):
    """A back end on a GPU, which computes while the host goes on.  Any thread may use it.

    Batches are computed in the order of ``submit``; few are in flight at a time.
    """

    def submit(
        self,
        images: NDArray[np.uint8] | GpuImages,
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Pending:
        """Begin what ``run`` does; waits only if as many batches as possible are in flight.

        Arrays may be written again when this returns; images on the GPU, when the result is there.
        """

    def adopt(self, images: Any) -> GpuImages:
        """Images that lie on the GPU, without a copy: ``spit_edge.runtime.cuda.images.adopt``."""


@runtime_checkable
class StagedBackend(Backend, Protocol):
    """A back end whose stages can be told apart."""

    def stages(
        self, images: NDArray[np.uint8], *, seeds: NDArray[np.int64] | None = None
    ) -> dict[str, float]:
        """Run one batch alone; milliseconds of "labels", "features" and "trunk"."""
