"""Precisions of a trunk: which products may be reduced, and what that costs layer by layer."""
