"""Run with the Python of an environment that has the wheel: one photograph gives the labels that it
gives everywhere.  Needs nothing of the checkout."""

from __future__ import annotations

import hashlib

from spit_edge.plugins import region_features, superpixel_merge
from spit_edge.runtime.images import as_nchw, fit_image, load_image, sample_photos

LABELS = "8e7643b2ca42daf4e5133c53535aef33040a7baf582bca1b5030b833396235b8"


def main() -> None:
    photograph = fit_image(load_image(sample_photos()["chelsea"]), 224, 224)
    images = as_nchw(photograph, 224, 224)
    labels, counts = superpixel_merge(images)
    tokens = region_features(images, labels, counts)
    assert tokens.shape == (1, counts[0], 1280), tokens.shape
    found = hashlib.sha256(labels.astype("<i4").tobytes()).hexdigest()
    assert found == LABELS, found
    print(f"{counts[0]} superpixels, as everywhere")


if __name__ == "__main__":
    main()
