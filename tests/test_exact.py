"""The elementary functions: how far off they are, and that they give the same bits everywhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from spit_ref import exact
from spit_ref.pixel_features import CONTRAST_BETA, CONTRAST_LAMBDA

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
    assert found, f"the docstring of spit_ref.exact states no error of {name}"
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


def evaluate(x: Tensor) -> list[Tensor]:
    """All functions on numbers in [2^-126, 1]."""
    return [exact.exp(-x * 87.0), exact.log(x), exact.asinh(x * 30.0), power(EXPONENTS[0])(x)]


def assert_same_bits(a: Tensor, b: Tensor) -> None:
    assert torch.equal(a.contiguous().view(torch.int32), b.contiguous().view(torch.int32))


def test_bits_do_not_depend_on_layout() -> None:
    """Vectorised loops treat what is left over at the end differently; here it must not show."""
    x = log_spaced(2.0**-20, 1.0, 4096)
    expected = evaluate(x)
    wide = torch.empty(4096, 3)
    wide[:, 1] = x
    views = {
        "strided": wide[:, 1],
        "misaligned": torch.cat([torch.ones(1), x])[1:],
    }
    for name, view in views.items():
        for result, other in zip(expected, evaluate(view), strict=True):
            assert torch.equal(result, other), name
    square = x.view(64, 64).t()
    for result, other in zip(expected, evaluate(square), strict=True):
        assert_same_bits(result, other.t().flatten())


@pytest.mark.parametrize("length", [1, 2, 3, 7, 13, 31, 63])
def test_bits_do_not_depend_on_length(length: int) -> None:
    x = log_spaced(2.0**-20, 1.0, 4096)
    expected = evaluate(x)
    for start in range(0, 4096 - length, 97):
        piece = evaluate(x[start : start + length].clone())
        for result, other in zip(expected, piece, strict=True):
            assert_same_bits(result[start : start + length], other)


def test_bits_do_not_depend_on_threads(thread_counts: None) -> None:
    x = log_spaced(SMALLEST, 1.0, 100_001)
    torch.set_num_threads(1)
    expected = evaluate(x)
    for threads in (2, 3):
        torch.set_num_threads(threads)
        for result, other in zip(expected, evaluate(x), strict=True):
            assert_same_bits(result, other)


PINNED = {
    "exp": "a585a23e8d59d07453ead0dea593258f",
    "log": "eb699e905c8b917d715035b644a7fba1",
    "asinh": "766b79f8c5ed8199c35375e5aab935e8",
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
