"""The elementary functions: how far off they are, and that they give the same bits everywhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from spit_edge.spit_ref import exact
from spit_edge.spit_ref.pixel_features import CONTRAST_BETA, CONTRAST_LAMBDA

F32 = np.float32
SMALLEST = exact.SMALLEST_NORMAL
SAMPLES = 400_000
EXPONENTS = CONTRAST_LAMBDA + CONTRAST_BETA

Function = Callable[[Tensor], Tensor]
Truth = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def log_spaced(low: float, high: float, samples: int = SAMPLES) -> Tensor:
    """Positive float32 values, evenly spaced as bit patterns: as many in every binade.

    Both ends are among them, and they are the same on every machine.
    """
    first, last = np.array([low, high], np.float32).view(np.int32).tolist()
    steps = np.arange(samples, dtype=np.int64) * (last - first) // (samples - 1)
    return torch.from_numpy((first + steps).astype(np.int32).view(np.float32))


def evenly_spaced(low: float, high: float, samples: int = SAMPLES) -> Tensor:
    return torch.from_numpy(np.linspace(low, high, samples).astype(np.float32))


def around(*values: float) -> Tensor:
    """``values`` and the float32 numbers before and after each of them."""
    middle = np.array(values, np.float32)
    below, above = np.nextafter(middle, -np.inf), np.nextafter(middle, np.inf)
    return torch.from_numpy(np.concatenate([below, middle, above]).astype(np.float32))


def ulp_error(function: Function, truth: Truth, x: Tensor) -> float:
    """Largest error over ``x`` in units of the last float32 place of the true value."""
    expected = truth(x.numpy().astype(np.float64))
    error = np.abs(function(x).numpy().astype(np.float64) - expected)
    return float((error / np.spacing(np.abs(expected).astype(np.float32))).max())


def power(exponent: float) -> Function:
    return lambda x: exact.power(x, exact.Exponent.of(exponent))


def power_truth(exponent: float) -> Truth:
    return lambda x: x**exponent


def stated_error(name: str) -> float:
    """The error that the module's docstring admits."""
    found = re.search(rf"^``{name}`` .* (\d\.\d\d)$", exact.__doc__ or "", re.MULTILINE)
    assert found, f"the docstring of spit_edge.spit_ref.exact states no error of {name}"
    return float(found[1])


POWERS_OF_TWO = around(*(2.0**e for e in range(-125, 126)))

FUNCTIONS: dict[str, tuple[Function, Truth, Tensor]] = {
    "exp": (
        exact.exp,
        np.exp,
        torch.cat(
            [
                -log_spaced(2.0**-40, 87.0),
                evenly_spaced(-87.0, 0.0),
                around(-1.0, -0.5 * np.log(2.0), -1.5 * np.log(2.0)),
                torch.tensor([0.0, -0.0, -87.0]),
            ]
        ),
    ),
    "log": (
        exact.log,
        np.log,
        torch.cat(
            [
                log_spaced(SMALLEST, 2.0**126),
                log_spaced(0.25, 4.0),
                around(1.0, 0.5**0.5, 2.0**0.5),
                POWERS_OF_TWO,
                torch.tensor([SMALLEST, 2.0**126]),
            ]
        ),
    ),
    "asinh": (
        exact.asinh,
        np.arcsinh,
        torch.cat(
            [
                log_spaced(SMALLEST, 32.0),
                evenly_spaced(-32.0, 32.0),
                -log_spaced(0.5, 4.0),
                around(1.5, -1.5, 1.0, -1.0, 27.8, -27.8),
                torch.tensor([0.0, 32.0, -32.0]),
            ]
        ),
    ),
}
POWER_INPUT = torch.cat(
    [
        log_spaced(SMALLEST, 1.0),
        log_spaced(2.0**-9, 1.0),
        evenly_spaced(2.0**-20, 1.0),
        POWERS_OF_TWO[POWERS_OF_TWO <= 1.0],
    ]
)


@pytest.fixture
def thread_counts() -> Iterator[None]:
    """A test may change the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_is_as_stated_and_below_two_ulp(name: str) -> None:
    error = ulp_error(*FUNCTIONS[name])
    assert 0.5 < error <= stated_error(name) < 2.0


def test_error_of_power_is_as_stated_and_below_two_ulp() -> None:
    worst = max(ulp_error(power(p), power_truth(p), POWER_INPUT) for p in EXPONENTS)
    assert 0.5 < worst <= stated_error("power") < 2.0


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_power_of_every_uint8_value(exponent: float) -> None:
    unit = torch.arange(256, dtype=torch.float32) / torch.full((256,), 255.0)
    assert float(power(exponent)(unit)[0]) == 0.0
    assert ulp_error(power(exponent), power_truth(exponent), unit[1:]) <= 2.0


def test_error_measure_sees_one_ulp() -> None:
    x = log_spaced(0.5, 2.0, 1001)

    def off_by_two(x: Tensor) -> Tensor:
        return (x.view(torch.int32) + 2).view(torch.float32)

    assert ulp_error(lambda x: x, lambda x: x, x) == 0.0
    assert ulp_error(off_by_two, lambda x: x, x) == 2.0


def test_exp_at_its_ends() -> None:
    lowest = float(np.nextafter(np.float32(-87.0), np.float32(-np.inf)))
    x = torch.tensor([0.0, -0.0, -87.0, lowest, -88.0, -1e30, float("-inf")])
    one, minus_zero, boundary, *beyond = exact.exp(x).tolist()
    assert one == minus_zero == 1.0
    assert boundary == pytest.approx(np.exp(-87.0), rel=2e-7)
    assert beyond == [0.0] * 4


def test_log_of_one_and_of_powers_of_two() -> None:
    assert float(exact.log(torch.tensor(1.0))) == 0.0
    assert ulp_error(exact.log, np.log, POWERS_OF_TWO) < 1.0


def test_power_at_its_ends() -> None:
    largest_subnormal = float(np.nextafter(np.float32(SMALLEST), np.float32(0.0)))
    x = torch.tensor([0.0, -0.0, 1e-45, largest_subnormal, SMALLEST, 1.0])
    for exponent in EXPONENTS:
        values = power(exponent)(x).tolist()
        assert values[:4] == [0.0] * 4
        assert values[4] == pytest.approx(SMALLEST**exponent, rel=3e-7)
        assert values[5] == 1.0


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_power_never_exceeds_one(exponent: float) -> None:
    """Contrast takes 1 - x^p to a power again, so it must not become negative."""
    just_below = torch.arange(0x3F800000 - SAMPLES, 0x3F800001, dtype=torch.int32)
    for x in (just_below.view(torch.float32), POWER_INPUT):
        values = power(exponent)(x)
        assert float(values.min()) > 0.0 and float(values.max()) == 1.0


def test_exponent_is_split_exactly() -> None:
    for value in EXPONENTS:
        split = exact.Exponent.of(value)
        assert split.high + split.low == value
        products = np.arange(-126, 128).astype(np.float32) * np.float32(split.high)
        assert (products.astype(np.float64) == np.arange(-126, 128) * split.high).all()


def test_asinh_is_odd_to_the_bit() -> None:
    x = torch.cat([log_spaced(SMALLEST, 32.0, 100_000), around(1.5), torch.zeros(1)])
    assert_same_bits(exact.asinh(-x), -exact.asinh(x))
    assert_same_bits(exact.asinh(torch.tensor([0.0, -0.0])), torch.tensor([0.0, -0.0]))


def test_asinh_meets_itself_where_the_formula_changes() -> None:
    x = around(1.5)
    assert ulp_error(exact.asinh, np.arcsinh, x) <= 2.0
    below, at, above = sorted(exact.asinh(x).tolist())
    assert below <= at <= above


def test_no_result_is_subnormal() -> None:
    """Some devices flush subnormal numbers to zero: none may appear."""
    results = [function(x) for function, _, x in FUNCTIONS.values()]
    results += [exact.exp(evenly_spaced(-110.0, -80.0))]
    results += [power(p)(torch.cat([POWER_INPUT, torch.zeros(1)])) for p in EXPONENTS]
    for result in results:
        assert result.isfinite().all()
        assert ((result == 0.0) | (result.abs() >= SMALLEST)).all()


def test_divide_rounds_correctly() -> None:
    a = torch.arange(256, dtype=torch.float32)
    expected = torch.from_numpy((np.arange(256) / 255.0).astype(np.float32))
    assert_same_bits(exact.divide(a, 255.0), expected)
    assert not torch.equal(a * (1.0 / 255.0), expected)


def assert_same_bits(a: Tensor, b: Tensor) -> None:
    assert torch.equal(a.contiguous().view(torch.int32), b.contiguous().view(torch.int32))


SAMPLE = log_spaced(SMALLEST, 1.0, 100_001)
ORDINARY: dict[str, tuple[Function, Tensor]] = {
    "exp": (exact.exp, -87.5 * log_spaced(2.0**-30, 1.0, 100_001)),
    "log": (exact.log, SAMPLE),
    "asinh": (exact.asinh, 32.0 * SAMPLE),
    "power": (power(EXPONENTS[0]), SAMPLE),
    "sqrt": (exact.sqrt, SAMPLE),
    "divide": (lambda x: exact.divide(x, 255.0), log_spaced(1.0, 255.0, 100_001)),
}


def strided(x: Tensor) -> Tensor:
    wide = torch.empty(len(x), 3)
    wide[:, 1] = x
    return wide[:, 1]


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "strided": strided,
    "misaligned": lambda x: torch.cat([x[:1], x])[1:],
    "transposed": lambda x: strided(x[:-1]).view(250, 400).t().contiguous().t(),
    "every_second_column": lambda x: x[:-1].view(250, 400).repeat_interleave(2, dim=1)[:, ::2],
    "backwards": lambda x: x.flip(0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ORDINARY)
def test_bits_do_not_depend_on_layout(name: str, layout: str) -> None:
    """Vector libraries take some layouts and not others; it must not show."""
    function, x = ORDINARY[name]
    view = LAYOUTS[layout](x)
    expected = LAYOUTS[layout](function(x))
    assert_same_bits(function(view), expected)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 13, 31, 63])
@pytest.mark.parametrize("name", ORDINARY)
def test_bits_do_not_depend_on_length(name: str, length: int) -> None:
    """Vectorised loops treat what is left over at the end differently."""
    function, x = ORDINARY[name]
    expected = function(x)
    for start in range(0, len(x) - length, 3001):
        piece = x[start : start + length].clone()
        assert_same_bits(function(piece), expected[start : start + length])


@pytest.mark.parametrize("name", ORDINARY)
def test_bits_do_not_depend_on_threads(name: str, thread_counts: None) -> None:
    function, x = ORDINARY[name]
    torch.set_num_threads(1)
    expected = function(x)
    for threads in (2, 3):
        torch.set_num_threads(threads)
        assert_same_bits(function(x), expected)


class Rounded:
    """The definitions once more in NumPy, whose float32 operations are rounded one by one."""

    @staticmethod
    def horner(x: NDArray[np.float32], coefficients: tuple[float, ...]) -> NDArray[np.float32]:
        result = np.full_like(x, coefficients[0])
        for coefficient in coefficients[1:]:
            result = result * x + F32(coefficient)
        return result

    @staticmethod
    def whole(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.rint(x)  # half to even, as adding and subtracting 1.5 * 2^23 does

    @classmethod
    def exp_small(cls, r: NDArray[np.float32], n: NDArray[np.float32]) -> NDArray[np.float32]:
        value = (cls.horner(r, exact.EXP_COEFFICIENTS) * (r * r) + r) + F32(1)
        return np.ldexp(value, n.astype(np.int32))

    @classmethod
    def exp(cls, x: NDArray[np.float32]) -> NDArray[np.float32]:
        clipped = np.maximum(x, F32(-87))
        n = cls.whole(clipped * F32(exact.LOG2_E))
        r = (clipped - n * F32(exact.LN2_HIGH)) - n * F32(exact.LN2_LOW)
        return np.where(x < F32(-87), F32(0), cls.exp_small(r, n))

    @classmethod
    def log_parts(cls, x: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        m, e = np.frexp(x)
        low = m < F32(exact.SQRT_HALF)
        r = np.where(low, m + m, m) - F32(1)
        z = r * r
        tail = cls.horner(r, exact.LOG_COEFFICIENTS) * (z * r) - z * F32(0.5)
        return (e - low).astype(np.float32), r, tail

    @classmethod
    def log(cls, x: NDArray[np.float32]) -> NDArray[np.float32]:
        e, r, tail = cls.log_parts(x)
        return (r + (tail + e * F32(exact.LN2_LOW))) + e * F32(exact.LN2_HIGH)

    @classmethod
    def power(cls, x: NDArray[np.float32]) -> NDArray[np.float32]:
        e, r, tail = cls.log_parts(x)
        high = round(EXPONENTS[0] * 4096) / 4096
        scaled = (r + tail) * F32(EXPONENTS[0])
        n = cls.whole(e * F32(high) + scaled * F32(exact.LOG2_E))
        rest = ((e * F32(high) - n) * F32(exact.LN2) + scaled) + (
            e * F32(EXPONENTS[0] - high)
        ) * F32(exact.LN2)
        return cls.exp_small(rest, n)

    @classmethod
    def asinh(cls, x: NDArray[np.float32]) -> NDArray[np.float32]:
        size, square = np.abs(x), x * x
        ratio = cls.horner(square, exact.ASINH_P) / cls.horner(square, exact.ASINH_Q)
        near, far = size - size * (square * ratio), cls.log(size + np.sqrt(square + F32(1)))
        return np.copysign(np.where(size < F32(1.5), near, far), x)

    @staticmethod
    def sqrt(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.sqrt(x)

    @staticmethod
    def divide(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return x / F32(255)


@pytest.mark.parametrize("name", ORDINARY)
def test_every_operation_is_rounded_by_itself(name: str) -> None:
    """PyTorch may use libraries that are not correctly rounded, or fuse a product and a sum."""
    function, x = ORDINARY[name]
    expected = getattr(Rounded, name)(x.numpy())
    assert expected.dtype == np.float32
    assert_same_bits(function(x), torch.from_numpy(expected))


def test_sqrt_rounds_correctly() -> None:
    """Held against integers: s is the root of x if x lies between (s - u/2)^2 and (s + u/2)^2."""
    x = torch.cat(
        [log_spaced(0.25, 4.0, 5_000), log_spaced(SMALLEST, 2.0**100, 5_000), around(1.0)]
    )
    for value, root in zip(x.tolist(), exact.sqrt(x).tolist(), strict=True):
        half = Fraction(float(np.spacing(np.float32(root)))) / 2
        assert (Fraction(root) - half) ** 2 <= Fraction(value) <= (Fraction(root) + half) ** 2
    assert exact.sqrt(torch.tensor([0.0, 1.0, 4.0])).tolist() == [0.0, 1.0, 2.0]


PINNED = {
    "exp": "a585a23e8d59d07453ead0dea593258f",
    "log": "eb699e905c8b917d715035b644a7fba1",
    "asinh": "ab5d652a9ba10d4f8e3ac276453f55fc",
    "power": "5300b1494b8ac39265ff6292aac82f12",
}


def test_definition_has_not_changed() -> None:
    """A change of these bits changes labels, and breaks every bundle and kernel there is."""
    positive, small = log_spaced(SMALLEST, 2.0**126, 100_003), log_spaced(2.0**-30, 32.0, 100_003)
    unit = log_spaced(SMALLEST, 1.0, 20_011)
    results = {
        "exp": exact.exp(-small * 3.0),
        "log": exact.log(positive),
        "asinh": exact.asinh(torch.cat([small, -small])),
        "power": torch.cat([power(p)(unit) for p in EXPONENTS]),
    }
    found = {
        name: hashlib.sha256(result.numpy().astype("<f4").tobytes()).hexdigest()[:32]
        for name, result in results.items()
    }
    assert found == PINNED
