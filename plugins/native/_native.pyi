from typing import Any

import numpy as np
from numpy.typing import NDArray

def superpixel_merge(
    images: NDArray[Any],
    pixels: str,
    levels: int,
    compactness: float,
    final_threshold: float,
    threads: int,
    executor: str,
    seed: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
def region_features(
    images: NDArray[Any],
    labels: NDArray[np.int32],
    counts: NDArray[np.int32],
    pixels: str,
    max_tokens: int,
    bins: int,
    sigma: float,
    gradient: bool,
    interpolation: str,
    threads: int,
    executor: str,
    seed: int,
) -> NDArray[np.float32]: ...
def voronoi_tessellation(
    seeds: NDArray[np.int64], height: int, width: int, threads: int, executor: str, seed: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
def info() -> dict[str, Any]: ...
