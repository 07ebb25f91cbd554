"""NVIDIA Jetson: what device this is, how it is set up, and what power it draws."""
