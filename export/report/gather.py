"""Run images through a bundle and its reference, and collect what a report says of them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from spit_edge.base.install import installed_versions
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
from spit_edge.export.report.contents import (
    TOP,
    ImageFacts,
    Report,
    difference,
    gates,
    layer_series,
)
from spit_edge.export.report.pictures import image_pictures
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.classes import class_name, likeliest
from spit_edge.runtime.images import ImageFolder
from spit_edge.runtime.parity.judge import Expected, all_passed, compare
from spit_edge.runtime.parity.self_check import read_check
from spit_edge.runtime.session import Session
from spit_edge.spit_ref import Spit
from spit_edge.spit_ref.saliency import attention_flow

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
    command: str,
    keep: KeepPicture,
    weights: Path | None = None,
) -> Report:
    """Judge one image after the other.

    images   a folder of images to ask the reference about; None: the bundle's own with the answers
             it brought along
    command  what makes the report again
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
        created=datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds"),
        command=command,
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
    folder, size = ImageFolder(images), bundle.manifest.preprocessing
    fitted = ((name, image, None) for name, image in folder.fitted(size.height, size.width))
    return len(folder), fitted


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
    here = {"Python": platform.python_version(), "machine": platform.machine()}
    return here | installed_versions(*VERSIONED)


class Examiner:
    """Judges images one at a time; ``meter`` collects the errors of the trunk's layers."""

    def __init__(self, session: Session, reference: Reference, meter: LayerMeter) -> None:
        self._session, self._reference, self._meter = session, reference, meter

    def examine(
        self, name: str, image: NDArray[np.uint8], expected: Expected | None
    ) -> tuple[ImageFacts, dict[str, bytes]]:
        """Facts and pictures of an image [H, W, 3].

        expected  an answer of the reference to judge by; None: what it answers now
        """
        tokens = self._reference.tokens(image)
        wanted = expected or self._reference.expected_of(tokens)
        output = self._session.run(image, tokens=True, truncate=True)
        assert output.tokens is not None
        parity = compare(name, output, 0, wanted, self._session.bundle.manifest.precision)
        self._meter.measure(name, tokens.rows, tokens.counts)
        flow = self._flow(tokens.rows, tokens.counts)
        labels, logits = output.labels[0], output.logits[0]
        count = int(output.num_tokens[0])
        found_flow = None if output.attention is None else output.attention[0, :count]
        facts = ImageFacts(
            name=name,
            parity=parity,
            expected_num_tokens=wanted.num_tokens,
            first_label=_first(labels != wanted.labels),
            tokens=difference(output.tokens[0, :count], tokens.rows[0].numpy()),
            logits=difference(logits, wanted.logits),
            worst_class=class_name(
                int(np.abs(np.nan_to_num(logits - wanted.logits, nan=np.inf)).argmax()),
                len(logits),
            ),
            attention=None if found_flow is None else difference(found_flow, flow),
            expected_top=likeliest(wanted.logits, TOP),
            top=likeliest(logits, TOP),
        )
        pictures = image_pictures(image, (wanted.labels, flow), (labels, found_flow))
        return facts, pictures

    @torch.no_grad()
    def _flow(self, rows: torch.Tensor, counts: torch.Tensor) -> NDArray[np.float32]:
        """The reference's attention flow [T]."""
        attentions = self._reference.model.embed(rows, counts, attentions=True).attentions
        flow: NDArray[np.float32] = attention_flow(attentions, counts)[0].numpy()
        return flow


def _first(differing: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Row and column of the first True."""
    places = np.argwhere(differing)
    return None if len(places) == 0 else (int(places[0][0]), int(places[0][1]))
