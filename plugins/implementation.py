"""The seam between the ops and what computes them.

Everything that executes an op outside TensorRT asks here.  As long as there are no native kernels
the PyTorch reference computes them; this file is the only one that knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, ...]
Implementation = Callable[..., Arrays]
"""Takes the op's inputs as arrays and its attributes by name, gives its outputs."""


def superpixel_merge(images: np.ndarray, **attributes: Any) -> Arrays:
    """The op SuperpixelMerge."""
    import torch

    from spit_ref.custom_ops import superpixel_merge_op

    labels, counts = superpixel_merge_op(torch.from_numpy(images), **attributes)
    return labels.numpy(), counts.numpy()


def region_features(
    images: np.ndarray, labels: np.ndarray, counts: np.ndarray, **attributes: Any
) -> Arrays:
    """The op RegionFeatures."""
    import torch

    from spit_ref.custom_ops import region_features_op

    inputs = [torch.from_numpy(array) for array in (images, labels, counts)]
    return (region_features_op(*inputs, **attributes).numpy(),)


IMPLEMENTATIONS: dict[str, Implementation] = {
    "SuperpixelMerge": superpixel_merge,
    "RegionFeatures": region_features,
}
