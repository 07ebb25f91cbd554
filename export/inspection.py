"""Say what is in a bundle."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
from rich import box
from rich.console import Console
from rich.table import Table

from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import Manifest, TensorSpec
from spit_edge.runtime.errors import BundleError


def inspect_bundle(path: Path, console: Console) -> None:
    """Verify the bundle's hashes, then print its manifest and graph.

    Raises BundleError, which names the file that is wrong.
    """
    bundle = Bundle.open(path)
    table = Table(title=str(path), title_justify="left", show_header=False, box=box.SIMPLE)
    for name, value in manifest_facts(bundle.manifest).items():
        table.add_row(name, value)
    try:
        graph = onnx.load(str(bundle.model), load_external_data=False)
    except Exception as error:  # of the package protobuf, which is not ours to import
        raise BundleError(f"{bundle.model} is no ONNX graph: {error}") from error
    ops = Counter(f"{n.domain}::{n.op_type}" if n.domain else n.op_type for n in graph.graph.node)
    table.add_row("nodes", ", ".join(f"{count} {name}" for name, count in ops.most_common()))
    types = Counter(
        onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in graph.graph.initializer
    )
    table.add_row("stored as", ", ".join(f"{n} {name.lower()}" for name, n in types.most_common()))
    for name, entry in sorted(bundle.manifest.files.items()):
        table.add_row(name, f"{entry.bytes / 1e6:.2f} MB, sha256 {entry.sha256[:16]}, verified")
    console.print(table)


def manifest_facts(manifest: Manifest) -> dict[str, str]:
    """What a manifest says, for people."""
    size, batch, regions = manifest.preprocessing, manifest.batch, manifest.tokenizer
    return {
        "model": f"{manifest.model}, {manifest.classes} classes, "
        f"{'with' if manifest.gradient else 'without'} gradient features",
        "part": manifest.part,
        "precision": ", but fp32 in ".join(
            filter(None, [manifest.precision, " ".join(sorted(manifest.fp32_products))])
        ),
        "weights": f"{manifest.weights.source} ({manifest.weights.location}), "
        f"sha256 {manifest.weights.sha256[:16]}",
        "image": f"{size.height}x{size.width}, {size.pixels} {size.layout}",
        "batch": f"{batch.min}...{batch.max}, tuned for {batch.opt}",
        "token budget": str(manifest.token_budget),
        "regions": f"{regions.kind}, {regions.interpolation}, sigma {regions.sigma:g}"
        + (f", compactness {regions.compactness:g}" if regions.compactness else ""),
        "inputs": _tensors(manifest.inputs),
        "outputs": _tensors(manifest.outputs),
        "custom ops": ", ".join(f"{k} v{v}" for k, v in manifest.contracts.items()) or "none",
        "versions": ", ".join(f"{name} {number}" for name, number in manifest.versions.items()),
    }


def _tensors(tensors: list[TensorSpec]) -> str:
    return ", ".join(f"{t.name} {t.dtype} [{', '.join(map(str, t.shape))}]" for t in tensors)
