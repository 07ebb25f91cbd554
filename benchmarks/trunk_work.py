"""How many operations a trunk takes."""

from __future__ import annotations

from spit_edge.spit_ref.trunk import MLP_RATIO
from spit_edge.spit_ref.zoo import ModelConfig


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
