"""Pictures in and out: image files to batches, and superpixels drawn on photographs."""

from spit_edge.runtime.images.folder import ImageFolder, find_images
from spit_edge.runtime.images.loading import (
    Pixels,
    as_array,
    as_nchw,
    fit_image,
    fitted_samples,
    load_fitted,
    load_image,
    sample_photos,
    speaks_numpy,
)

__all__ = [
    "ImageFolder",
    "Pixels",
    "as_array",
    "as_nchw",
    "find_images",
    "fit_image",
    "fitted_samples",
    "load_fitted",
    "load_image",
    "sample_photos",
    "speaks_numpy",
]
