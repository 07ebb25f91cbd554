"""What runs on the device: sent with every call, so it needs the standard library alone."""
