"""What can go wrong while a bundle is opened and run, one class per kind of cure."""

from __future__ import annotations

from spit_edge.base.errors import SpitError


class BundleError(SpitError):
    """A bundle is missing, incomplete, damaged or of another version; or cannot be written."""


class ImageError(SpitError):
    """An image cannot be read, does not fit the model's input, or cannot be written."""


class CameraError(SpitError):
    """A camera, video or folder gives no frames, or its results have no place."""


class BackendUnavailable(SpitError):
    """The asked-for backend cannot run on this machine."""


class EngineError(SpitError):
    """An engine cannot be built, is missing or damaged, or was built for something else."""


class ExecutionError(SpitError):
    """A backend failed while it ran the graph."""


class TokenBudgetExceeded(SpitError):
    """An image has more superpixels than the bundle has token slots.

    ``image`` is the index in the batch, from 0.
    """

    def __init__(self, num_tokens: int, budget: int, image: int) -> None:
        # The three numbers are the exception's args, so that it survives pickling.
        super().__init__(num_tokens, budget, image)
        self.num_tokens = num_tokens
        self.budget = budget
        self.image = image

    def __str__(self) -> str:
        return (
            f"images[{self.image}] has {self.num_tokens} superpixels but the token budget is "
            f"{self.budget}: rebuild with --max-tokens {self.num_tokens} or more, "
            "or drop the rest with run(..., truncate=True)"
        )
