"""The models: architectures, tokenizers and where the official weights lie.

Sizes and hashes are those published with "A Spitting Image: Modular Superpixel Tokenization in
Vision Transformers" (Aasan et al., ECCV 2024 workshops, arXiv 2408.07680).
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spit_edge.base.contracts import SUPERPIXEL_MERGE
from spit_edge.base.errors import OptionError
from spit_edge.base.ranges import CLASSES
from spit_edge.base.token_rows import BINS, token_size

Tokenizer = Literal["superpixel", "square", "random"]
Tessellation = Literal["voronoi", "pca_tree"]
Interpolation = Literal["bilinear", "nearest"]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class ModelConfig:
    """Everything that tells one model from another.

    ``sigma`` is the bandwidth of the joint histograms (in units of the feature range [-1, 1]).
    ``compactness`` in [0, 1] blends region compactness into the merge scores; None switches the
    term off.  ``final_threshold`` > 0 joins, at the end, all neighbouring superpixels whose
    features differ by less.  ``drop_path`` is the stochastic depth used while training.
    """

    name: str
    dim: int
    heads: int
    depth: int
    tokenizer: Tokenizer
    gradient: bool = True
    sigma: float = 0.025
    compactness: float | None = None
    final_threshold: float = 0.0
    interpolation: Interpolation = "bilinear"
    classes: int = 1000
    drop_path: float = 0.0
    levels: int = 4
    bins: int = BINS

    @property
    def token_size(self) -> int:
        """Values per token row."""
        return token_size(self.bins, gradient=self.gradient)


@dataclass(frozen=True)
class OfficialFile:
    """A published checkpoint: the id in its share link, and the MD5 of the file."""

    share_id: str
    md5: str

    @property
    def url(self) -> str:
        return f"{SHARE_ROOT}{self.share_id}?download=1"


SHARE_ROOT = "https://uio-my.sharepoint.com/:u:/g/personal/mariuaas_uio_no/"

_SMALL = {"dim": 384, "heads": 6, "depth": 12}
_BASE = {"dim": 768, "heads": 12, "depth": 12, "drop_path": 0.2}
_LARGE = {"dim": 1024, "heads": 16, "depth": 24, "drop_path": 0.2}
_TINY = {"dim": 64, "heads": 4, "depth": 2, "classes": 10}

_SHAPES: dict[str, tuple[Tokenizer, dict[str, Any]]] = {
    "spit_tiny": ("superpixel", _TINY),
    "spit_s16": ("superpixel", _SMALL),
    "spit_b16": ("superpixel", _BASE),
    "spit_l16": ("superpixel", _LARGE),
    "vit_s16": ("square", _SMALL),
    "vit_b16": ("square", _BASE),
    "rvit_s16": ("random", _SMALL),
    "rvit_b16": ("random", _BASE),
}

# The histograms of these are wider when the model has gradient features.
_WIDE_SIGMA = {"spit_tiny", "spit_b16", "spit_l16"}

MODEL_NAMES: tuple[str, ...] = tuple(_SHAPES)

OFFICIAL: dict[tuple[str, bool], OfficialFile] = {
    ("spit_s16", False): OfficialFile(
        "EZ57Sad2uf9Dizwm3VYhvw4BVdHOxsEJcgyf4vgKsdmgZg", "8e899c846a75c51e1c18538db92efddf"
    ),
    ("spit_s16", True): OfficialFile(
        "Eb9FViSwap5JqYe1mtlC3jQBE-nAMG88MfJfmypT_J8r0Q", "e49be7009c639c0ccda4bd68ed34e5af"
    ),
    ("spit_b16", False): OfficialFile(
        "EXhsshO-DvlIii87kyyEVtoBRFbZaTp8SqTgDJhQ1iQIBw", "9d3483a4c6fdaf603ee6528824d48803"
    ),
    ("spit_b16", True): OfficialFile(
        "EcahlrAzXZ5Bsozrqs4dWLABHFX-V5VH8jQR5ygHhZH30A", "9394072a5d488977b1af05c02aa0d13c"
    ),
    ("vit_s16", False): OfficialFile(
        "EWqHDQvY5V5PjKkMmO5fcFEBKuN6WTfr4a99u8vpNT67WQ", "73af132e4bb1405b510a5eb2ea74cf22"
    ),
    ("vit_s16", True): OfficialFile(
        "EenEECYQaQZFl_GeU2N9q7YB-XOHNyaJXHnC74qREU3cSQ", "b8e4f1f219c3baef47fc465eaef9e0d4"
    ),
    ("vit_b16", False): OfficialFile(
        "EUWJM_RY9IRPvM9dsp2Zzi8B6ZOnhQ_C666TMESzmAQ0sQ", "ce45dcbec70d61d1c9f944e1899247f1"
    ),
    ("vit_b16", True): OfficialFile(
        "EdGx5GaXRshPpOh0gsCHU4cBeZ0FxexzuBm7vTtm67nuTw", "1caa683ecd885347208b0db58118bf40"
    ),
    ("rvit_b16", False): OfficialFile(
        "Ed9R0bQOmslLiPnFX_P0hRoBUf_zQ4pfHXZ3BpQ4iW8JYA", "18c13af67d10f407c3321eb1ca5eb568"
    ),
    ("rvit_b16", True): OfficialFile(
        "EflpV7TP04RKmxg1qfiNovUBo149q0P9j4tmoOTQ-NkV-Q", "50d25403adfd5a12d7cb07f7ebfced97"
    ),
}


def model_config(
    name: str, *, gradient: bool = True, classes: int | None = None, final_threshold: float = 0.0
) -> ModelConfig:
    """The configuration of a model by name.

    ``classes`` None keeps the model's own number (1000; 10 for ``spit_tiny``).
    Raises OptionError or ContractError, which are ValueErrors, for an unknown name and for
    values out of range.
    """
    if name not in _SHAPES:
        raise OptionError(f"unknown model {name!r}: choose one of {', '.join(MODEL_NAMES)}")
    tokenizer, shape = _SHAPES[name]
    SUPERPIXEL_MERGE.attribute("final_threshold").checked(final_threshold, SUPERPIXEL_MERGE.name)
    if final_threshold and tokenizer != "superpixel":
        raise OptionError(f"final_threshold is for superpixels, which {name} does not have")
    own = shape.get("classes", ModelConfig.classes)
    return ModelConfig(
        name=name,
        tokenizer=tokenizer,
        gradient=gradient,
        sigma=0.05 if gradient and name in _WIDE_SIGMA else 0.025,
        compactness=0.1 if tokenizer == "superpixel" and not gradient else None,
        final_threshold=final_threshold,
        interpolation="nearest" if tokenizer == "square" else "bilinear",
        **shape | {"classes": own if classes is None else CLASSES.checked("classes", classes)},
    )


def checkpoint_shapes(config: ModelConfig) -> Shapes:
    """Every key of a checkpoint of this model with its shape."""

    def affine(name: str, *shape: int) -> Shapes:
        return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}

    d = config.dim
    block = affine("norm1", d) | affine("norm2", d)
    block |= {"ls1.lambda_": (d,), "ls2.lambda_": (d,), "att.qkv.linear.weight": (3 * d, d)}
    block |= affine("att.proj.linear", d, d)
    block |= affine("mlp.L1.linear", 4 * d, d) | affine("mlp.L2.linear", d, 4 * d)

    shapes: Shapes = {"embedder.cls_token": (d,)}
    shapes |= affine("embedder.embedder.linear", d, config.token_size)
    for i in range(config.depth):
        shapes |= {f"blocks.{i}.{key}": shape for key, shape in block.items()}
    return shapes | affine("norm", d) | affine("head", config.classes, d)


def cache_path(config: ModelConfig) -> Path:
    """Where the official file of this model is kept, in the cache folder of torch.hub."""
    kind = "gradient" if config.gradient else "plain"
    return _hub_folder() / "checkpoints" / f"{config.name}_{kind}.pth"


def _hub_folder() -> Path:
    """What ``torch.hub.get_dir()`` says, or would say where torch is not loaded."""
    if torch := sys.modules.get("torch"):
        return Path(torch.hub.get_dir())
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{caches}/torch")).expanduser() / "hub"
