"""``python -m runtime bench``: how fast a bundle is on this device, and what that costs."""
