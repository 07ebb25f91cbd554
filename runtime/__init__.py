"""Run exported bundles, on machines that need neither PyTorch nor the exporter."""

from runtime.errors import (
    BackendUnavailable,
    BundleError,
    ExecutionError,
    ImageError,
    SpitError,
    TokenBudgetExceeded,
)
from runtime.session import Output, Session

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
