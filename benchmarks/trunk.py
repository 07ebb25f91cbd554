"""The transformer alone: ONNX Runtime, OpenVINO and PyTorch, and what lower precision costs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray

from benchmarks.bundles import BundleShelf, bundle_shelf
from benchmarks.photo import batches
from benchmarks.suite import Chart, Figure, Row, Settings, Suite, timed_rows
from benchmarks.timing import time_in_turn, use_threads
from benchmarks.trunk_runtimes import (
    Trunk,
    onnxruntime_trunk,
    openvino_trunks,
    quantised,
    torch_trunks,
)
from spit_edge.base.install import pip_install
from spit_edge.plugins.torch_ops import accelerate
from spit_edge.spit_ref import load_model
from spit_edge.spit_ref.trunk import MLP_RATIO
from spit_edge.spit_ref.zoo import ModelConfig

OURS = "ours (ONNX Runtime), fp32"
HALF = "ONNX Runtime, fp16"
PEAK_SIDE = 2048
"""Side of the square matrices whose product gives the machine's peak."""
PEAK = "matrix product"


def measure(settings: Settings) -> Iterator[Row]:
    """Rows by model and image side; milliseconds are those of one image."""
    with (
        use_threads(settings.threads),
        bundle_shelf(settings.bundles) as shelf,
        tempfile.TemporaryDirectory() as folder,
    ):
        for name in settings.models:
            for size in settings.sizes:
                yield from _model(name, size, settings, shelf, Path(folder))


def _model(
    name: str, size: int, settings: Settings, shelf: BundleShelf, folder: Path
) -> Iterator[Row]:
    model = accelerate(load_model(name, weights="random"))
    images = batches(size).values()
    rows = [model.tokenizer.tokens(torch.from_numpy(image)).rows.numpy() for image in images]
    bundle = shelf.get(name, "fp32", size)
    trunks: dict[str, Trunk] = {OURS: onnxruntime_trunk(bundle.trunk, settings.threads)}
    half = shelf.get(name, "fp16", size)
    trunks[HALF] = onnxruntime_trunk(half.trunk, settings.threads)
    trunks["ONNX Runtime, int8"] = onnxruntime_trunk(quantised(bundle, folder), settings.threads)
    absent = {}
    try:
        trunks |= dict(openvino_trunks(bundle, settings.threads))
    except ImportError as error:
        absent["OpenVINO"] = f"{error}: {pip_install('bench')}"
    trunks |= dict(torch_trunks(model))
    functions: dict[str, Callable[[], object]] = {
        variant: partial(_all, trunk, rows) for variant, trunk in trunks.items()
    }
    functions |= peak_products()
    timings = time_in_turn(functions, rounds=settings.rounds)
    one = {variant: timings[variant].each(len(rows)) for variant in trunks}
    one |= {variant: timings[variant] for variant in functions if variant.startswith(PEAK)}
    work = sum(matrix_operations(model.config, tokens.shape[1]) for tokens in rows) / len(rows)
    speeds = {variant: work / timing.median / 1e6 for variant, timing in one.items()}
    for variant in functions:
        if variant.startswith(PEAK):  # a peak is what was reached, not what is usual
            speeds[variant] = 2 * PEAK_SIDE**3 / one[variant].p10 / 1e6
    more = {variant: _figures(variant, speeds) for variant in one}
    for variant, figures in _accuracy(trunks, rows).items():
        more[variant] |= figures
    for row in timed_rows(name, size, one, OURS, more=more):
        # A matrix product is another work: its time is no one's ratio.
        yield replace(row, ratio=None) if row.variant.startswith(PEAK) else row
    for variant, reason in absent.items():
        yield Row(what=name, size=size, variant=variant, note=reason)


def matrix_operations(config: ModelConfig, tokens: int) -> int:
    """Additions and multiplications of all matrix products for one image of ``tokens`` tokens.

    What is not a matrix product (LayerNorm, softmax, GELU, biases) is left out, as in the peak that
    this is compared with.
    """
    length, dim = tokens + 1, config.dim
    embedder = tokens * config.token_size * dim
    linear = length * dim * (3 * dim + dim + 2 * MLP_RATIO * dim)
    attention = 2 * length * length * dim
    head = dim * config.classes
    return 2 * (embedder + config.depth * (linear + attention) + head)


def _all(trunk: Trunk, rows: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    return [trunk(tokens) for tokens in rows]


def peak_products() -> dict[str, Callable[[], object]]:
    """Products of large square matrices by variant: what these cores can do at best."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, PEAK_SIDE, PEAK_SIDE, generator=generator)
    return {
        f"{PEAK} {PEAK_SIDE}², torch {name}": partial(torch.mm, left.to(dtype), right.to(dtype))
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }


def _figures(variant: str, speeds: Mapping[str, float]) -> dict[str, Figure]:
    """GFLOP/s, and how much that is of what the matrix product in the same type reaches."""
    figures: dict[str, Figure] = {"GFLOP/s": speeds[variant]}
    # ONNX Runtime's CPU kernels compute half precision in float32.
    kind = "fp32" if variant == HALF else variant.rpartition(" ")[2]
    peak = f"{PEAK} {PEAK_SIDE}², torch {kind}"
    if peak in speeds and peak != variant:
        figures["% of peak"] = 100 * speeds[variant] / speeds[peak]
    return figures


def _accuracy(
    trunks: Mapping[str, Trunk], rows: Sequence[NDArray[np.float32]]
) -> dict[str, dict[str, Figure]]:
    """How far the logits of each variant are from PyTorch's in float32, the worst of all images."""
    wanted = np.concatenate(_all(trunks["torch, fp32"], rows)).astype(np.float64)
    found: dict[str, dict[str, Figure]] = {}
    for variant, trunk in trunks.items():
        logits = np.concatenate(_all(trunk, rows)).astype(np.float64)
        lengths = np.linalg.norm(logits, axis=1) * np.linalg.norm(wanted, axis=1)
        cosine = float(((logits * wanted).sum(1) / lengths).min())
        same = int((logits.argmax(1) == wanted.argmax(1)).sum())
        found[variant] = {
            "logit error": float(np.abs(logits - wanted).max()),
            "1-cos": max(0.0, 1 - cosine),
            "same top-1": f"{same} of {len(rows)}",
        }
    return found


SUITE = Suite(
    name="trunk",
    title="token rows to logits, mean of the three sample photographs",
    measure=measure,
    chart=Chart(kind="bars", value="GFLOP/s", label="GFLOP/s"),
    notes=(
        "GFLOP/s counts matrix products alone; the peak is a product of square matrices in the "
        "same run and type, at its 10th percentile. ONNX Runtime computes fp16 in float32 on CPUs. "
        "int8: weights quantised per channel, activations as they come.",
        "Weights are random: errors show the size of rounding, not what trained weights would make "
        "of it; logits of random weights lie close together, so top-1 changes easily.",
    ),
    sizes=(224,),
    models=("spit_s16", "spit_b16"),
)
