"""Traced trunks: each is made once, for all bundles and all processes of a test run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir

from spit_edge.base.files import write_whole
from spit_edge.export.graph.model import trunk_graph
from spit_edge.export.options import BuildOptions
from spit_edge.spit_ref.model import Spit
from tests.processes import one_at_a_time


@dataclass(frozen=True)
class Traces:
    """Stands in for ``trunk_graph``, and keeps what that gave in ``folder``.

    A trunk depends neither on the image's size nor on the token budget nor on the tokenizer.
    """

    folder: Path

    def __call__(self, model: Spit, options: BuildOptions) -> ir.Model:
        kept = self.folder / f"{self.key(model, options)}.onnx"
        with one_at_a_time(kept):
            if not kept.exists():
                traced = ir.to_proto(trunk_graph(model, options))
                write_whole({kept: traced.SerializeToString(deterministic=True)})
        return ir.from_proto(onnx.load(str(kept)))

    def key(self, model: Spit, options: BuildOptions) -> str:
        """Everything that a trunk depends on, in short."""
        assert model.weights is not None
        extras = [name for name in options.outputs if name != "tokens"]
        said = (model.config, model.weights.sha256, options.precision, extras, sorted(options.fp32))
        return hashlib.sha256(repr(said).encode()).hexdigest()[:16]
