"""The bundle's model in PyTorch, in the bundle's precision: a back end for comparisons."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from spit_edge.export.graph.trunk import TrunkGraph
from spit_edge.export.reference import model_of
from spit_edge.runtime.backends.protocol import Outputs
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.errors import BackendUnavailable
from spit_edge.spit_ref import WeightsError, voronoi_tessellation


class TorchBackend:
    """See :class:`Backend`.  Computes what the exported graph computes."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        manifest = bundle.manifest
        try:
            self._model = model_of(manifest)
        except WeightsError as error:
            raise BackendUnavailable(str(error)) from error
        self._threads = threads
        self._budget = manifest.token_budget
        names = [output.name for output in manifest.outputs]
        self._extras = tuple(name for name in ("embeddings", "attention") if name in names)
        self._tokens = "tokens" in names
        self._trunk = TrunkGraph(
            self._model, manifest.precision, self._extras, manifest.fp32_products
        ).eval()

    @torch.no_grad()
    def run(
        self,
        images: NDArray[np.uint8],
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Outputs:
        cells = None
        if seeds is not None:
            cells, _ = voronoi_tessellation(seeds.tolist(), images.shape[2], images.shape[3])
        before = torch.get_num_threads()
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        try:
            made = self._model.tokenizer.tokens(
                torch.from_numpy(images), labels=cells, max_tokens=self._budget
            )
            values = self._trunk(made.rows, made.counts)
        finally:
            torch.set_num_threads(before)
        outputs = {"labels": made.labels.numpy(), "num_tokens": made.counts.numpy()}
        for name, value in zip(("logits", *self._extras), values, strict=True):
            outputs[name] = value.numpy()
        if tokens or self._tokens:
            outputs["tokens"] = made.rows.numpy()
        return outputs

    def close(self) -> None:
        del self._model, self._trunk
