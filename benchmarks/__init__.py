"""Measurements of speed; correctness is the tests' business."""
