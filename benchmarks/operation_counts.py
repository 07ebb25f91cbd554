"""float32 operations of the kernels' formulas: + - * / and square roots, each counted as one.

Comparisons, choices, conversions and integers are not counted.  The elementary functions are those
of ``plugins/kernels/exact.hpp``; a test counts the reference's operations and compares.
"""

from __future__ import annotations

SCALE = 1
ROUND = 2
EXP_POLYNOMIAL = 14
LOG_TAIL = 21
SPLIT = 2
EXP = 1 + ROUND + 4 + EXP_POLYNOMIAL + SCALE
LOG = SPLIT + 1 + LOG_TAIL + 5
POWER = SPLIT + 1 + LOG_TAIL + 1 + 1 + 1 + (2 + ROUND) + 6 + EXP_POLYNOMIAL + SCALE
ASINH = 1 + 6 + 6 + 1 + 3 + (1 + 1 + 1 + LOG)

UNIT = 1
"""A byte to [0, 1]."""
CONTRAST = UNIT + 2 * POWER + 2
DOT = 7
SCORE = DOT + 1 + 1 + 2 + 2
"""Similarity of two vertices, as a whole number."""
GRADIENT = 3 + 4 + 1 + ASINH + 1
"""Scharr filter of summed channels and its stretching."""
SUMMED_CHANNELS = 3 * UNIT + 2

_GREY = 5
_STRETCHED = 1 + ASINH + 1
_OPPONENT = _GREY + 3 * 3 + _GREY + (2 + _STRETCHED) + 2 * (2 + _STRETCHED)
_FLUX = 1 + 2 + EXP + 1
_DIFFUSION = 4 * 3 * (2 * _FLUX + 3 + 2)
_GRADIENT_LENGTH = SUMMED_CHANNELS + 2 * GRADIENT + 6

VERTEX_FEATURES = _GRADIENT_LENGTH + 3 * CONTRAST + _OPPONENT + _DIFFUSION + DOT + 1
"""A pixel of ``VertexFeatures``, the halo that neighbouring tiles compute twice left out."""
PIXEL_CHOICE = 4 * SCORE
STAY_ALONE = 3 + 2 + 2
MEAN = 4 * 2 + DOT + 1
"""A component's features from its sums, and their length."""

WEIGHT = 5 + EXP + 1
"""One Gaussian weight of a histogram."""
SAMPLE = 4 + 3 + 4 * (1 + 3 * 4 + 1)
"""Colours of one cell of a token row, from four pixels."""
HISTOGRAM_VALUE = 2
