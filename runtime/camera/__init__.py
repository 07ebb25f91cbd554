"""``python -m runtime serve-camera``: a bundle on the frames of a camera, a video or a folder."""
