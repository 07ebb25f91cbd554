"""The model in PyTorch: eager and compiled, with its own tokenizer or ours, on CPU and GPU."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from spit_edge.export.graph.trunk import DTYPES
from spit_edge.plugins.torch_ops import accelerate
from spit_edge.runtime.bundle.manifest import Precision
from spit_edge.spit_ref import Spit, load_model

TOKENIZER = "tokenizer and features"
Call = Callable[[NDArray[np.uint8]], object]


@dataclass(frozen=True)
class PyTorchVariant:
    """What runs one image, or why nothing does.

    tokenize   what it does before the trunk; None: that cannot be told apart
    tokenizer  its name: variants with the same tokenizer share it
    """

    name: str
    call: Call | None
    missing: str = ""
    tokenize: Call | None = None
    tokenizer: str = ""


def pytorch_variants(
    model: str, precision: Precision, images: Sequence[NDArray[np.uint8]]
) -> Iterator[PyTorchVariant]:
    """All variants of ``model`` with random weights; compiled ones are, for all ``images``."""
    eager = load_model(model, weights="random").to(DTYPES[precision])
    native = accelerate(copy.deepcopy(eager))
    yield _eager("PyTorch, eager", eager, f"{TOKENIZER}, PyTorch")
    ours = f"{TOKENIZER}, native"
    variant = _eager("PyTorch, eager, our tokenizer", native, ours)
    yield variant
    yield _compiled("PyTorch, compiled, our tokenizer", native, images, variant.tokenize, ours)
    if torch.cuda.is_available():
        on_gpu = copy.deepcopy(eager).cuda()
        variant = _eager("PyTorch, eager, GPU", on_gpu, f"{TOKENIZER}, PyTorch, GPU")
        yield variant
        yield _compiled(
            "PyTorch, compiled, GPU", on_gpu, images, variant.tokenize, variant.tokenizer
        )


def _eager(name: str, model: Spit, tokenizer: str) -> PyTorchVariant:
    def tokenize(image: NDArray[np.uint8]) -> object:
        with torch.no_grad():
            return model.tokenizer.tokens(_moved(image, model)).rows.cpu()

    return PyTorchVariant(name, _answers(model, model), "", tokenize, tokenizer)


def _compiled(
    name: str, model: Spit, images: Sequence[NDArray[np.uint8]], tokenize: Call | None,
    tokenizer: str,
) -> PyTorchVariant:  # fmt: skip
    """For any number of tokens; compiled when this returns."""
    # It warns of the one place where the number of tokens becomes a Python number.
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)
    torch.compiler.reset()
    try:
        call = _answers(torch.compile(model, dynamic=True), model)
        for image in [*images, *images]:
            call(image)
    except Exception as error:  # the compiler's own errors, of many kinds
        reason = str(error).strip().splitlines() or [type(error).__name__]
        return PyTorchVariant(name, None, f"torch.compile: {reason[0]}")
    return PyTorchVariant(name, call, "", tokenize, tokenizer)


def _answers(function: Callable[..., object], model: Spit) -> Call:
    """An image to logits in the host's memory, as a session gives them."""

    def call(image: NDArray[np.uint8]) -> object:
        with torch.no_grad():
            return function(_moved(image, model)).logits.cpu()  # type: ignore[attr-defined]

    return call


def _moved(image: NDArray[np.uint8], model: Spit) -> torch.Tensor:
    return torch.from_numpy(image).to(next(model.parameters()).device)
