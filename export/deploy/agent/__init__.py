"""What runs on the device: sent along with every call, so it needs the standard library only."""
