"""The manifest: what goes in comes out, and everything else is refused with its place."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from spit_edge.runtime.bundle.manifest import (
    SCHEMA_VERSION,
    BatchProfile,
    FileEntry,
    Manifest,
    PrecisionPlan,
    Preprocessing,
    TensorSpec,
    Tokenizer,
    Weights,
    decode,
    encode,
)
from spit_edge.runtime.errors import BundleError

SHA = "0123456789abcdef" * 4


def example() -> Manifest:
    return Manifest(
        schema=SCHEMA_VERSION,
        model="spit_b16",
        gradient=True,
        classes=1000,
        precision="fp16",
        part="full",
        inputs=[TensorSpec(name="images", dtype="uint8", shape=["B", 3, 224, 224])],
        outputs=[
            TensorSpec(name="logits", dtype="float32", shape=["B", 1000]),
            TensorSpec(name="num_tokens", dtype="int32", shape=["B"]),
        ],
        token_budget=256,
        batch=BatchProfile(min=1, opt=4, max=8),
        preprocessing=Preprocessing(
            height=224,
            width=224,
            pixels="uint8",
            layout="NCHW",
            resize="bicubic",
            fit="cover_center_crop",
        ),
        tokenizer=Tokenizer(
            kind="superpixel",
            levels=4,
            compactness=None,
            interpolation="bilinear",
            sigma=0.05,
            bins=16,
        ),
        weights=Weights(source="random", location="Grüße", sha256=SHA, seed=0),
        contracts={"SuperpixelMerge": 1, "RegionTokens": 2},
        versions={"torch": "2.13.0", "onnx": "1.20"},
        files={"model.onnx": FileEntry(sha256=SHA, bytes=12)},
    )


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    fields = json.loads(encode(example()))
    change(fields)
    return json.dumps(fields).encode()


def test_round_trip() -> None:
    assert decode(encode(example()), "m") == example()


def test_encoding_is_indented_json_with_a_final_newline() -> None:
    text = encode(example()).decode("utf-8")
    assert text.startswith('{\n  "schema": 1,\n  "model": "spit_b16",\n')
    assert text.endswith("}\n") and not text.endswith("\n\n")
    assert json.loads(text)["weights"]["location"] == "Grüße"


def test_encoding_does_not_depend_on_the_order_of_insertion() -> None:
    one = example()
    turned = msgspec.structs.replace(
        one,
        contracts=dict(reversed(one.contracts.items())),
        versions=dict(reversed(one.versions.items())),
    )
    assert list(turned.contracts) != list(one.contracts)
    assert encode(turned) == encode(one)


def test_fields_cannot_be_set() -> None:
    with pytest.raises(AttributeError):
        example().classes = 3  # type: ignore[misc]


def test_positional_arguments_are_refused() -> None:
    with pytest.raises(TypeError):
        FileEntry(SHA, 3)  # type: ignore[call-arg]


OPTIONAL = {"precision_plan"}


@pytest.mark.parametrize("name", sorted(set(Manifest.__struct_fields__) - {"schema"} - OPTIONAL))
def test_every_field_is_required(name: str) -> None:
    with pytest.raises(BundleError, match=f"missing required field `{name}`"):
        decode(changed(lambda m: m.pop(name)), "m")


def test_a_precision_plan_is_written_where_there_is_one() -> None:
    assert b"precision_plan" not in encode(example()) and not example().fp32_products
    plan = PrecisionPlan(model="spit_b16", precision="fp16", fp32=["blocks.3.up"])
    manifest = msgspec.structs.replace(example(), precision_plan=plan)
    again = decode(encode(manifest), "m")
    assert again == manifest and again.fp32_products == {"blocks.3.up"}


def test_a_seed_may_be_missing() -> None:
    data = changed(lambda m: (m["weights"].pop("seed"), m["tokenizer"].pop("seed")))
    assert decode(data, "m").weights.seed is None


@pytest.mark.parametrize(
    "part", [(), ("batch",), ("preprocessing",), ("tokenizer",), ("weights",), ("inputs", 0)]
)
def test_unknown_fields_are_refused(part: tuple[str | int, ...]) -> None:
    def add(fields: Any) -> None:
        for step in part:
            fields = fields[step]
        fields["colour"] = 1

    with pytest.raises(BundleError, match="unknown field `colour`"):
        decode(changed(add), "m")


def put(*steps: str | int, value: object) -> Callable[[Any], None]:
    def change(fields: Any) -> None:
        for step in steps[:-1]:
            fields = fields[step]
        fields[steps[-1]] = value

    return change


BAD = [
    (put("classes", value=0), r"\$\.classes"),
    (put("classes", value=-1), r"\$\.classes"),
    (put("classes", value="1000"), r"\$\.classes"),
    (put("classes", value=True), r"\$\.classes"),
    (put("classes", value=10.5), r"\$\.classes"),
    (put("model", value=""), r"\$\.model"),
    (put("gradient", value=1), r"\$\.gradient"),
    (put("precision", value="int8"), r"\$\.precision"),
    (put("part", value="head"), r"\$\.part"),
    (put("token_budget", value=0), r"\$\.token_budget"),
    (put("inputs", value=[]), r"\$\.inputs"),
    (put("outputs", value=[]), r"\$\.outputs"),
    (put("inputs", 0, "shape", value=["B", 3, 0, 2]), r"\$\.inputs\[0\]\.shape\[2\]"),
    (put("inputs", 0, "shape", value=["", 3]), r"\$\.inputs\[0\]\.shape\[0\]"),
    (put("inputs", 0, "shape", value=[1.5]), r"\$\.inputs\[0\]\.shape\[0\]"),
    (put("inputs", 0, "dtype", value=""), r"\$\.inputs\[0\]\.dtype"),
    (put("batch", "min", value=0), r"\$\.batch\.min"),
    (put("batch", "min", value=5), r"min <= opt <= max, got 5, 4, 8 - at `\$\.batch`"),
    (put("batch", "max", value=3), r"min <= opt <= max, got 1, 4, 3 - at `\$\.batch`"),
    (put("preprocessing", "height", value=0), r"\$\.preprocessing\.height"),
    (put("preprocessing", "width", value=-224), r"\$\.preprocessing\.width"),
    (put("preprocessing", "pixels", value="unit"), r"\$\.preprocessing\.pixels"),
    (put("preprocessing", "layout", value="NHWC"), r"\$\.preprocessing\.layout"),
    (put("preprocessing", "resize", value="nearest"), r"\$\.preprocessing\.resize"),
    (put("preprocessing", "fit", value="pad"), r"\$\.preprocessing\.fit"),
    (put("tokenizer", "kind", value="slic"), r"\$\.tokenizer\.kind"),
    (put("tokenizer", "levels", value=-1), r"\$\.tokenizer\.levels"),
    (put("tokenizer", "compactness", value=1.5), r"\$\.tokenizer\.compactness"),
    (put("tokenizer", "sigma", value=0), r"\$\.tokenizer\.sigma"),
    (put("tokenizer", "sigma", value=None), r"\$\.tokenizer\.sigma"),
    (put("tokenizer", "bins", value=0), r"\$\.tokenizer\.bins"),
    (put("tokenizer", "bins", value=1), r"bins must lie in \[2, 64\].*\$\.tokenizer"),
    (put("tokenizer", "bins", value=2**40), r"\$\.tokenizer\.bins"),
    (put("tokenizer", "levels", value=10**9), r"levels must lie in \[0, 16\].*\$\.tokenizer"),
    (put("tokenizer", "levels", value=10**30), r"levels must lie in.*\$\.tokenizer"),
    (put("tokenizer", "interpolation", value="x"), r"one of bilinear, nearest.*\$\.tokenizer"),
    (put("tokenizer", "sigma", value=1e-9), r"sigma must lie in.*\$\.tokenizer"),
    (put("tokenizer", "sigma", value=1e300), r"sigma must lie in.*\$\.tokenizer"),
    (put("tokenizer", "compactness", value=0.123456789), r"six significant digits"),
    (put("token_budget", value=2**31 - 1), r"max_tokens must lie in"),
    (put("token_budget", value=2**63), r"\$\.token_budget"),
    (put("classes", value=2**31 - 1), r"\$\.classes"),
    (put("batch", "max", value=2**31 - 1), r"\$\.batch\.max"),
    (put("batch", "max", value=60000), r"arrays of fewer than 2\^31 numbers"),
    (put("preprocessing", "height", value=2**31 - 1), r"\$\.preprocessing\.height"),
    (put("preprocessing", "height", value=2**20), r"at most 2\^26 pixels.*\$\.preprocessing"),
    (put("preprocessing", "height", value=225), r"one input images \[B, 3, 225, 224\]"),
    (put("inputs", 0, "name", value="pictures"), r"one input images"),
    (put("weights", "source", value="cloud"), r"\$\.weights\.source"),
    (put("weights", "sha256", value=SHA[:-1]), r"\$\.weights\.sha256"),
    (put("weights", "seed", value=2**64), r"seed of 64 bits.*\$\.weights"),
    (put("tokenizer", "seed", value=2**63), r"\$\.tokenizer\.seed"),
    (put("tokenizer", "seed", value=-(2**70)), r"\$\.tokenizer\.seed"),
    (put("weights", "seed", value="7"), r"\$\.weights\.seed"),
    (put("contracts", "SuperpixelMerge", value=0), r"\$\.contracts"),
    (put("versions", "torch", value=2), r"\$\.versions"),
    (put("files", "model.onnx", "bytes", value=-1), r"\$\.files\[\.\.\.\]\.bytes"),
    (put("files", "model.onnx", "sha256", value=SHA.upper()), r"\$\.files\[\.\.\.\]\.sha256"),
    (put("files", "model.onnx", "sha256", value=SHA + "\n"), r"\$\.files\[\.\.\.\]\.sha256"),
    (put("files", "model.onnx", "sha256", value="g" * 64), r"\$\.files\[\.\.\.\]\.sha256"),
]


@pytest.mark.parametrize(("change", "place"), BAD, ids=range(len(BAD)))
def test_bad_values_are_refused_with_their_place(
    change: Callable[[dict[str, Any]], object], place: str
) -> None:
    with pytest.raises(BundleError, match=place) as caught:
        decode(changed(change), "out/manifest.json")
    assert str(caught.value).startswith("out/manifest.json is not a valid manifest: ")


def test_invalid_values_are_not_written() -> None:
    for bad in (
        msgspec.structs.replace(example(), schema=SCHEMA_VERSION + 1),
        msgspec.structs.replace(example(), model=""),
        msgspec.structs.replace(
            example(), weights=msgspec.structs.replace(example().weights, sha256="")
        ),
    ):
        with pytest.raises(BundleError, match="the manifest to write"):
            encode(bad)


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("tokenizer", {"levels": 17}),
        ("tokenizer", {"sigma": math.nan}),
        ("tokenizer", {"sigma": 11}),
        ("tokenizer", {"bins": 1}),
        ("tokenizer", {"interpolation": "cubic"}),
        ("preprocessing", {"height": 1 << 13, "width": (1 << 13) + 1}),
        (None, {"token_budget": 0}),
        (None, {"token_budget": (1 << 20) + 1}),
        (None, {"token_budget": 1 << 18}),
    ],
)
def test_what_no_op_takes_cannot_be_made(part: str | None, values: dict[str, Any]) -> None:
    whole = example()
    with pytest.raises(ValueError, match=r"must lie in|must be one of|Expected"):
        msgspec.structs.replace(getattr(whole, part) if part else whole, **values)


def test_a_batch_profile_out_of_order_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="min <= opt <= max"):
        BatchProfile(min=2, opt=1, max=4)


def test_a_newer_schema_asks_for_an_upgrade_whatever_else_it_holds() -> None:
    for data in (b'{"schema": 2}', changed(lambda m: m.update(schema=2, classes="many", new=1))):
        with pytest.raises(BundleError, match=r"m has schema 2 .* upgrade spit-edge"):
            decode(data, "m")


@pytest.mark.parametrize("schema", [0, -1, "1", 1.5, None, True])
def test_a_schema_that_is_no_version_is_refused(schema: object) -> None:
    with pytest.raises(BundleError, match=r"not a valid manifest.*\$\.schema"):
        decode(changed(put("schema", value=schema)), "m")


def test_a_missing_schema_is_refused() -> None:
    with pytest.raises(BundleError, match="missing required field `schema`"):
        decode(changed(lambda m: m.pop("schema")), "m")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"not json",
        b'{"schema": 1',
        b'{"schema": 1} tail',
        b'{"schema": 1, "model": "\xff"}',
        b"\xff\xfe{\x00}\x00",
        b'{"schema": 1, "x": ' + b"[" * 100_000,
    ],
    ids=range(10),
)
def test_what_is_not_a_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="m is not a valid manifest"):
        decode(data, "m")
