"""From images to logits: sessions against PyTorch and against a plain ViT in the same back end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.bundles import BundleShelf, bundle_shelf, make_engine
from benchmarks.photo import batches
from benchmarks.pytorch_variants import PyTorchVariant, pytorch_variants
from benchmarks.suite import Chart, Figure, Row, Settings, Suite, timed_rows
from benchmarks.timing import time_in_turn, use_threads
from spit_edge.base.errors import SpitError
from spit_edge.runtime import Session
from spit_edge.runtime.backends.backend import backend_names
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import Precision

BACKENDS = ("onnxruntime", "openvino", "onnxruntime-graph", "tensorrt", "tensorrt-split")


@dataclass
class Contest:
    """Variants of one model: what runs one pass over all photographs, and what is known of it.

    images   uint8 [1, 3, H, W] each
    parts    functions that are no variants of their own, but what comes before a trunk
    before   the part that comes before the trunk of a variant
    spent    milliseconds an image before the trunk, of variants that can tell
    missing  reasons, by variant
    """

    images: list[NDArray[np.uint8]]
    functions: dict[str, Callable[[], object]] = field(default_factory=dict)
    parts: dict[str, Callable[[], object]] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    spent: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def each(self, call: Callable[[NDArray[np.uint8]], object]) -> Callable[[], object]:
        """``call`` of all images in turn."""

        def run() -> None:
            for image in self.images:
                call(image)

        return run

    def add_session(self, variant: str, session: Session) -> None:
        """An opened one, with the times of its stages if it can tell them."""
        self.functions[variant] = self.each(session.run)
        if session.stages(self.images[0]) is None:
            return
        spent = self.spent[variant] = []

        def stages() -> None:
            times = [session.stages(image) for image in self.images]
            spent.append(
                sum(time["labels"] + time["features"] for time in times if time) / len(times)
            )

        self.parts[f"stages of {variant}"] = stages

    def add_pytorch(self, made: PyTorchVariant) -> None:
        """One of PyTorch's; those with the same tokenizer share its time."""
        if made.call is None:
            self.missing[made.name] = made.missing
            return
        self.functions[made.name] = self.each(made.call)
        if made.tokenize is not None:
            self.before[made.name] = made.tokenizer
            self.parts[made.tokenizer] = self.each(made.tokenize)

    def rows(self, what: str, size: int, ours: str, rounds: int) -> Iterator[Row]:
        """All of them, timed in turn; milliseconds are those of one image."""
        timings = time_in_turn(self.functions | self.parts, rounds=rounds)
        one = {variant: timing.each(len(self.images)) for variant, timing in timings.items()}
        spent = {variant: median(times) for variant, times in self.spent.items()}
        spent |= {variant: one[part].median for variant, part in self.before.items()}
        more: dict[str, dict[str, Figure]] = {
            variant: {"before the trunk": time, "% of all": 100 * time / one[variant].median}
            for variant, time in spent.items()
        }
        variants = {variant: one[variant] for variant in self.functions}
        yield from timed_rows(what, size, variants, ours, more=more)


def measure(settings: Settings) -> Iterator[Row]:
    """Rows by model, precision and image side."""
    with use_threads(settings.threads), bundle_shelf(settings.bundles) as shelf:
        for name in settings.models:
            for precision in settings.precisions:
                for size in settings.sizes:
                    yield from _model(name, precision, size, settings, shelf)


def _model(
    name: str, precision: Precision, size: int, settings: Settings, shelf: BundleShelf
) -> Iterator[Row]:
    what = f"{name} {precision}"
    contest = Contest(list(batches(size).values()))
    with ExitStack() as stack:

        def enter(who: str, backend: str, bundle: Bundle) -> None:
            _session(contest, stack, f"{who}, {backend}", backend, bundle, settings.threads)

        bundle = shelf.get(name, precision, size)
        for backend in BACKENDS:
            enter("ours", backend, bundle)
        ours = list(contest.functions)
        if ours:
            if plain := plain_vit(name):
                vit = shelf.get(plain, precision, size)
                for variant in ours:
                    enter(plain, variant.removeprefix("ours, "), vit)
            for made in pytorch_variants(name, precision, contest.images):
                contest.add_pytorch(made)
            yield from contest.rows(what, size, ours[0], settings.rounds)
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
        make_engine(bundle, backend)
        session = stack.enter_context(Session.open(bundle, backend, threads=threads))
    except SpitError as error:
        contest.missing[variant] = str(error)
    else:
        contest.add_session(variant, session)


SUITE = Suite(
    name="end_to_end",
    title="one image to logits, mean of the three sample photographs",
    measure=measure,
    chart=Chart(kind="bars", label="ms an image"),
    notes=(
        "Weights are random, which changes no time. A plain ViT has 196 tokens; the photographs "
        "have 199, 224 and 186 superpixels.",
        "before the trunk: milliseconds of tokenizer and features, in the same rounds; none where "
        "the back end cannot tell them from the trunk.",
    ),
    sizes=(224,),
    models=("spit_s16", "spit_b16"),
)
