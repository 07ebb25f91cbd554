"""Build a bundle: export, check against the reference, write everything or nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx_ir as ir
import torch

from spit_edge.base.contracts import CONTRACTS
from spit_edge.base.errors import OptionError, SpitError
from spit_edge.base.files import json_file, write_whole
from spit_edge.base.install import installed_versions
from spit_edge.base.made_here import remember
from spit_edge.base.progress import Steps
from spit_edge.export.graph.model import full_graph, save_graph, trunk_graph
from spit_edge.export.options import BuildOptions
from spit_edge.export.precision.plan import check_plan
from spit_edge.export.reference import Reference, weights_key
from spit_edge.export.trunk_check import check_trunk
from spit_edge.runtime.backends.records import RECORDS
from spit_edge.runtime.bundle.folder import (
    MANIFEST,
    MODEL,
    REGIONS,
    TRUNK,
    WEIGHTS,
    Bundle,
    hash_files,
    new_bundle,
)
from spit_edge.runtime.bundle.manifest import (
    SCHEMA_VERSION,
    Manifest,
    Preprocessing,
    TensorSpec,
    Tokenizer,
    Weights,
    encode,
)
from spit_edge.runtime.images import fitted_samples
from spit_edge.runtime.parity.judge import ImageParity, all_passed
from spit_edge.runtime.parity.self_check import self_check, write_check
from spit_edge.runtime.session import Session
from spit_edge.spit_ref import Spit, load_model
from spit_edge.spit_ref.tessellation import site_count

VERSIONED = ("spit-edge", "torch", "onnx", "onnx-ir", "onnxruntime", "numpy")


class BudgetTooSmall(SpitError):
    """A model's fixed regions do not fit the token budget."""


Parity = dict[str, list[ImageParity]]
"""How each back end compares with the reference: a row per image."""


@dataclass(frozen=True)
class Built:
    """A finished bundle and how it compares with the reference."""

    path: Path
    parity: Parity

    @property
    def passed(self) -> bool:
        return parity_passed(self.parity)


def build(options: BuildOptions, steps: Steps) -> Built:
    """Export a model and write its bundle.

    Raises SpitError, WeightsError and OptionError among them; then nothing is left behind.
    """
    with steps.step(f"loading {options.model}"):
        model = load_model(
            options.model,
            gradient=options.gradient,
            weights=options.weights,
            seed=options.seed,
            classes=options.classes,
            tessellation=options.tessellation,
            final_threshold=options.final_threshold,
        )
    _check_options(model, options)
    origin = _origin(model)
    remember(weights_key(origin))
    target = options.folder(random_weights=origin.source == "random", sha256=origin.sha256)
    images = fitted_samples(options.height, options.width)
    with new_bundle(target) as folder:
        with steps.step("tracing the graph"):
            graph = trunk_graph(model, options)
        with steps.step("writing and checking ONNX"):
            manifest = _write_graphs(graph, model, options, folder)
        del graph
        with steps.step("asking the reference"):
            expected = Reference(model, options.precision, options.fp32).answers(images)
        with steps.step("comparing with the reference"):
            if options.part == "trunk":
                parity = check_trunk(folder / MODEL, model, images, expected, options)
            else:
                write_check(folder, images, expected)
                parity = _check_graphs(folder, manifest)
        write_whole({folder / "parity.json": parity_json(parity)})
        with steps.step("hashing"):
            manifest = msgspec.structs.replace(manifest, files=hash_files(folder))
        write_whole({folder / MANIFEST: encode(manifest)})
    return Built(target, parity)


def _check_graphs(folder: Path, manifest: Manifest) -> Parity:
    """Both graphs: the whole one, for TensorRT, and the trunk behind the native tokenizer.

    Where nothing runs the precision, PyTorch shows what it does to the results.
    """
    listed = {f"check/{name}": entry for name, entry in hash_files(folder / "check").items()}
    bundle = Bundle(folder, msgspec.structs.replace(manifest, files=listed))
    precision = manifest.precision
    checked = [r for r in RECORDS.values() if r.checked and precision in r.precisions]
    parity = {}
    for backend in [r.name for r in sorted(checked, key=lambda r: str(r.part))] or ["torch"]:
        with Session.open(bundle, backend) as session:
            parity[backend] = self_check(session)
    return parity


def _write_graphs(trunk: ir.Model, model: Spit, options: BuildOptions, folder: Path) -> Manifest:
    """Write the bundle's graphs, their weights and regions that never change."""
    if options.part == "trunk":
        manifest = _manifest(options, model, trunk)
        save_graph(trunk, folder / MODEL, _metadata(manifest), WEIGHTS)
        return manifest
    save_graph(trunk, folder / TRUNK, {}, WEIGHTS)
    graph = full_graph(ir.load(folder / TRUNK), model, options)
    manifest = _manifest(options, model, graph)
    save_graph(graph, folder / MODEL, _metadata(manifest), WEIGHTS)
    if manifest.tokenizer.kind in ("square", "pca_tree"):
        blank = torch.zeros(1, 3, options.height, options.width, dtype=torch.uint8)
        np.save(folder / REGIONS, model.tokenizer.regions(blank)[0][0].numpy())
    return manifest


def parity_passed(parity: Parity) -> bool:
    """Whether every image passed on every back end, and there were some."""
    return bool(parity) and all(all_passed(rows) for rows in parity.values())


def parity_json(parity: Parity) -> bytes:
    """The parity tables as JSON."""
    return json_file({"passed": parity_passed(parity), "backends": parity})


def _check_options(model: Spit, options: BuildOptions) -> None:
    """Refuse what cannot work for any image; how many superpixels there are is a matter of it."""
    if options.plan is not None:
        check_plan(options.plan, model.config, options.precision)
    kind = model.config.tokenizer
    if options.seed_input and (kind != "random" or options.tessellation != "voronoi"):
        raise OptionError(
            f"--seed-input is for Voronoi regions, which {options.model} does not have"
        )
    if kind == "superpixel":
        return
    most = site_count(options.height, options.width)
    if kind == "square" or options.tessellation != "voronoi":
        blank = torch.zeros(1, 3, options.height, options.width, dtype=torch.uint8)
        most = int(model.tokenizer.regions(blank)[1])
    if most > options.budget:
        raise BudgetTooSmall(
            f"{options.model} has up to {most} regions at {options.size}: "
            f"--max-tokens must be at least that, not {options.budget}"
        )


def _manifest(options: BuildOptions, model: Spit, graph: ir.Model) -> Manifest:
    config = model.config
    random_regions = config.tokenizer == "random"
    ops = {node.op_type for node in graph.graph}
    return Manifest(
        schema=SCHEMA_VERSION,
        model=config.name,
        gradient=config.gradient,
        classes=config.classes,
        precision=options.precision,
        part=options.part,
        inputs=[_spec(value) for value in graph.graph.inputs],
        outputs=[_spec(value) for value in graph.graph.outputs],
        token_budget=options.budget,
        batch=options.batch,
        preprocessing=Preprocessing(
            height=options.height,
            width=options.width,
            pixels="uint8",
            layout="NCHW",
            resize="bicubic",
            fit="cover_center_crop",
        ),
        tokenizer=Tokenizer(
            kind=options.tessellation if config.tokenizer == "random" else config.tokenizer,
            levels=config.levels,
            compactness=config.compactness,
            interpolation=config.interpolation,
            sigma=config.sigma,
            bins=config.bins,
            seed=options.seed if random_regions else None,
            final_threshold=config.final_threshold or msgspec.UNSET,
        ),
        weights=_origin(model),
        contracts={c.name: c.version for c in CONTRACTS if c.name in ops},
        versions=installed_versions(*VERSIONED),
        files={},
        precision_plan=options.plan or msgspec.UNSET,
    )


def _origin(model: Spit) -> Weights:
    """Where the weights came from; a file by its absolute path, to be found from anywhere."""
    found = model.weights
    assert found is not None
    location = os.path.abspath(found.location) if found.source == "file" else found.location
    return Weights(source=found.source, location=location, sha256=found.sha256, seed=found.seed)


def _spec(value: ir.Value) -> TensorSpec:
    assert value.name and value.dtype is not None and value.shape is not None
    shape = [dim if isinstance(dim, int) else str(dim.value) for dim in value.shape]
    return TensorSpec(name=value.name, dtype=str(value.dtype.numpy()), shape=shape)


def _metadata(manifest: Manifest) -> Mapping[str, str]:
    return {
        "model": manifest.model,
        "gradient": str(manifest.gradient).lower(),
        "precision": manifest.precision,
        "weights_source": manifest.weights.source,
        "weights_sha256": manifest.weights.sha256,
        "spit_edge": manifest.versions.get("spit-edge", ""),
    }
