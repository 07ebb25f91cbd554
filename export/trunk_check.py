"""Judge an exported trunk on the reference's own tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from spit_edge.export.graph.trunk import TrunkGraph
from spit_edge.export.options import BuildOptions
from spit_edge.runtime.backends.onnxruntime_session import open_session
from spit_edge.runtime.parity.judge import Expected, ImageParity, compare
from spit_edge.runtime.session import Output
from spit_edge.spit_ref import Spit
from spit_edge.spit_ref.tokenizer import Tokens


def check_trunk(
    path: Path,
    model: Spit,
    images: Mapping[str, NDArray[np.uint8]],
    expected: Sequence[Expected],
    options: BuildOptions,
) -> dict[str, list[ImageParity]]:
    """Run the graph at ``path`` in ONNX Runtime; bfloat16, which that cannot, in PyTorch.

    Returns a row per image, by the name of what ran it.
    """
    session = None
    if options.precision != "bf16":
        session = open_session(path)
    trunk = TrunkGraph(model, options.precision, fp32=options.fp32).eval()
    rows = []
    for (name, image), answer in zip(images.items(), expected, strict=True):
        batch = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).unsqueeze(0)
        tokens = model.tokenizer.tokens(batch, max_tokens=options.budget)
        if session is not None:
            feeds = {"tokens": tokens.rows.numpy(), "num_tokens": tokens.counts.numpy()}
            (logits,) = session.run(["logits"], feeds)
        else:
            with torch.no_grad():
                logits = trunk(tokens.rows, tokens.counts)[0].numpy()
        rows.append(trunk_parity(name, logits, tokens, answer, options.precision))
    return {"torch" if session is None else "onnxruntime": rows}


def trunk_parity(
    name: str, logits: NDArray[np.float32], tokens: Tokens, answer: Expected, precision: str
) -> ImageParity:
    """Judge the logits [1, classes] that a trunk made of the reference's own tokens."""
    output = Output(
        logits=logits,
        labels=tokens.labels.numpy(),
        num_tokens=tokens.counts.numpy(),
        tokens=tokens.rows.numpy(),
    )
    return compare(name, output, 0, answer, precision)
