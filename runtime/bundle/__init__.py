"""Bundles: an exported model in a folder, and the manifest that says what is in it."""
