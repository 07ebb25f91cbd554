"""Every model passes its gates; ``make test`` takes the small ones, ``make test-models`` all."""

from __future__ import annotations

import itertools

import pytest

from spit_edge.base.progress import Steps
from spit_edge.export.build import build
from spit_edge.export.options import BuildOptions
from spit_edge.spit_ref import MODEL_NAMES

QUICK = {
    ("spit_s16", True, "fp16", (224, 224)),
    ("vit_s16", True, "fp16", (224, 224)),
    ("rvit_s16", False, "fp32", (160, 240)),
}


def cases():
    sizes = ((224, 224), (160, 240))
    for case in itertools.product(MODEL_NAMES, (True, False), ("fp32", "fp16"), sizes):
        # The two sizes take turns with the precisions: each model sees both of both.
        if (case[2] == "fp32") == (case[3] == sizes[0]) or case in QUICK:
            marks = [] if case in QUICK else [pytest.mark.slow]
            name = f"{case[0]}-{'gradient' if case[1] else 'plain'}-{case[2]}-{case[3][0]}"
            yield pytest.param(*case, marks=marks, id=name)


@pytest.mark.parametrize(("model", "gradient", "precision", "size"), list(cases()))
def test_export_passes_its_gates(model, gradient, precision, size, tmp_path) -> None:
    options = BuildOptions(
        model,
        gradient=gradient,
        precision=precision,
        weights="random",
        seed=3,
        height=size[0],
        width=size[1],
        out=tmp_path / "bundle",
    )
    built = build(options, Steps(quiet=True))
    assert len(built.parity) == 2
    for backend, rows in built.parity.items():
        assert len(rows) == 3
        for row in rows:
            print(
                f"{row.image} on {backend}: {row.num_tokens} regions, "
                f"1 - cosine {1 - row.cosine:.1e}, error {row.error:.1e} of {row.error_limit:.1e}"
            )
            assert row.passed, f"{row.image} on {backend}: {row.failures}"
