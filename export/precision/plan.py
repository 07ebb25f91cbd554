"""Plans of which matrix products stay in float32, as files."""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec

from spit_edge.base.errors import SpitError
from spit_edge.base.files import check_writable, json_file, whole_file
from spit_edge.export.graph.trunk import product_names
from spit_edge.runtime.bundle.manifest import Precision, PrecisionPlan
from spit_edge.spit_ref.zoo import ModelConfig


class PlanError(SpitError):
    """A precision plan cannot be read, or is not for what is to be built."""


def read_plan(path: Path) -> PrecisionPlan:
    """The plan in a file.  Raises PlanError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=PrecisionPlan)
    except OSError as error:
        raise PlanError(f"cannot read the plan {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PlanError(f"{path} is not a precision plan: {error}") from error


def write_plan(plan: PrecisionPlan, path: Path) -> None:
    """Write a plan; a whole file or none.  Raises PlanError."""
    try:
        with whole_file(path) as stream:
            stream.write(json_file(plan))
    except OSError as error:
        raise PlanError(f"cannot write the plan {path}: {error.strerror}") from error


def check_plan_place(path: Path, *, chosen: bool) -> None:
    """Raise PlanError where no plan can be written, or FileError; to be called before the work.

    A file whose name the user has not ``chosen`` is replaced only if it is a plan.
    """
    check_writable(path)
    if not chosen and path.exists():
        try:
            read_plan(path)
        except PlanError as error:
            raise PlanError(f"{error}: choose another file for the new one with --out") from error


def check_plan(plan: PrecisionPlan, config: ModelConfig, precision: Precision) -> None:
    """Raise PlanError unless ``plan`` is for this model in this precision."""
    if (plan.model, plan.precision) != (config.name, precision):
        raise PlanError(
            f"the precision plan is for {plan.model} in {plan.precision}, "
            f"not for {config.name} in {precision}"
        )
    known = product_names(config.depth)
    for name in plan.fp32:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise PlanError(f"{config.name} has no matrix product {name!r}{hint}")
