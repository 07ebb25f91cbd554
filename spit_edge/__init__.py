"""SPiT, the superpixel vision transformer, from PyTorch to ONNX and NVIDIA's edge devices.

What there is for programs; everything is imported on first use, so that devices need no PyTorch::

    with spit_edge.Session.open("build/spit_b16-fp16") as session:
        output = session.run(images)  # uint8 [B, H, W, 3]

``superpixel_merge``, ``region_features`` and ``voronoi_tessellation`` are the native kernels;
``load_model`` gives the reference model, and needs PyTorch.
"""

from typing import TYPE_CHECKING

from spit_edge.base.lazy import lazy_names

if TYPE_CHECKING:
    from spit_edge.base.errors import FileError, OptionError, PackageMissing, SpitError
    from spit_edge.base.version import __version__
    from spit_edge.plugins.native.ops import (
        region_features,
        superpixel_merge,
        voronoi_tessellation,
    )
    from spit_edge.runtime.bundle.folder import Bundle
    from spit_edge.runtime.errors import (
        BackendUnavailable,
        BundleError,
        CameraError,
        EngineError,
        ExecutionError,
        ImageError,
        TokenBudgetExceeded,
    )
    from spit_edge.runtime.session import Output, Session
    from spit_edge.spit_ref.download import WeightsError
    from spit_edge.spit_ref.model import load_model
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "spit_edge.base.errors": ("FileError", "OptionError", "PackageMissing", "SpitError"),
            "spit_edge.base.version": ("__version__",),
            "spit_edge.plugins.native.ops": (
                "region_features",
                "superpixel_merge",
                "voronoi_tessellation",
            ),
            "spit_edge.runtime.bundle.folder": ("Bundle",),
            "spit_edge.runtime.errors": (
                "BackendUnavailable",
                "BundleError",
                "CameraError",
                "EngineError",
                "ExecutionError",
                "ImageError",
                "TokenBudgetExceeded",
            ),
            "spit_edge.runtime.session": ("Output", "Session"),
            "spit_edge.spit_ref.download": ("WeightsError",),
            "spit_edge.spit_ref.model": ("load_model",),
        },
    )

__all__ = [
    "BackendUnavailable",
    "Bundle",
    "BundleError",
    "CameraError",
    "EngineError",
    "ExecutionError",
    "FileError",
    "ImageError",
    "OptionError",
    "Output",
    "PackageMissing",
    "Session",
    "SpitError",
    "TokenBudgetExceeded",
    "WeightsError",
    "__version__",
    "load_model",
    "region_features",
    "superpixel_merge",
    "voronoi_tessellation",
]
