"""``list``: the table of models."""

from __future__ import annotations

import argparse
import math

from rich.table import Table

from spit_edge.base.command_line import DONE
from spit_edge.base.progress import console
from spit_edge.base.sizes import size_text
from spit_edge.base.tables import new_table
from spit_edge.spit_ref.zoo import (
    MODEL_NAMES,
    OFFICIAL,
    ModelConfig,
    cache_path,
    checkpoint_shapes,
    model_config,
)


def add_arguments(_: argparse.ArgumentParser) -> None:
    """There is nothing to choose."""


def run(_: argparse.Namespace) -> int:
    """Print the table."""
    console().print(model_table())
    return DONE


def model_table() -> Table:
    """Every model with and without gradient features: sizes, tokenizer, official weights."""
    table = new_table()
    table.add_column("model")
    for column in ("gradient", "dim", "heads", "depth", "numbers", "fp16"):
        table.add_column(column, justify="right")
    table.add_column("regions")
    table.add_column("official weights")
    for name in MODEL_NAMES:
        for gradient in (True, False):
            config = model_config(name, gradient=gradient)
            count = parameter_count(config)
            table.add_row(
                name,
                "yes" if gradient else "no",
                str(config.dim),
                str(config.heads),
                str(config.depth),
                f"{count / 1e6:.1f} M",
                size_text(2 * count),
                {"superpixel": "superpixels", "square": "squares", "random": "random"}[
                    config.tokenizer
                ],
                weights_at_hand(config),
            )
    return table


def parameter_count(config: ModelConfig) -> int:
    """Numbers in a checkpoint of this model."""
    return sum(math.prod(shape) for shape in checkpoint_shapes(config).values())


def weights_at_hand(config: ModelConfig) -> str:
    """Whether the official file lies in the cache, can be downloaded, or was never published."""
    if (config.name, config.gradient) not in OFFICIAL:
        return "none published"
    return "at hand" if cache_path(config).is_file() else "to download"
