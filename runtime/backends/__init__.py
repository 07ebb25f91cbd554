"""What executes a bundle: the back ends, and how one is chosen."""
