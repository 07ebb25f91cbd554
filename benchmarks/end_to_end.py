"""From images to logits: sessions against PyTorch and against a plain ViT in the same back end."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import nn

from benchmarks.bundles import BundleShelf, bundle_shelf
from benchmarks.photo import batches
from benchmarks.rows import Figure, Row, timed_rows
from benchmarks.suite import Chart, Settings, Suite
from benchmarks.threads import use_threads
from benchmarks.timing import time_in_turn
from export.precision import DTYPES, Precision
from plugins.torch_ops import accelerate
from runtime import BackendUnavailable, Session
from runtime.backend import backend_names
from runtime.bundle import Bundle
from runtime.native_tokenizer import NativeTokenizer
from spit_ref import Spit, load_model

BACKENDS = ("onnxruntime", "openvino", "onnxruntime-graph", "tensorrt", "tensorrt-split")
CPU_BACKENDS = BACKENDS[:3]
TOKENIZER = "tokenizer and features"


@dataclass
class Contest:
    """Variants of one model: what runs one pass over all photographs, and what is known of it.

    before   function that is the part of a variant before its trunk, by variant
    missing  reasons, by variant
    """

    images: list[torch.Tensor]
    functions: dict[str, Callable[[], object]] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> set[str]:
        """Functions that are no variants of their own."""
        return set(self.before.values())

    def add(self, variant: str, call: Callable[[torch.Tensor], object]) -> None:
        """``call`` takes one image, uint8 [1, 3, H, W]."""

        @torch.no_grad()
        def run() -> None:
            for image in self.images:
                call(image)

        self.functions[variant] = run


def measure(settings: Settings) -> Iterator[Row]:
    """Rows by model, precision and image side; milliseconds are those of one image."""
    with use_threads(settings.threads), bundle_shelf(settings.bundles) as shelf:
        for name in settings.models:
            for precision in settings.precisions:
                for size in settings.sizes:
                    yield from _model(name, precision, size, settings, shelf)


def _model(
    name: str, precision: Precision, size: int, settings: Settings, shelf: BundleShelf
) -> Iterator[Row]:
    what = f"{name} {precision}"
    contest = Contest([torch.from_numpy(image) for image in batches(size).values()])
    bundle = shelf.get(name, precision, size)
    with ExitStack() as stack:
        for backend in BACKENDS:
            _session(contest, stack, f"ours, {backend}", backend, bundle, settings.threads)
        if not contest.functions:
            raise BackendUnavailable(f"nothing runs {what} here: {contest.missing}")
        ours = next(iter(contest.functions))
        plain = plain_vit(name)
        if plain is not None:
            backend = ours.removeprefix("ours, ")
            vit = shelf.get(plain, precision, size)
            _session(contest, stack, f"{plain}, {backend}", backend, vit, settings.threads)
        _reference(contest, load_model(name, weights="random"), precision)
        timings = time_in_turn(contest.functions, rounds=settings.rounds)
    one = {variant: timing.each(len(contest.images)) for variant, timing in timings.items()}
    more: dict[str, dict[str, Figure]] = {}
    for variant, part in contest.before.items():
        spent = one[part].median
        more[variant] = {
            "before the trunk": spent,
            "% of all": 100 * spent / one[variant].median,
        }
    whole = {variant: timing for variant, timing in one.items() if variant not in contest.parts}
    yield from timed_rows(what, size, whole, ours, more=more)
    for variant, reason in contest.missing.items():
        yield Row(what=what, size=size, variant=variant, note=reason)


def plain_vit(model: str) -> str | None:
    """The ViT on squares that has the same trunk; None where the zoo has none."""
    name = f"vit_{model.partition('_')[2]}"
    return name if name in ("vit_s16", "vit_b16") and name != model else None


def _session(
    contest: Contest, stack: ExitStack, variant: str, backend: str, bundle: Bundle, threads: int
) -> None:
    if backend not in backend_names():
        return
    try:
        session = stack.enter_context(Session.open(bundle, backend, threads=threads))
    except BackendUnavailable as error:
        contest.missing[variant] = str(error)
        return
    contest.add(variant, lambda image: session.run(image.numpy()))
    if backend in CPU_BACKENDS:
        part = f"{TOKENIZER} of {bundle.manifest.model}, native"
        contest.add(part, _native_tokenizer(bundle, threads))
        contest.before[variant] = part


def _native_tokenizer(bundle: Bundle, threads: int) -> Callable[[torch.Tensor], object]:
    """What a session does before the trunk."""
    native = NativeTokenizer(bundle, threads)

    def tokenize(image: torch.Tensor) -> object:
        images = image.numpy()
        labels, counts = native.regions(images, None)
        return native.tokens(images, labels, counts, int(counts.max()))

    return tokenize


def _reference(contest: Contest, model: Spit, precision: Precision) -> None:
    """The reference as it is, with the native tokenizer, and that compiled."""
    eager = model.to(DTYPES[precision])
    native = accelerate(copy.deepcopy(eager))
    contest.add("PyTorch, eager", eager)
    part = f"{TOKENIZER} of {model.config.name}, PyTorch"
    contest.add(part, eager.tokenizer.tokens)
    contest.before["PyTorch, eager"] = part
    contest.add("PyTorch, eager, our tokenizer", native)
    compiled = "PyTorch, compiled, our tokenizer"
    try:
        call = _compiled(native, contest.images)
    except Exception as error:  # the compiler's own errors, of many kinds
        contest.missing[compiled] = f"torch.compile: {str(error).strip().splitlines()[0]}"
        return
    contest.add(compiled, call)


@torch.no_grad()
def _compiled(model: nn.Module, images: list[torch.Tensor]) -> Callable[[torch.Tensor], object]:
    """``model`` compiled for any number of tokens; compiled when this returns."""
    # It warns of the one place where the number of tokens becomes a Python number.
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)
    torch.compiler.reset()
    call: Callable[[torch.Tensor], object] = torch.compile(model, dynamic=True)
    for image in images * 2:
        call(image)
    return call


SUITE = Suite(
    name="end_to_end",
    title="one image to logits, mean of the three sample photographs",
    measure=measure,
    chart=Chart(kind="bars", label="ms an image"),
    notes=(
        "Weights are random, which changes no time. A plain ViT has 196 tokens; the photographs "
        "have 199, 224 and 186 superpixels.",
        "before the trunk: milliseconds of tokenizer and features alone, in the same rounds.",
    ),
    sizes=(224,),
    models=("spit_s16", "spit_b16"),
)
