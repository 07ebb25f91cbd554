"""Find the matrix products of a bundle's trunk that must stay in float32.

Products are ranked by their own error: what reduced precision makes of the inputs they have in
float32; one that overflows comes first.  QuickXplain (Junker, AAAI 2004) then finds a set of which
none can be left out, by halving, and prefers the front of the ranking.  It takes the gates to be
monotone: more products in float32 never break a gate that held.  That is nearly true, and as the
answer is tried itself before it is given, a set that was found does hold.  For k of n products it
needs about 2 k log2(n / k) + 2 k trials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from spit_edge.base.errors import SpitError
from spit_edge.base.progress import Steps
from spit_edge.base.tables import new_table
from spit_edge.export.precision.layers import LayerError
from spit_edge.export.precision.trials import OutOfTrials, Trials, describe
from spit_edge.export.reference import model_of
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import Manifest, PrecisionPlan
from spit_edge.runtime.images import ImageFolder, fitted_samples

TRIALS = 100


class NothingHolds(SpitError):
    """The gates do not hold whatever matrix products are in float32."""


@dataclass(frozen=True)
class Found:
    """A plan, or None where the gates hold as it is.

    errors   every product's own error, by name, in the order of the ranking; empty without a plan
    minimal  whether no product can be left out; False where the trials did not suffice to tell
    """

    plan: PrecisionPlan | None
    errors: dict[str, LayerError]
    trials: int
    minimal: bool


def bisect(
    path: Path,
    steps: Steps,
    *,
    images: Path | None = None,
    limit: int = TRIALS,
    weights: Path | None = None,
) -> Found:
    """The smallest plan for a bundle in reduced precision.

    images   a folder of images whose gates must hold; None: the photographs of every bundle
    limit    how many sets of products may be tried
    weights  the checkpoint the bundle was built from; None: see :func:`model_of`

    Raises NothingHolds, other SpitErrors, and spit_ref.WeightsError if the weights are gone.
    """
    with steps.step("opening the bundle"):
        manifest = Bundle.open(path).manifest
    if manifest.precision == "fp32":
        raise SpitError(f"{path} is in fp32 as a whole: there is nothing to find")
    if limit < 2:
        raise SpitError("two trials, of nothing and of everything in fp32, are the least")
    with steps.step("loading the reference"):
        chosen = _images(manifest, images)
        model = model_of(manifest, weights)
    trials = Trials(model, manifest.precision, chosen, steps, limit)
    if trials.holds(manifest.fp32_products):
        return Found(None, {}, trials.count, True)
    everything = frozenset(trials.products)
    if failure := trials.failure(everything):
        raise NothingHolds(
            f"{path} {describe(failure)} even with every matrix product in fp32: "
            "the fault lies elsewhere, so compare with a bundle in fp32"
        )
    alone = trials.errors_alone()
    ranked = sorted(alone, key=lambda name: -alone[name].relative)
    kept, minimal = _search(trials, ranked)
    plan = PrecisionPlan(
        model=manifest.model,
        precision=manifest.precision,
        fp32=[name for name in trials.products if name in kept],
    )
    return Found(plan, {name: alone[name] for name in ranked}, trials.count, minimal)


def plan_table(plan: PrecisionPlan, errors: Mapping[str, LayerError]) -> Table:
    """The products of a plan with their own errors, and the worst that is not in it."""
    table = new_table()
    for column in ("matrix product", "precision"):
        table.add_column(column)
    for column in ("largest in fp32", f"own error in {plan.precision}"):
        table.add_column(column, justify="right")
    rest = [name for name in errors if name not in plan.fp32]
    for name in [*plan.fp32, *rest[:1]]:
        error = errors[name]
        table.add_row(
            name,
            "fp32" if name in plan.fp32 else plan.precision,
            f"{error.magnitude:.3g}",
            f"{error.not_finite} not finite" if error.not_finite else f"{error.relative:.1e}",
        )
    if len(rest) > 1:
        table.add_row(f"{len(rest) - 1} others", plan.precision, "", "less")
    return table


def irreducible(holds: Callable[[frozenset[str]], bool], ranked: Sequence[str]) -> frozenset[str]:
    """A subset of ``ranked`` that holds and none of whose elements can be left out.

    All of ``ranked`` must hold and nothing of it must not; the front is preferred.
    """

    def needed(kept: frozenset[str], grown: bool, among: Sequence[str]) -> frozenset[str]:
        """What of ``among`` is needed beside ``kept``, which has ``grown`` since it was tried."""
        if grown and holds(kept):
            return frozenset()
        if len(among) == 1:
            return frozenset(among)
        front, back = among[: len(among) // 2], among[len(among) // 2 :]
        of_back = needed(kept | frozenset(front), True, back)
        of_front = needed(kept | of_back, bool(of_back), front)
        return of_front | of_back

    return needed(frozenset(), False, ranked)


def _search(trials: Trials, ranked: Sequence[str]) -> tuple[frozenset[str], bool]:
    """A set that holds, and whether it is known to be irreducible."""
    try:
        # The bundle may have a plan that fails while nothing at all in fp32 holds.
        if trials.holds(frozenset()):
            return frozenset(), True
        found = irreducible(trials.holds, ranked)
        if trials.holds(found):
            return found, True
    except OutOfTrials:
        pass
    assert trials.smallest is not None  # everything in fp32 held
    return trials.smallest, False


def _images(manifest: Manifest, folder: Path | None) -> dict[str, NDArray[np.uint8]]:
    size = manifest.preprocessing
    if folder is None:
        return fitted_samples(size.height, size.width)
    return dict(ImageFolder(folder).fitted(size.height, size.width))
