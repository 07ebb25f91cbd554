"""Layer errors: the numbers against a plain calculation, and where overflow begins."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import spit_edge.export.precision.layers
from spit_edge.export.graph.trunk import TrunkGraph, product_names
from spit_edge.export.precision.layers import (
    LayerMeter,
    OnnxRuntimeLayers,
    TorchLayers,
    layer_names,
    product_errors,
    rounding_step,
)
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.spit_ref import load_model, model_config
from tests.conftest import GOLDENS

NAMES = layer_names(2)


@pytest.fixture(scope="module")
def model():
    return load_model("spit_tiny", weights=GOLDENS / "tiny_gradient.pth")


@pytest.fixture(scope="module")
def tokens():
    rows = torch.rand(1, 30, 1280, generator=torch.Generator().manual_seed(0))
    return rows, torch.tensor([30], dtype=torch.int32)


def test_names_are_in_the_order_of_computation(model, tokens) -> None:
    found = TorchLayers(TrunkGraph(model, "fp32")).values(*tokens, NAMES)
    assert list(found) == NAMES  # hooks fill it as they are called
    assert set(product_names(2)) < set(NAMES)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_both_implementations_give_the_same_layers(make_bundle, model, tokens, precision) -> None:
    bundle = Bundle.open(make_bundle(precision=precision).path)
    ours = TorchLayers(TrunkGraph(model, precision)).values(*tokens, NAMES)
    theirs = OnnxRuntimeLayers(bundle, NAMES).values(*tokens, NAMES)
    for name in NAMES:
        assert ours[name].shape == theirs[name].shape, name
        tolerance = 1e-5 if precision == "fp32" else 5e-3
        scale = np.abs(ours[name]).max()
        np.testing.assert_allclose(ours[name], theirs[name], atol=tolerance * scale, err_msg=name)


@pytest.mark.parametrize("memory", [1, 10**5, 10**9])
def test_errors_are_those_of_a_plain_calculation(monkeypatch, model, tokens, memory) -> None:
    """However many layers are held at once."""
    monkeypatch.setattr(spit_edge.export.precision.layers, "MEMORY", memory)
    exact, reduced = TrunkGraph(model, "fp32"), TrunkGraph(model, "bf16")
    meter = LayerMeter(exact, [TorchLayers(reduced)], model.config)
    meter.measure("noise", *tokens)
    (errors,) = meter.worst
    assert list(errors) == NAMES
    wanted = TorchLayers(exact).values(*tokens, NAMES)
    found = TorchLayers(reduced).values(*tokens, NAMES)
    for name in NAMES:
        difference = np.abs(found[name].astype(float) - wanted[name]).ravel()
        plain = np.linalg.norm(difference) / np.linalg.norm(wanted[name].astype(float))
        assert errors[name].relative == pytest.approx(plain)
        assert errors[name].largest == pytest.approx(difference.max())
        assert errors[name].magnitude == pytest.approx(np.abs(wanted[name]).max())
        assert not errors[name].not_finite
    assert 1e-4 < errors["embedder"].relative < errors["blocks.1"].relative < 0.1


def test_the_worst_image_is_named(model, tokens) -> None:
    rows, counts = tokens
    meter = LayerMeter(
        TrunkGraph(model, "fp32"), [TorchLayers(TrunkGraph(model, "fp16"))], model.config
    )
    meter.measure("tame", rows, counts)
    tame = meter.worst[0]["embedder"]
    meter.measure("wild", rows * 1e6, counts)
    meter.measure("tame", rows, counts)
    wild = meter.worst[0]["embedder"]
    assert tame.image == "tame" and math.isfinite(tame.relative)
    assert wild.image == "wild" and math.isinf(wild.relative) and wild.not_finite > 0


def test_a_product_alone_does_not_inherit_errors(model, tokens) -> None:
    """The layer before it is wrong on purpose; its own error stays that of rounding."""
    exact, reduced = TrunkGraph(model, "fp32"), TrunkGraph(model, "fp16")
    with torch.no_grad():
        reduced.blocks[0].qkv.weight *= 3.0
    errors = {e.name: e for e in product_errors("x", exact, reduced, *tokens)}
    assert list(errors) == product_names(2)
    assert errors["blocks.0.qkv"].relative == pytest.approx(2.0, rel=1e-2)
    others = [e.relative for name, e in errors.items() if name != "blocks.0.qkv"]
    assert max(others) < rounding_step("fp16")


def test_rounding_steps() -> None:
    assert rounding_step("fp16") == 2.0**-10 and rounding_step("bf16") == 2.0**-7


@pytest.mark.parametrize("memory", [1, 3 * 10**7, 10**8, 10**10])
def test_groups_are_all_layers_in_order(monkeypatch, memory) -> None:
    monkeypatch.setattr(spit_edge.export.precision.layers, "MEMORY", memory)
    groups = list(spit_edge.export.precision.layers._groups(model_config("spit_b16"), 320))
    assert [name for group in groups for name in group] == layer_names(12)
    assert len(groups) == {1: 12, 3 * 10**7: 12, 10**8: 2, 10**10: 1}[memory]
