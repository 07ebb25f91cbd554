"""The commands of ``python -m export``, a file each."""
