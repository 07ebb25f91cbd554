"""Op contracts: attribute checks and shape rules."""

from __future__ import annotations

import pytest

from spit_edge.base.contracts import CONTRACTS, REGION_FEATURES, SUPERPIXEL_MERGE, ContractError
from spit_edge.plugins.generate import generated
from spit_edge.plugins.generate import main as generate


def test_defaults_fill_in() -> None:
    values = SUPERPIXEL_MERGE.attribute_values({})
    assert values == {
        "pixels": "uint8",
        "levels": 4,
        "compactness": 0.0,
        "final_threshold": 0.0,
        "plugin_version": "1",
        "plugin_namespace": "",
    }


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_defaults_fit_their_own_attributes(contract) -> None:
    for attribute in contract.attributes:
        if attribute.default is not None:
            assert attribute.checked(attribute.default, contract.name) == attribute.default


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"levels": -1}, "levels must lie in [0, 16], not -1"),
        ({"levels": 17}, "levels"),
        ({"levels": 4.0}, "levels must be an integer"),
        ({"levels": True}, "levels must be an integer"),
        ({"compactness": 1.5}, "compactness must lie in [0, 1]"),
        ({"compactness": float("nan")}, "compactness"),
        ({"compactness": "0.1"}, "compactness must be a number"),
        ({"pixels": "bgr"}, "pixels must be one of uint8, unit, imagenet"),
        ({"plugin_version": "2"}, "plugin_version"),
        ({"final_threshold": 0.12345678}, "six significant digits"),
        ({"colour": 1}, "there is no attribute colour"),
    ],
)
def test_unfit_attributes_are_refused_by_name(given, says) -> None:
    with pytest.raises(ContractError) as error:
        SUPERPIXEL_MERGE.attribute_values(given)
    assert says in str(error.value) and "SuperpixelMerge" in str(error.value)


def test_missing_attribute_is_named() -> None:
    with pytest.raises(ContractError, match="RegionFeatures: max_tokens is missing"):
        REGION_FEATURES.attribute_values({})


def test_generated_files_are_those_of_the_contracts() -> None:
    for path, text in generated().items():
        assert path.read_text() == text, "python plugins/generate.py"


def test_stale_files_are_found(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr("spit_edge.plugins.generate.KERNELS", tmp_path)
    assert generate(check=True) == 1 and "tokenizer_api.h is stale" in capsys.readouterr().err
    assert generate(check=False) == 0 and generate(check=True) == 0


@pytest.mark.parametrize(("gradient", "size"), [(1, 1280), (0, 1024)])
def test_shapes_follow_attributes(gradient, size) -> None:
    values = REGION_FEATURES.attribute_values({"max_tokens": 320, "gradient": gradient})
    symbols = {"B": "B", "H": 10, "W": 20}
    assert REGION_FEATURES.output_shapes(symbols, values) == [["B", 320, size]]
    merged = SUPERPIXEL_MERGE.output_shapes(symbols, SUPERPIXEL_MERGE.attribute_values({}))
    assert merged == [["B", 10, 20], ["B"]]
