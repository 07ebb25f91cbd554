"""Run exported bundles, on machines that need neither PyTorch nor the exporter."""

from spit_edge.base.errors import SpitError
from spit_edge.runtime.errors import (
    BackendUnavailable,
    BundleError,
    ExecutionError,
    ImageError,
    TokenBudgetExceeded,
)
from spit_edge.runtime.session import Output, Session

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
