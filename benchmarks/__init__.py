"""Measurements of speed, with peers in the same run; correctness is the tests' business."""
