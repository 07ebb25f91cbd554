"""Weights for a model: the official file, a checkpoint of one's own, or seeded random values."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from spit_edge.base.ranges import CLASSES
from spit_edge.spit_ref.checkpoint import WrongCheckpoint, read_checkpoint
from spit_edge.spit_ref.download import WeightsError, download
from spit_edge.spit_ref.zoo import (
    MODEL_NAMES,
    OFFICIAL,
    ModelConfig,
    Shapes,
    cache_path,
    checkpoint_shapes,
    model_config,
)

OFFICIAL_CLASSES = 1000
INIT_STD = 0.02
LISTED = 8  # keys of one kind that an error names


class RandomWeightsWarning(UserWarning):
    """Random weights stand in for real ones."""


@dataclass(frozen=True)
class WeightsInfo:
    """Where weights came from; ``location`` is a URL, a path or "seed N"."""

    source: Literal["official", "file", "random"]
    location: str
    sha256: str
    seed: int | None = None


def resolve_weights(
    config: ModelConfig, weights: str | Path = "auto", *, seed: int = 0
) -> tuple[dict[str, Tensor], WeightsInfo]:
    """The float32 state dict of a model, in the order of `checkpoint_shapes`, and its origin.

    ``weights`` is "official" (cached or downloaded), "random" (drawn from ``seed``), "auto"
    (official if it can be had, else random with a `RandomWeightsWarning`), or the path of a
    checkpoint; a `Path` is always a path.  Raises WeightsError.
    """
    if weights == "official":
        return _official(config)
    if weights == "auto":
        try:
            return _official(config)
        except WrongCheckpoint:
            raise
        except WeightsError as error:
            message = f"{config.name} runs on RANDOM weights, so its predictions are meaningless; "
            message += f"pass real ones with --weights PATH. Reason: {error}"
            warnings.warn(message, RandomWeightsWarning, stacklevel=2)
    if weights in ("auto", "random"):
        state = random_state(config, seed)
        return state, WeightsInfo("random", f"seed {seed}", state_dict_sha256(state), seed)
    # Absolute, because whoever validates a bundle later stands in another folder.
    path = Path(os.path.expanduser(weights)).absolute()
    state = check_state(read_checkpoint(path), config, str(path))
    return state, WeightsInfo("file", str(path), state_dict_sha256(state))


def random_state(config: ModelConfig, seed: int) -> dict[str, Tensor]:
    """Random float32 weights that depend on ``config`` and ``seed`` alone."""
    generator = torch.Generator().manual_seed(seed)

    def draw(key: str, shape: tuple[int, ...]) -> Tensor:
        # Published training starts lambda_ near 0, where the blocks would hardly take part and
        # a parity check on random weights would check nothing: here they take part fully.
        if key.endswith("lambda_"):
            return torch.ones(shape)
        if "norm" in key:
            return torch.full(shape, 1.0 if key.endswith("weight") else 0.0)
        tensor = torch.empty(shape)
        if key.endswith("bias"):
            return tensor.normal_(std=INIT_STD, generator=generator)
        cut = 2 * INIT_STD
        return torch.nn.init.trunc_normal_(tensor, 0.0, INIT_STD, -cut, cut, generator=generator)

    return {key: draw(key, shape) for key, shape in checkpoint_shapes(config).items()}


def state_dict_sha256(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of keys and values, whatever the file format and the order of the keys.

    Hashed per sorted key: "key|d0,d1|dtype|" in UTF-8 (dtype as in "float32"), then the values,
    row-major and little-endian.
    """
    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        shape = ",".join(map(str, tensor.shape))
        digest.update(f"{key}|{shape}|{str(tensor.dtype).removeprefix('torch.')}|".encode())
        values = tensor.reshape(-1).view(torch.uint8)
        if sys.byteorder == "big":
            values = values.reshape(-1, tensor.element_size()).flip(1).reshape(-1)
        digest.update(values.numpy().data)
    return digest.hexdigest()


def check_state(state: object, config: ModelConfig, where: str) -> dict[str, Tensor]:
    """``state`` as float32 tensors, in the order of `checkpoint_shapes`.

    Raises WrongCheckpoint, naming ``where``, for anything but a state dict with the keys and
    shapes of this model whose values are dense, floating point and finite.
    """
    tensors: dict[str, Tensor] = {}
    items = state.items() if isinstance(state, Mapping) else [(None, state)]
    for key, value in items:
        if not isinstance(key, str) or not isinstance(value, Tensor):
            what = "it" if key is None else repr(key)
            raise WrongCheckpoint(
                f"{where} is not a state dict of named tensors ({what} is a "
                f"{type(value).__name__}): save model.state_dict() by itself and pass that file."
            )
        tensors[key] = value
    _check_shapes({key: tuple(value.shape) for key, value in tensors.items()}, config, where)
    return {key: _as_float32(tensors[key], key, where) for key in checkpoint_shapes(config)}


def _check_shapes(found: Shapes, config: ModelConfig, where: str) -> None:
    wanted = checkpoint_shapes(config)
    both = [key for key in wanted if key in found]
    differences = {
        "missing": [key for key in wanted if key not in found],
        "unexpected": [key for key in found if key not in wanted],
        "wrong shape": [f"{k} {found[k]} not {wanted[k]}" for k in both if found[k] != wanted[k]],
    }
    lines = ""
    for kind, keys in differences.items():
        more = f", ... and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
        lines += f"\n  {kind}: {', '.join(keys[:LISTED])}{more}" if keys else ""
    if lines:
        n = sum(found.get("head.bias", ()))
        if n in CLASSES and found == checkpoint_shapes(replace(config, classes=n)):
            raise WrongCheckpoint(
                f"{where} has {n} classes and {config.name} {config.classes}: pass --classes {n} "
                f"(in Python classes={n})."
            )
        kinds = [(m, g) for m in MODEL_NAMES for g in (True, False) if n in CLASSES]
        zoo = [model_config(m, gradient=g, classes=n) for m, g in kinds]
        fits = [known for known in zoo if checkpoint_shapes(known) == found]
        looks = f" (this looks like {_label(*fits)})" if fits else ""
        raise WrongCheckpoint(
            f"{where} is not a checkpoint of {_label(config)}{looks}: pass another file, or choose "
            f"the model it belongs to.{lines}"
        )


def _label(config: ModelConfig, *others: ModelConfig) -> str:
    names = " or ".join(each.name for each in (config, *others))
    gradient = "with" if config.gradient else "without"
    size = f"dim {config.dim}, depth {config.depth}, {config.token_size} values per token"
    return f"{names} {gradient} gradient features [{size}, {config.classes} classes]"


def _as_float32(tensor: Tensor, key: str, where: str) -> Tensor:
    if tensor.is_meta or tensor.layout is not torch.strided or not tensor.is_floating_point():
        fault = f"is not a dense floating point tensor ({tensor.dtype})"
    else:
        tensor = tensor.detach().to(torch.float32).contiguous()
        if tensor.isfinite().all():
            return tensor
        fault = "has values that are NaN or beyond float32"
    raise WrongCheckpoint(f"{where}: {key} {fault}, so no model can run on it: pass another file.")


def _official(config: ModelConfig) -> tuple[dict[str, Tensor], WeightsInfo]:
    file = OFFICIAL.get((config.name, config.gradient))
    if file is None or config.classes != OFFICIAL_CLASSES:
        raise WeightsError(
            f"There are no official weights for {_label(config)}: pass a checkpoint or the word "
            "random."
        )
    path = cache_path(config)
    if not _is_cached(path, file.md5):
        download(file.url, path, file.md5)
    state = check_state(read_checkpoint(path), config, str(path))
    return state, WeightsInfo("official", file.url, state_dict_sha256(state))


def _is_cached(path: Path, md5: str) -> bool:
    """Whether ``path`` has this MD5; a file that has another is removed with a warning."""
    try:
        found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        if found != md5:
            path.unlink()
            message = f"{path} had MD5 {found}, not {md5}: it was removed and is downloaded again."
            warnings.warn(message, stacklevel=4)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise WeightsError(f"{path} is in the way ({error.strerror}): remove it.") from error
    return found == md5
