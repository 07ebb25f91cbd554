"""Say what is in a bundle."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.text import Text

from spit_edge.base.install import pip_install
from spit_edge.base.progress import Steps
from spit_edge.base.sizes import size_text
from spit_edge.base.tables import new_table
from spit_edge.base.text import shown
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import Manifest, TensorSpec


def inspect_bundle(path: Path, console: Console) -> None:
    """Verify the bundle's hashes, then print its manifest and graph.

    Raises BundleError, which names the file that is wrong.
    """
    with Steps().step("verifying"):
        bundle = Bundle.open(path)
    table = new_table(str(path), header=False)
    for name, value in manifest_facts(bundle.manifest).items():
        table.add_row(name, Text(shown(value)))
    for name, value in graph_facts(bundle.model).items():
        table.add_row(name, Text(shown(value)))
    for name, entry in sorted(bundle.manifest.files.items()):
        size = size_text(entry.bytes)
        table.add_row(Text(shown(name)), f"{size}, sha256 {entry.sha256[:16]}, verified")
    console.print(table)


def graph_facts(model: Path) -> dict[str, str]:
    """What is in a graph, for people; without the package onnx, how to get it."""
    try:
        import onnx
    except ModuleNotFoundError:
        return {"nodes": f"to count them, {pip_install('export')}"}
    graph = onnx.load(str(model), load_external_data=False).graph
    ops = Counter(f"{n.domain}::{n.op_type}" if n.domain else n.op_type for n in graph.node)
    types = Counter(
        onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in graph.initializer
    )
    return {
        "nodes": ", ".join(f"{count} {name}" for name, count in ops.most_common()),
        "stored as": ", ".join(f"{n} {name.lower()}" for name, n in types.most_common()),
    }


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
        + (f", compactness {regions.compactness:g}" if regions.compactness else "")
        + (f", final threshold {regions.threshold:g}" if regions.threshold else ""),
        "inputs": _tensors(manifest.inputs),
        "outputs": _tensors(manifest.outputs),
        "custom ops": ", ".join(f"{k} v{v}" for k, v in manifest.contracts.items()) or "none",
        "versions": ", ".join(f"{name} {number}" for name, number in manifest.versions.items()),
    }


def _counted(names: Counter[str]) -> Text:
    return Text(shown(", ".join(f"{count} {name}" for name, count in names.most_common())))


def _tensors(tensors: list[TensorSpec]) -> str:
    return ", ".join(f"{t.name} {t.dtype} [{', '.join(map(str, t.shape))}]" for t in tensors)
