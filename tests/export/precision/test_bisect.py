"""Bisection: models that break in half precision at known places, found again and mended."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch

from spit_edge.base.errors import SpitError
from spit_edge.base.progress import Steps
from spit_edge.export.__main__ import main
from spit_edge.export.graph.trunk import product_names
from spit_edge.export.precision.bisect import NothingHolds, _search, bisect, irreducible
from spit_edge.export.precision.plan import PlanError, check_plan, read_plan
from spit_edge.export.precision.trials import OutOfTrials, Trials
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import PrecisionPlan
from spit_edge.runtime.images import fitted_samples
from spit_edge.spit_ref import Spit, load_model, model_config
from tests.conftest import GOLDENS

State = dict[str, torch.Tensor]
SCALE = 2.0**17
"""Carries results of about 1 beyond 65504, and leaves weights of at most 0.3 below it."""


def overflowing_branch(state: State, block: int, product: str) -> None:
    """Make the last product of a branch overflow in half precision; in fp32 nothing changes."""
    layer, scale = {"proj": ("att.proj", "ls1"), "down": ("mlp.L2", "ls2")}[product]
    for kind in ("weight", "bias"):
        state[f"blocks.{block}.{layer}.linear.{kind}"] *= SCALE
    state[f"blocks.{block}.{scale}.lambda_"] /= SCALE


def overflowing_queries(state: State, block: int) -> None:
    """Queries that overflow, keys as much smaller: the product and its consumer need float32."""
    weight = state[f"blocks.{block}.att.qkv.linear.weight"]
    dim = weight.shape[0] // 3
    weight[:dim] *= SCALE
    weight[dim : 2 * dim] /= SCALE


def overflowing_stream(state: State) -> None:
    """The residual stream itself: no matrix product can help."""
    state["embedder.embedder.linear.weight"] *= 2.0**20


BREAKS: dict[str, tuple[Callable[[State], object], set[str]]] = {
    "proj": (lambda s: overflowing_branch(s, 1, "proj"), {"blocks.1.proj"}),
    "down": (lambda s: overflowing_branch(s, 0, "down"), {"blocks.0.down"}),
    "both": (
        lambda s: (overflowing_branch(s, 0, "proj"), overflowing_branch(s, 1, "down")),
        {"blocks.0.proj", "blocks.1.down"},
    ),
    "queries": (lambda s: overflowing_queries(s, 0), {"blocks.0.qkv", "blocks.0.scores"}),
}


def weights_file(folder: Path, change: Callable[[State], object]) -> Path:
    state = dict(torch.load(GOLDENS / "tiny_gradient.pth", weights_only=True))
    change(state)
    torch.save(state, folder / "weights.pth")
    return folder / "weights.pth"


def trials_of(model: Spit, limit: int = 100) -> Trials:
    return Trials(model, "fp16", fitted_samples(112, 112), Steps(quiet=True), limit)


@pytest.mark.parametrize("name", sorted(BREAKS))
def test_exactly_what_overflows_is_found(tmp_path: Path, name: str) -> None:
    change, broken = BREAKS[name]
    trials = trials_of(load_model("spit_tiny", weights=weights_file(tmp_path, change)))
    assert not trials.holds(frozenset()) and trials.holds(frozenset(trials.products))
    alone = trials.errors_alone()
    assert {n for n, e in alone.items() if not math.isfinite(e.relative)} == broken
    ranked = sorted(alone, key=lambda product: -alone[product].relative)
    assert irreducible(trials.holds, ranked) == broken
    assert trials.count <= 2 + 12


def test_a_break_changes_nothing_in_fp32(tmp_path: Path, photographs) -> None:
    """Else the tests here would not be about precision."""
    whole = load_model("spit_tiny", weights=GOLDENS / "tiny_gradient.pth")
    images = torch.from_numpy(photographs(112, 112).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        wanted = whole(images).logits
        for change, _ in BREAKS.values():
            broken = load_model("spit_tiny", weights=weights_file(tmp_path, change))
            assert torch.allclose(broken(images).logits, wanted, atol=1e-4)


def test_from_failing_bundle_to_passing_one(tmp_path: Path, capsys) -> None:
    """Through the command line: build fails, bisect finds, build with the plan passes."""
    change, broken = BREAKS["proj"]
    common = ["build", "--model", "spit_tiny", "--fp16", "--image-size", "112", "--weights",
              str(weights_file(tmp_path, change))]  # fmt: skip
    assert main([*common, "--out", str(tmp_path / "one")]) == 1
    assert main(["bisect", str(tmp_path / "one")]) == 0
    plan = tmp_path / "one.plan.json"
    text = capsys.readouterr().out
    assert "blocks.1.proj" in text and "not finite" in text and str(plan) in text
    assert read_plan(plan) == PrecisionPlan(
        model="spit_tiny", precision="fp16", fp32=sorted(broken)
    )
    assert main([*common, "--precision-plan", str(plan), "--out", str(tmp_path / "two")]) == 0
    assert Bundle.open(tmp_path / "two").manifest.fp32_products == broken
    assert products_in_fp32(tmp_path / "two" / "trunk.onnx") == broken
    assert products_in_fp32(tmp_path / "two" / "model.onnx") == broken
    for command in ("validate", "validate --backend torch", "bisect"):
        words = command.split()
        capsys.readouterr()
        assert main([words[0], str(tmp_path / "two"), *words[1:]]) == 0
    assert "no matrix product has to change" in capsys.readouterr().out


def products_in_fp32(path: Path) -> set[str]:
    """Matrix products of a graph whose operands are float32, by the name of their results."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(str(path), load_external_data=False)).graph
    types = {v.name: v.type.tensor_type.elem_type for v in graph.value_info}
    types |= {t.name: t.data_type for t in graph.initializer}
    names = set(product_names(2))
    found = set()
    for node in graph.node:
        if node.op_type == "MatMul" and types[node.input[0]] == onnx.TensorProto.FLOAT:
            assert types[node.input[1]] == onnx.TensorProto.FLOAT
            # With a bias the name is that of the sum.
            outputs = {o for n in graph.node if node.output[0] in n.input for o in n.output}
            found |= ({node.output[0]} & names) or (outputs & names)
    return found


def test_what_holds_needs_no_plan(make_bundle) -> None:
    found = bisect(make_bundle(precision="fp16").path, Steps(quiet=True))
    assert found.plan is None and found.trials == 1


def test_a_bundle_in_fp32_is_refused(make_bundle) -> None:
    with pytest.raises(SpitError, match="in fp32 as a whole"):
        bisect(make_bundle().path, Steps(quiet=True))


def test_what_no_product_can_mend_is_said(tmp_path: Path, capsys) -> None:
    weights = weights_file(tmp_path, overflowing_stream)
    out = tmp_path / "bundle"
    main(["build", "--model", "spit_tiny", "--fp16", "--part", "trunk", "--image-size", "64",
          "--weights", str(weights), "--out", str(out)])  # fmt: skip
    with pytest.raises(NothingHolds, match=r"fails in \w+ \(.*error.*\) even with every"):
        bisect(out, Steps(quiet=True))
    assert main(["bisect", str(out)]) == 2
    assert not (tmp_path / "bundle.plan.json").exists()


def test_too_few_trials_give_what_is_known_to_hold(tmp_path: Path) -> None:
    change, broken = BREAKS["proj"]
    model = load_model("spit_tiny", weights=weights_file(tmp_path, change))
    trials = trials_of(model, limit=3)
    assert trials.failure(frozenset(trials.products)) is None
    ranked = sorted(trials.products, key=lambda name: name not in broken)
    kept, minimal = _search(trials, ranked)
    assert not minimal and broken < kept < set(trials.products) and trials.holds(kept)
    with pytest.raises(OutOfTrials):
        trials.holds(frozenset({"embedder"}))


# The search by itself


def test_irreducible_finds_every_needed_element_with_few_trials() -> None:
    names = product_names(24)
    for seed in range(200):
        order = random.Random(seed)
        needed = frozenset(order.sample(names, order.randint(1, 8)))
        tried: list[frozenset[str]] = []

        def holds(kept: frozenset[str], needed=needed, tried=tried) -> bool:
            tried.append(kept)
            return needed <= kept

        assert irreducible(holds, names) == needed
        k = len(needed)
        assert len(tried) <= 2 * k * math.log2(len(names) / k) + 2 * k + 2


def test_irreducible_prefers_the_front() -> None:
    names = list("abcdefgh")
    assert irreducible(lambda kept: bool(kept & set("bgh")), names) == {"b"}
    assert irreducible(lambda kept: len(kept) >= 3, names) == {"a", "b", "c"}


def test_what_is_not_monotone_still_gives_a_set_that_holds() -> None:
    class Stub:
        smallest: frozenset[str] | None = frozenset("abcd")

        def holds(self, kept: frozenset[str]) -> bool:
            return len(kept) in (2, 4)

    kept, _ = _search(Stub(), list("abcd"))  # type: ignore[arg-type]
    assert Stub().holds(kept)


# Plans as files


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "cannot read the plan"),
        ("{", "is not a precision plan"),
        ('{"model": "spit_tiny", "precision": "fp32", "fp32": []}', "is not a precision plan"),
        ('{"model": "spit_tiny", "precision": "fp16"}', "is not a precision plan"),
    ],
)
def test_files_that_are_no_plans(tmp_path: Path, capsys, text: str | None, problem: str) -> None:
    path = tmp_path / "plan.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PlanError, match=problem):
        read_plan(path)
    with pytest.raises(SystemExit):
        main(["build", "--model", "spit_tiny", "--fp16", "--precision-plan", str(path)])
    assert problem in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"model": "spit_b16"}, "is for spit_b16 in fp16, not for spit_tiny in fp16"),
        ({"precision": "bf16"}, "is for spit_tiny in bf16"),
        ({"fp32": ["blocks.1.prj"]}, "no matrix product 'blocks.1.prj': did you mean blocks.1.pr"),
        ({"fp32": ["blocks.2.proj"]}, "no matrix product 'blocks.2.proj'"),
    ],
)
def test_plans_for_something_else(tmp_path: Path, change: dict, problem: str, capsys) -> None:
    plan = {"model": "spit_tiny", "precision": "fp16", "fp32": ["blocks.1.proj"], **change}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(PlanError, match=problem):
        check_plan(read_plan(tmp_path / "plan.json"), model_config("spit_tiny"), "fp16")
    command = ["build", "--model", "spit_tiny", "--fp16", "--weights", "random", "--out"]
    plan_option = ["--precision-plan", str(tmp_path / "plan.json")]
    assert main([*command, str(tmp_path / "out"), *plan_option]) == 2
    assert problem in capsys.readouterr().err and not (tmp_path / "out").exists()
