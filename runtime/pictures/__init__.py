"""Pictures in and out: image files to batches, and superpixels drawn on photographs."""
