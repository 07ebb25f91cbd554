"""Run images through a bundle and its reference, and collect what a report says of them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spit_edge.base.progress import Steps
from spit_edge.export.graph.trunk import TrunkGraph
from spit_edge.export.inspection import manifest_facts
from spit_edge.export.precision.layers import (
    LayerMeter,
    Layers,
    OnnxRuntimeLayers,
    TorchLayers,
    layer_names,
    rounding_step,
)
from spit_edge.export.reference import Reference, model_of
from spit_edge.export.report.contents import ImageFacts, Report, gates, layer_series
from spit_edge.export.report.examine import Examiner
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.errors import ImageError
from spit_edge.runtime.parity.judge import Expected, all_passed
from spit_edge.runtime.parity.self_check import read_check
from spit_edge.runtime.pictures.images import find_images, fit_image, load_image
from spit_edge.runtime.session import Session
from spit_edge.spit_ref import Spit

VERSIONED = (
    "spit-edge", "torch", "onnxruntime", "onnxruntime-gpu", "onnxruntime-extensions", "openvino",
    "tensorrt", "tensorrt-rtx", "cuda-bindings", "onnx", "numpy", "pillow",
)  # fmt: skip
TORCH = "PyTorch", "rounds to the graph's types after every operation, as the graph says"
EXACT_RUNTIME = "ONNX Runtime", "the bundle's graph"
REDUCED_RUNTIME = (
    "ONNX Runtime",
    "the bundle's graph; on CPUs it computes half precision in float32 and rounds only what it "
    "gives out",
)

KeepPicture = Callable[[int, str, bytes], None]
"""Takes the number of an image, and a picture's name and content."""

_Sample = tuple[str, NDArray[np.uint8], Expected | None]


def gather(
    session: Session,
    steps: Steps,
    images: Path | None,
    keep: KeepPicture,
    weights: Path | None = None,
) -> Report:
    """Judge one image after the other.

    images   a folder of images to ask the reference about; None: the bundle's own with the answers
             it brought along
    weights  the checkpoint the bundle was built from; None: see :func:`model_of`
    """
    bundle, manifest = session.bundle, session.bundle.manifest
    with steps.step("loading the reference"):
        model = model_of(manifest, weights)
        reference = Reference(model, manifest.precision, manifest.fp32_products)
        described = _implementations(bundle, model)
        meter = LayerMeter(
            TrunkGraph(model, "fp32"), [layers for layers, _, _ in described], model.config
        )
    examiner = Examiner(session, reference, meter)
    total, samples = _samples(bundle, images)
    facts: list[ImageFacts] = []
    for name, image, expected in steps.track(samples, "comparing", total):
        found, pictures = examiner.examine(name, image, expected)
        for kind, picture in pictures.items():
            keep(len(facts), kind, picture)
        facts.append(found)
    step = rounding_step(manifest.precision)
    series = [
        layer_series(measured, meaning, list(worst.values()), step)
        for (_, measured, meaning), worst in zip(described, meter.worst, strict=True)
    ]
    rows = [image.parity for image in facts]
    return Report(
        bundle=bundle.path.resolve().name,
        model=manifest.model,
        precision=manifest.precision,
        backend=session.backend,
        passed=all_passed(rows),
        random_weights=manifest.weights.source == "random",
        rounding_step=step,
        fp32=sorted(manifest.fp32_products),
        gates=gates(rows),
        images=facts,
        layers=series,
        manifest=manifest_facts(manifest),
        versions=_versions(),
    )


def _samples(bundle: Bundle, images: Path | None) -> tuple[int, Iterator[_Sample]]:
    """How many images there are, and one after the other."""
    if images is None:
        stored = read_check(bundle)
        return len(stored), ((name, *both) for name, both in stored.items())
    files = find_images(images)
    if not files:
        raise ImageError(f"there are no images in {images}")
    size = bundle.manifest.preprocessing
    fitted = ((f.name, fit_image(load_image(f), size.height, size.width), None) for f in files)
    return len(files), fitted


def _implementations(bundle: Bundle, model: Spit) -> list[tuple[Layers, str, str]]:
    """What is measured layer by layer, with a name and a description."""
    manifest = bundle.manifest
    found: list[tuple[Layers, str, str]] = []
    if manifest.precision != "fp32":
        trunk = TrunkGraph(model, manifest.precision, fp32=manifest.fp32_products)
        found.append((TorchLayers(trunk), *TORCH))
    if manifest.precision != "bf16":  # ONNX Runtime has no bfloat16 kernels for CPUs
        layers = OnnxRuntimeLayers(bundle, layer_names(model.config.depth))
        described = EXACT_RUNTIME if manifest.precision == "fp32" else REDUCED_RUNTIME
        found.append((layers, *described))
    return found


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version(), "machine": platform.machine()}
    for package in VERSIONED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
