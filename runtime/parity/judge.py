"""The one judge of results: what a back end gave against what the reference gives."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spit_edge.runtime.session import Output

FP32_ERROR = 1e-4
"""Largest difference of float32 logits."""
REDUCED_ERROR_RATIO = 2.0
"""Reduced precision may be off by this many times what the reference itself is off when it is run
in that precision (the rule of flash-attention's tests)."""
GATES = {
    "token budget": "no more regions than token slots",
    "num_tokens": "as many regions as the reference",
    "labels": "every pixel in the same region",
    "tokens": "token rows equal to the bit",
    "cosine": "logits point the same way: cosine at least 0.9999, in bf16 0.999",
    "error": "largest difference of a logit: 1e-4 in fp32, else twice the reference's own error "
    "in that precision",
    "top-1": "same class, unless two are closer than the allowed error",
}
"""What must hold for each image, by name."""
COSINE = {"fp32": 0.9999, "fp16": 0.9999, "bf16": 0.999}


@dataclass(frozen=True)
class Expected:
    """The reference's answer for one image.

    labels           int32 [H, W]
    num_tokens       number of regions
    tokens_sha256    of the valid token rows
    logits           float32 [classes]
    precision_error  largest error of the reference's logits when it runs in the bundle's precision
    """

    labels: NDArray[np.int32]
    num_tokens: int
    tokens_sha256: str
    logits: NDArray[np.float32]
    precision_error: float


@dataclass(frozen=True)
class ImageParity:
    """One row of the parity table.  ``failures`` names the gates that did not hold."""

    image: str
    num_tokens: int
    differing_labels: int
    tokens_equal: bool
    cosine: float
    error: float
    error_limit: float
    top1: int
    expected_top1: int
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.failures


def all_passed(rows: Collection[ImageParity]) -> bool:
    """Whether every image passed; False where there are none, for then nothing was compared."""
    return bool(rows) and all(row.passed for row in rows)


def tokens_sha256(tokens: NDArray[Any], count: int) -> str:
    """Hash of the first ``count`` rows of tokens [T, D], as little-endian float32."""
    rows = np.ascontiguousarray(tokens[:count], dtype="<f4")
    return hashlib.sha256(rows.tobytes()).hexdigest()


def error_limit(precision: str, precision_error: float) -> float:
    """Largest allowed difference of a logit."""
    return FP32_ERROR if precision == "fp32" else REDUCED_ERROR_RATIO * precision_error


def compare(
    image: str, output: Output, index: int, expected: Expected, precision: str
) -> ImageParity:
    """Judge image number ``index`` of ``output``, which must hold tokens."""
    assert output.tokens is not None, "run the session with tokens=True"
    logits = output.logits[index].astype(np.float64)
    wanted = expected.logits.astype(np.float64)
    num_tokens = int(output.num_tokens[index])
    same_shape = output.labels[index].shape == expected.labels.shape
    differing = (
        int(np.count_nonzero(output.labels[index] != expected.labels))
        if same_shape
        else expected.labels.size
    )
    tokens_equal = tokens_sha256(output.tokens[index], num_tokens) == expected.tokens_sha256
    cosine = float(logits @ wanted / (np.linalg.norm(logits) * np.linalg.norm(wanted)))
    error = float(np.abs(logits - wanted).max())
    limit = error_limit(precision, expected.precision_error)
    top1, expected_top1 = int(logits.argmax()), int(wanted.argmax())
    # A reference that overflows in this precision allows nothing.
    allowed = limit if math.isfinite(limit) else -math.inf
    # Two classes closer than the allowed error cannot be told apart by anyone.
    tied = wanted[expected_top1] - wanted[top1] <= 2.0 * allowed
    holds = {
        "token budget": num_tokens <= len(output.tokens[index]),
        "num_tokens": num_tokens == expected.num_tokens,
        "labels": differing == 0,
        "tokens": tokens_equal,
        "cosine": cosine >= COSINE[precision],
        "error": error <= allowed,
        "top-1": top1 == expected_top1 or bool(tied),
    }
    return ImageParity(
        image=image,
        num_tokens=num_tokens,
        differing_labels=differing,
        tokens_equal=tokens_equal,
        cosine=cosine,
        error=error,
        error_limit=limit,
        top1=top1,
        expected_top1=expected_top1,
        failures=tuple(name for name in GATES if not holds[name]),
    )
