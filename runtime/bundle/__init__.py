"""Bundles: an exported model in a folder, and the manifest that says what is in it."""

from spit_edge.runtime.bundle.folder import Bundle, new_bundle

__all__ = ["Bundle", "new_bundle"]
