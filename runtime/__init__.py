"""Run exported bundles, on machines that need neither PyTorch nor the exporter."""

from typing import TYPE_CHECKING

from spit_edge.base.lazy import lazy_names

if TYPE_CHECKING:
    from spit_edge.base.errors import SpitError
    from spit_edge.runtime.errors import (
        BackendUnavailable,
        BundleError,
        ExecutionError,
        ImageError,
        TokenBudgetExceeded,
    )
    from spit_edge.runtime.session import Output, Session
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "spit_edge.base.errors": ("SpitError",),
            f"{__name__}.errors": (
                "BackendUnavailable",
                "BundleError",
                "ExecutionError",
                "ImageError",
                "TokenBudgetExceeded",
            ),
            f"{__name__}.session": ("Output", "Session"),
        },
    )

__all__ = [
    "BackendUnavailable",
    "BundleError",
    "ExecutionError",
    "ImageError",
    "Output",
    "Session",
    "SpitError",
    "TokenBudgetExceeded",
]
