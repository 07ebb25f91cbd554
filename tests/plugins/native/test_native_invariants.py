"""What holds for every image: dense labels in raster order, connected regions, no batch effects."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from spit_edge.plugins.native import ops

images = st.tuples(st.integers(1, 3), st.just(3), st.integers(1, 24), st.integers(1, 24)).flatmap(
    lambda shape: hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 90, 200, 255]))
)
options = st.fixed_dictionaries(
    {
        "levels": st.integers(0, 5),
        "compactness": st.sampled_from([None, 0.1, 1.0]),
        "final_threshold": st.sampled_from([0.0, 0.05, 0.5]),
        "threads": st.sampled_from([1, 2, 7]),
    }
)


def connected_regions(labels: NDArray[Any]) -> int:
    """4-connected pieces of equal labels, by a flood fill."""
    height, width = labels.shape
    seen = np.zeros(labels.shape, dtype=bool)
    pieces = 0
    for start in np.ndindex(height, width):
        if seen[start]:
            continue
        pieces += 1
        seen[start] = True
        stack = [start]
        while stack:
            y, x = stack.pop()
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= near[0] < height and 0 <= near[1] < width
                if inside and not seen[near] and labels[near] == labels[y, x]:
                    seen[near] = True
                    stack.append(near)
    return pieces


@settings(max_examples=60, deadline=None)
@given(images, options)
def test_partition(batch: NDArray[np.uint8], chosen: dict[str, Any]) -> None:
    labels, counts = ops.superpixel_merge(batch, **chosen)
    for image, count in zip(labels, counts, strict=True):
        values, first = np.unique(image, return_index=True)
        np.testing.assert_array_equal(values, np.arange(count))
        assert np.all(np.diff(first) > 0)
        assert connected_regions(image) == count


@settings(max_examples=40, deadline=None)
@given(images, options)
def test_batch_independence(batch: NDArray[np.uint8], chosen: dict[str, Any]) -> None:
    labels, counts = ops.superpixel_merge(batch, **chosen)
    tokens = ops.region_features(batch, labels, counts, bins=4)
    for index in range(len(batch)):
        alone, count = ops.superpixel_merge(batch[index : index + 1].copy(), **chosen)
        np.testing.assert_array_equal(alone[0], labels[index])
        rows = ops.region_features(batch[index : index + 1].copy(), alone, count, bins=4)
        np.testing.assert_array_equal(rows[0], tokens[index, : count[0]])
        assert not tokens[index, count[0] :].any()
