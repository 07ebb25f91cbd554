"""The golden data of ``data/goldens`` (its README says what it holds) and the measure labels are
compared by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FOLDER = Path(__file__).with_name("data") / "goldens"
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")


@dataclass(frozen=True)
class PartitionCase:
    """``labels`` [H, W] of an image, and the vertices before and after each level."""

    image: str
    kind: Literal["plain", "compact", "threshold_0.1"]
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int16]
    counts: NDArray[np.int32] | None

    @property
    def name(self) -> str:
        return f"{self.image}-{self.kind}"

    @property
    def is_photograph(self) -> bool:
        return self.image.startswith(PHOTOGRAPHS)

    @property
    def options(self) -> dict[str, Any]:
        """For ``superpixel_merge``."""
        threshold = 0.1 if self.kind == "threshold_0.1" else 0.0
        return {
            "compactness": 0.1 if self.kind == "compact" else None,
            "final_threshold": threshold,
        }


@dataclass(frozen=True)
class TokenCase:
    """Token rows [N, D] of given labels [H, W]."""

    image: str
    gradient: bool
    sigma: float
    interpolation: Literal["bilinear", "nearest"]
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int16]
    tokens: NDArray[np.float32]

    @property
    def name(self) -> str:
        return f"{self.image}-{self.tokens.shape[1]}-{self.sigma:g}-{self.interpolation}"


@dataclass(frozen=True)
class FeatureCase:
    """Base features [H, W, 7] and vertex features [H, W, 4] of an image."""

    name: str
    pixels: NDArray[np.uint8]
    base: NDArray[np.float32]
    vertex: NDArray[np.float32]


@dataclass(frozen=True)
class LogitCase:
    """Logits [10] of the tiny model on given labels [H, W]."""

    image: str
    gradient: bool
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int16]
    logits: NDArray[np.float32]

    @property
    def name(self) -> str:
        return f"{self.image}-{'gradient' if self.gradient else 'plain'}"


def checkpoint(gradient: bool) -> Path:
    """The tiny model's checkpoint that the logits were computed with."""
    return FOLDER / f"tiny_{'gradient' if gradient else 'plain'}.pth"


def partition_cases() -> list[PartitionCase]:
    data = _load("partitions")
    return [
        PartitionCase(
            image,
            kind,  # type: ignore[arg-type]
            data[f"{image}/image"],
            labels,
            data.get(f"{image}/{kind}/counts"),
        )
        for (image, kind), labels in _ending("partitions", "labels")
    ]


def token_cases() -> list[TokenCase]:
    data = _load("tokens")
    cases = []
    for key, tokens in data.items():
        found = re.fullmatch(r"(\w+)/gradient=([01]),sigma=([\d.]+),mode=(\w+)", key)
        if found:
            image, gradient, sigma, mode = found.groups()
            pixels, labels = data[f"{image}/image"], data[f"{image}/labels"]
            case = (image, gradient == "1", float(sigma), mode, pixels, labels, tokens)
            cases.append(TokenCase(*case))
    return cases


def feature_cases() -> list[FeatureCase]:
    data = _load("tokens")
    return [
        FeatureCase(image, data[f"{image}/image"], base, data[f"{image}/vertex_features"])
        for (image,), base in _ending("tokens", "base_features")
    ]


def logit_cases() -> list[LogitCase]:
    data = _load("logits")
    return [
        LogitCase(
            image,
            kind == "gradient",
            data[f"{image}/image"],
            data[f"{image}/{kind}/labels"],
            logits,
        )
        for (image, kind), logits in _ending("logits", "logits")
    ]


def as_batch(pixels: NDArray[np.uint8]) -> Tensor:
    """An image [H, W, 3] as uint8 [1, 3, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).unsqueeze(0)


def adjusted_rand_index(a: NDArray[Any], b: NDArray[Any]) -> float:
    """How well two partitions agree (Hubert and Arabie 1985, doi 10.1007/BF01908075): 1 for the
    same, about 0 for unrelated ones.  Integer arrays of one shape; raises ValueError otherwise."""
    if a.shape != b.shape or a.size == 0:
        raise ValueError(f"label maps of one size are needed, not {a.shape} and {b.shape}")
    if a.dtype.kind not in "iu" or b.dtype.kind not in "iu":
        raise ValueError(f"label maps are integers, not {a.dtype} and {b.dtype}")
    _, first = np.unique(a.ravel(), return_inverse=True)
    _, second = np.unique(b.ravel(), return_inverse=True)
    _, joint = np.unique(first * (int(second.max()) + 1) + second, return_counts=True)
    same_in_both = _pairs(joint)
    same_in_a, same_in_b = _pairs(np.bincount(first)), _pairs(np.bincount(second))
    every = _pairs(np.array([a.size]))
    expected = same_in_a * same_in_b / max(every, 1)
    best = (same_in_a + same_in_b) / 2
    return 1.0 if best == expected else (same_in_both - expected) / (best - expected)


def _pairs(sizes: NDArray[np.int64]) -> int:
    """Unordered pairs within groups of these sizes."""
    return sum(n * (n - 1) // 2 for n in sizes.tolist())


@cache
def _load(name: str) -> dict[str, NDArray[Any]]:
    with np.load(FOLDER / f"{name}.npz") as archive:
        return {key: archive[key] for key in archive.files}


def _ending(name: str, last: str) -> list[tuple[tuple[str, ...], NDArray[Any]]]:
    """The arrays whose keys end with ``last``, by the parts of the key in front of it."""
    arrays = []
    for key, array in _load(name).items():
        *front, end = key.split("/")
        if end == last and front:
            arrays.append((tuple(front), array))
    return arrays
