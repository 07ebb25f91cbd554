"""Pictures in and out: image files to batches, and superpixels drawn on photographs."""

from spit_edge.runtime.images.loading import (
    Pixels,
    as_nchw,
    find_images,
    fit_image,
    fitted_samples,
    load_image,
    sample_photos,
)

__all__ = [
    "Pixels",
    "as_nchw",
    "find_images",
    "fit_image",
    "fitted_samples",
    "load_image",
    "sample_photos",
]
