"""What executes a bundle, and how one is chosen.

Back ends are entry points of the group ``spit_edge.backends``, so that this package needs none of
the heavy ones and others can add theirs.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from spit_edge.base.install import pip_install
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.errors import BackendUnavailable

if TYPE_CHECKING:
    from spit_edge.runtime.cuda.images import GpuImages

GROUP = "spit_edge.backends"
AUTO_ORDER = ("tensorrt", "tensorrt-split", "onnxruntime", "openvino", "torch")
"""What "auto" tries, best first."""

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


def backend_names() -> list[str]:
    """All back ends known to this installation."""
    return sorted(point.name for point in entry_points(group=GROUP))


def open_backend(name: str, bundle: Bundle, threads: int | None) -> tuple[str, Backend]:
    """The back end ``name``, or for "auto" the first that works here; and its name.

    Raises BackendUnavailable with the reason, or all reasons.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name != "auto":
        if name not in points:
            known = ", ".join(["auto", *sorted(points)])
            raise BackendUnavailable(f"there is no backend {name!r}: choose one of {known}")
        return name, _open(points[name], bundle, threads)
    reasons = []
    for candidate in AUTO_ORDER:
        if candidate in points:
            try:
                return candidate, _open(points[candidate], bundle, threads)
            except BackendUnavailable as error:
                reasons.append(f"{candidate}: {error}")
    why = "; ".join(reasons) or "none is installed; is spit-edge installed with pip?"
    raise BackendUnavailable(f"no backend can run this bundle here ({why})")


def _open(point: EntryPoint, bundle: Bundle, threads: int | None) -> Backend:
    try:
        backend: type[Backend] = point.load()
    except ImportError as error:
        raise BackendUnavailable(
            f"the backend {point.name} needs {error.name or error}: {pip_install(point.name)}"
        ) from error
    made: Backend = backend(bundle, threads)  # type: ignore[call-arg]
    return made
