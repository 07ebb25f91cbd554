"""``python -m export deploy``: a bundle onto a device over ssh, checked there before use."""
