"""Elementary functions that give the same bits everywhere.

The merge step turns a difference in the last bit of a score into a different superpixel, so
everything before the labels uses only individually rounded IEEE float32 ``+ - * /`` and ``sqrt`` in
a fixed order, and integers.  The functions below are built from nothing else; a kernel that
performs the same operations in the same order, without fusing a product and a sum, gives the same
bits.

Measured largest errors against float64 (``tests/spit_ref/test_exact.py`` holds them below 2 ulp):

====================  ==================  =========
function              range               ulp
====================  ==================  =========
``exp``               [-87, 0]            0.99
``log``               [2^-126, 2^126]     0.89
``power``             x in [2^-126, 1]    1.63
``asinh``             [-32, 32]           1.41
====================  ==================  =========

The polynomials of ``exp`` and ``log`` are those of Cephes (S. Moshier, ``expf.c``, ``logf.c``); the
rational function of ``asinh`` was fitted for this project.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LOG2_E = 1.44269504088896341
# ln 2 in two parts; the first has so few bits that n * LN2_HIGH is exact for |n| < 2^10.
LN2_HIGH = 0.693359375
LN2_LOW = -2.12194440e-4
LN2 = 0.69314718055994531
SQRT_HALF = 0.70710678118654752

# Adding and subtracting 1.5 * 2^23 rounds a float32 of less than 2^22 to the nearest integer.
ROUND_TO_INTEGER = 12582912.0

EXP_LOWEST = -87.0
"""``exp`` of anything smaller is 0 by definition, so that no subnormal number ever appears."""

SMALLEST_NORMAL = 2.0**-126

EXP_COEFFICIENTS = (
    1.9875691500e-4,
    1.3981999507e-3,
    8.3334519073e-3,
    4.1665795894e-2,
    1.6666665459e-1,
    5.0000001201e-1,
)
LOG_COEFFICIENTS = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
# asinh(x) = x - x^3 P(x^2) / Q(x^2) for |x| < 3/2, relative error of the fit 1.8e-9.
ASINH_LIMIT = 1.5
ASINH_P = (
    0.0001791205033498806,
    0.026574926781747596,
    0.15215765251667241,
    0.16666655139489864,
)
ASINH_Q = (
    0.045228751026465186,
    0.50500330419530988,
    1.362932400638765,
    1.0,
)


def divide(a: Tensor, b: float) -> Tensor:
    """``a / b``, correctly rounded: some back ends replace ``a / scalar`` by a product."""
    return a / torch.full_like(a, b)


def sqrt(x: Tensor) -> Tensor:
    """The correctly rounded square root of float32 ``x``.

    ``torch.sqrt`` may call a vector library that is off by one ulp, and not for all places of a
    tensor alike.  A square root in float64, rounded once more, is right whatever its own last bit:
    no root of a float32 comes near enough to the middle between two others.
    """
    return torch.sqrt(x.to(torch.float64)).to(torch.float32)


def horner(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """The polynomial with ``coefficients`` (highest power first), one rounding per operation."""
    result = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result = result * x + coefficient
    return result


def exp(x: Tensor) -> Tensor:
    """e^x for float32 ``x`` <= 0; exactly 0 for ``x`` < -87."""
    clipped = torch.clamp(x, min=EXP_LOWEST)
    n = _round(clipped * LOG2_E)
    r = (clipped - n * LN2_HIGH) - n * LN2_LOW
    value = _scale(_exp_polynomial(r), n)
    return torch.where(x < EXP_LOWEST, torch.zeros_like(x), value)


def log(x: Tensor) -> Tensor:
    """Natural logarithm for float32 ``x``, positive and normal."""
    e, m = _split(x)
    r = m - 1.0
    tail = _log_tail(r)
    return (r + (tail + e * LN2_LOW)) + e * LN2_HIGH


@dataclass(frozen=True)
class Exponent:
    """A constant exponent in two parts: ``high`` has 12 bits, so ``high * e`` is exact for the
    binary exponent e of any float32."""

    high: float
    low: float

    @staticmethod
    def of(value: float) -> Exponent:
        high = round(value * 4096.0) / 4096.0
        return Exponent(high, value - high)


def power(x: Tensor, exponent: Exponent) -> Tensor:
    """``x`` to a constant power between 0 and 1, for ``x`` in [0, 1]; subnormal ``x`` count as 0.

    x = 2^e m gives x^p = 2^(p e) m^p.  The whole part of the exponent is taken off exactly, so the
    error does not grow with |log x|.
    """
    tiny = x < SMALLEST_NORMAL
    e, m = _split(torch.where(tiny, torch.ones_like(x), x))
    r = m - 1.0
    log_m = r + _log_tail(r)
    scaled = log_m * (exponent.high + exponent.low)
    high = e * exponent.high
    n = _round(high + scaled * LOG2_E)
    rest = ((high - n) * LN2 + scaled) + (e * exponent.low) * LN2
    return torch.where(tiny, torch.zeros_like(x), _scale(_exp_polynomial(rest), n))


def asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine for float32 ``x`` of less than 2^60 in size."""
    size = x.abs()
    square = size * size
    ratio = horner(square, ASINH_P) / horner(square, ASINH_Q)
    near = size - size * (square * ratio)
    far = log(size + sqrt(square + 1.0))
    return torch.copysign(torch.where(size < ASINH_LIMIT, near, far), x)


def _round(x: Tensor) -> Tensor:
    return (x + ROUND_TO_INTEGER) - ROUND_TO_INTEGER


def _exp_polynomial(r: Tensor) -> Tensor:
    """e^r for |r| <= 0.35."""
    return (horner(r, EXP_COEFFICIENTS) * (r * r) + r) + 1.0


def _log_tail(r: Tensor) -> Tensor:
    """log(1 + r) - r for 1 + r in [sqrt(1/2), sqrt(2))."""
    z = r * r
    return horner(r, LOG_COEFFICIENTS) * (z * r) - z * 0.5


def _split(x: Tensor) -> tuple[Tensor, Tensor]:
    """``x = 2^e m``, ``m`` in [sqrt(1/2), sqrt(2)), ``e`` as float32; ``x`` positive, normal."""
    bits = x.contiguous().view(torch.int32)
    e = ((bits >> 23) - 126).to(torch.float32)
    m = ((bits & 0x007FFFFF) | 0x3F000000).view(torch.float32)  # [1/2, 1)
    low = m < SQRT_HALF
    return torch.where(low, e - 1.0, e), torch.where(low, m + m, m)


def _scale(x: Tensor, n: Tensor) -> Tensor:
    """``x * 2^n`` for whole ``n`` in [-126, 127]."""
    return x * ((n.to(torch.int32) + 127) << 23).view(torch.float32)
