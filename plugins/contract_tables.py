"""The contracts of the ops as C++, for the TensorRT plugins: ``tensorrt/contract_tables.hpp``."""

from __future__ import annotations

import json
import re
from pathlib import Path

from spit_edge.plugins.contracts import CONTRACTS, Attribute, Contract

HEADER = Path(__file__).parent / "tensorrt" / "contract_tables.hpp"
KINDS = {"int": "kWhole", "float": "kReal", "string": "kChoice"}


def cpp_tables() -> str:
    """The text of ``contract_tables.hpp``."""
    versions = json.dumps({contract.name: contract.version for contract in CONTRACTS})
    return "\n".join(
        [
            "// The fields of the plugins. Written by `python -m plugins contracts --cpp` from",
            "// contracts.py, to which a test holds it.",
            "// clang-format off",
            "#pragma once",
            "",
            '#include "contract.hpp"',
            "",
            f"#define SPIT_CONTRACTS_JSON {json.dumps(versions)}",
            "",
            "namespace spit::tensorrt {",
            "",
            *(_table(contract) for contract in CONTRACTS),
            "}  // namespace spit::tensorrt",
            "",
        ]
    )


def plugin_fields(contract: Contract) -> list[Attribute]:
    """Attributes that become fields: all but the two by which TensorRT finds the plugin."""
    return [a for a in contract.attributes if not a.name.startswith("plugin_")]


def _table(contract: Contract) -> str:
    fields = plugin_fields(contract)
    names = ", ".join(_constant(a.name) for a in fields)
    lines = [f"namespace {_snake(contract.name)} {{", f"enum Field {{ {names} }};"]
    for a in fields:
        if a.choices:
            choices = ", ".join(json.dumps(choice) for choice in a.choices)
            lines.append(
                f"inline constexpr const char* {_constant(a.name)}Choices[] = {{{choices}}};"
            )
    lines.append("inline constexpr FieldContract kFields[] = {")
    lines += [f"    {_field(a)}," for a in fields]
    lines.append("};")
    lines.append(
        "inline constexpr OpContract kContract = "
        f'{{"{contract.name}", {contract.version}, kFields, {len(fields)}}};'
    )
    return "\n".join([*lines, f"}}  // namespace {_snake(contract.name)}", ""])


def _field(a: Attribute) -> str:
    required = "true" if a.default is None else "false"
    if a.choices:
        chosen = a.choices.index(str(a.default)) if a.default is not None else 0
        numbers = f"{chosen}, 0, {len(a.choices) - 1}, {_constant(a.name)}Choices"
    else:
        assert a.low is not None and a.high is not None, "numbers have ranges"
        fallback = 0 if a.default is None else a.default
        numbers = f"{fallback!r}, {a.low!r}, {a.high!r}, nullptr"
    return f'{{"{a.name}", FieldKind::{KINDS[a.type]}, {required}, {numbers}}}'


def _constant(name: str) -> str:
    return "k" + "".join(part.capitalize() for part in name.split("_"))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
