"""Writes what C and C++ have to know of the ops' contracts: ``python plugins/generate.py``.

``--check`` writes nothing and fails if a file is not what it would be; CMake and a test ask so.
Needs no package but this one.

tokenizer_api.h   the plain C functions and the structures of their arguments
contracts.hpp     the contracts as tables, and the list of all ops
op_kernels.hpp    the kernels of all ops
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # from a checkout or an installed package, whatever else is installed
    here = Path(__file__).resolve()
    sys.path.insert(0, str(next(p for p in here.parents if (p / "spit_edge" / "base").is_dir())))

from spit_edge.base.contracts import CONTRACTS, MOST_PIXELS, Attribute, Contract, Port

KERNELS = Path(__file__).parent / "kernels"
ORIGIN = "Written by plugins/generate.py from spit_edge/base/contracts.py."
C_TYPES = {"int": "int32_t", "float": "double", "string": "int32_t"}
C_POINTERS = {"float32": "float*", "int32": "int32_t*", "int64": "int64_t*"}
PORT_TYPES = {"float32": "kFloat32", "int32": "kInt32", "int64": "kInt64"}
FIELD_KINDS = {"int": "kWhole", "float": "kReal", "string": "kChoice"}
SYMBOLS = {"B": "kBatch", "H": "kHeight", "W": "kWidth", "token_size": "kTokenSize"}


def generated() -> dict[Path, str]:
    """Text of every file."""
    return {
        KERNELS / "tokenizer_api.h": _c_api(),
        KERNELS / "contracts.hpp": _contracts(),
        KERNELS / "op_kernels.hpp": _kernels(),
    }


def snake(name: str) -> str:
    """``SuperpixelMerge`` as ``superpixel_merge``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def structure(contract: Contract) -> str:
    """Name of the C structure of an op's arguments."""
    return f"Spit{contract.family.capitalize()}"


def has_images(contract: Contract) -> bool:
    """Whether the first input is images, which then say what pixels mean and how many there are."""
    return contract.inputs[0].name == "images"


def members(contract: Contract) -> list[tuple[str, str, str]]:
    """Type, name and meaning of the structure's members, in order."""
    images = has_images(contract)
    found = []
    for port in contract.inputs:
        if port.name == "images":
            found.append(("SpitImages", "images", "[batch, 3, height, width]"))
        else:
            found.append((f"const {C_POINTERS[port.dtype]}", port.name, _shape(port)))
    own = {field.name for field in contract.fields}
    if not images:
        sizes = [name for name in ("batch", "height", "width") if name not in own]
        found += [("int32_t", name, "") for name in sizes]
    for field in contract.fields:
        if not (images and field.name == "pixels"):
            found.append((C_TYPES[field.type], field.name, _values(field)))
    for port in contract.outputs:
        pointer = "void*" if port.typed_by else C_POINTERS[port.dtype]
        found.append((pointer, port.name, _shape(port)))
    return [*found, ("void*", "workspace", "")]


def _shape(port: Port) -> str:
    words = {"B": "batch", "H": "height", "W": "width"}
    words["token_size"] = "bins * bins * (gradient ? 5 : 4)"
    return f"[{', '.join(words.get(str(dim), str(dim)) for dim in port.shape)}]"


def _values(field: Attribute) -> str:
    return f"SPIT_{field.name.upper()}_..." if field.choices else field.fit.removeprefix("lie ")


def _choices() -> dict[str, tuple[str, ...]]:
    return {f.name: f.choices for c in CONTRACTS for f in c.fields if f.choices}


def _c_api() -> str:
    lines = [C_HEAD.format(origin=ORIGIN)]
    for name, choices in _choices().items():
        constants = ", ".join(f"SPIT_{name}_{choice}".upper() for choice in choices)
        lines.append(f"enum {{ {constants} }};")
    lines += ["enum { SPIT_UINT8, SPIT_FLOAT32 };", "", C_IMAGES]
    for contract in CONTRACTS:
        lines.append(f"typedef struct {structure(contract)} {{")
        for kind, name, meaning in members(contract):
            lines.append(f"  {kind} {name};" + (f" /* {meaning} */" if meaning else ""))
        lines += [f"}} {structure(contract)};", ""]
    for contract in CONTRACTS:
        name, given = snake(contract.name), structure(contract)
        lines.append(f"/* {contract.name}: {contract.meaning}. */")
        lines.append(f"size_t spit_{name}_workspace(const {given}* arguments);")
        lines.append(f"int32_t spit_{name}(const {given}* arguments, void* stream);")
    return "\n".join([*lines, C_TAIL])


def _contracts() -> str:
    versions = json.dumps({contract.name: contract.version for contract in CONTRACTS})
    each = ", ".join(f"Each<{structure(c)}>" for c in CONTRACTS)
    ops = " ".join(f"X({structure(c)}, {snake(c.name)})" for c in CONTRACTS)
    lines = [
        "// The contracts of the ops as tables, and the list of all ops.",
        f"// {ORIGIN}",
        "// clang-format off",
        "#pragma once",
        "",
        "#include <tuple>",
        "",
        '#include "common/contract.hpp"',
        '#include "tokenizer_api.h"',
        "",
        f"#define SPIT_CONTRACTS_JSON {json.dumps(versions)}",
        "// X(structure of the arguments, name)",
        f"#define SPIT_EACH_OP(X) {ops}",
        "",
        "SPIT_NAMESPACE_BEGIN",
        "",
        f"constexpr std::int64_t kMostPixels = {MOST_PIXELS};",
        f'constexpr const char* kMostPixelsFit = "lie in [1, {MOST_PIXELS}]";',
        "",
        "template <template <class> class Each>",
        f"using ForOps = std::tuple<{each}>;",
        "",
    ]
    for name, choices in _choices().items():
        words = ", ".join(json.dumps(choice) for choice in choices)
        lines.append(f"inline constexpr const char* {_constant(name)}Choices[] = {{{words}}};")
    for contract in CONTRACTS:
        lines += ["", *_contract(contract)]
    return "\n".join([*lines, "", "SPIT_NAMESPACE_END", ""])


def _contract(contract: Contract) -> list[str]:
    given = structure(contract)
    images = has_images(contract)
    sizes = "a.images." if images else "a."
    lines = [
        "template <>",
        f"struct Contract<{given}> {{",
        f'  static constexpr const char* kName = "{contract.name}";',
        f"  static constexpr bool kHasImages = {str(images).lower()};",
        *_table("Port", "kInputs", [_port(port, contract) for port in contract.inputs]),
        *_table("Port", "kOutputs", [_port(port, contract) for port in contract.outputs]),
        *_table("Field", "kFields", [_field(field) for field in contract.fields]),
    ]
    pixels = {"pixels": "images.pixels"} if images else {}
    tables: list[tuple[str, Sequence[Port | Attribute]]] = [
        ("inputs", contract.inputs),
        ("outputs", contract.outputs),
        ("fields", contract.fields),
    ]
    for table, things in tables:
        uses = " ".join(
            f"use(k{table.capitalize()}[{i}], a.{pixels.get(thing.name, thing.name)});"
            for i, thing in enumerate(things)
        )
        lines.append("  template <class Arguments, class Use>")
        lines.append(f"  static void {table}(Arguments& a, Use&& use) {{ {uses} }}")
    known = [f"case kBatch: return {sizes}batch;", f"case kHeight: return {sizes}height;"]
    known += [f"case kWidth: return {sizes}width;"]
    if any("token_size" in port.shape for port in contract.outputs):
        known.append(
            "case kTokenSize: return std::int64_t{a.bins} * a.bins * (a.gradient ? 5 : 4);"
        )
    for i, field in enumerate(contract.fields):
        if field.type == "int":
            known.append(f"case kField - {i}: return a.{field.name};")
    lines.append("  // What a dimension of the tables is.")
    lines.append(f"  static std::int64_t size(const {given}& a, int dimension) {{")
    lines.append(f"    switch (dimension) {{ {' '.join(known)} default: return dimension; }}")
    return [*lines, "  }", "};"]


def _table(kind: str, name: str, rows: list[str]) -> list[str]:
    if not rows:
        return [f"  static constexpr std::array<{kind}, 0> {name}{{}};"]
    inner = [f"    {row}," for row in rows]
    return [f"  static constexpr {kind} {name}[] = {{", *inner, "  };"]


def _port(port: Port, contract: Contract) -> str:
    names = [field.name for field in contract.fields]

    def dimension(dim: int | str) -> str:
        if isinstance(dim, int):
            return str(dim)
        return SYMBOLS.get(dim) or f"kField - {names.index(dim)}"

    dims = ", ".join(dimension(dim) for dim in port.shape)
    typed = names.index(port.typed_by) if port.typed_by else -1
    fit = f"have the sizes [{', '.join(map(str, port.shape))}], alike in all inputs"
    kind = f"Type::{PORT_TYPES[port.dtype]}"
    return f'{{"{port.name}", {kind}, {typed}, {len(port.shape)}, {{{dims}}}, "{fit}"}}'


def _field(field: Attribute) -> str:
    required = str(field.default is None).lower()
    low, high, choices = field.low, field.high, "nullptr"
    fallback: object = 0 if field.default is None else field.default
    if field.choices:
        low, high, choices = 0, len(field.choices) - 1, f"{_constant(field.name)}Choices"
        fallback = field.choices.index(str(field.default)) if field.default is not None else 0
    kind = f"FieldKind::{FIELD_KINDS[field.type]}"
    numbers = f"{required}, {fallback!r}, {low!r}, {high!r}"
    words = f'"{field.kind}", "{field.fit}"'
    return f'{{"{field.name}", {kind}, {numbers}, {words}, {choices}}}'


def _constant(name: str) -> str:
    return "k" + "".join(part.capitalize() for part in name.split("_"))


def _kernels() -> str:
    files = [f'#include "{c.family}/{snake(c.name)}.hpp"' for c in CONTRACTS]
    head = ["// The kernels of all ops.", f"// {ORIGIN}", "// clang-format off", "#pragma once"]
    return "\n".join([*head, "", *files, ""])


C_HEAD = """\
/* The ops as plain C functions on a CUDA stream, for programs that tokenize outside an engine.
 * {origin}
 *
 * Pointers are device pointers, arrays are contiguous. Workspace is aligned to 256 bytes and as
 * large as the op's *_workspace function says for the same arguments, whose pointers may be null
 * there (0: they are not valid). Nothing allocates, synchronises or throws; calls may be captured
 * in a CUDA graph. Functions return 0, or the cudaError_t of what failed; 1, cudaErrorInvalidValue,
 * also stands for arguments that do not fit: then spit_fault_text says which one and why. */
/* clang-format off */
#ifndef SPIT_TOKENIZER_API_H
#define SPIT_TOKENIZER_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif
"""
C_IMAGES = """\
typedef struct SpitImages {
  const void* data; /* [batch, 3, height, width] */
  int32_t type;     /* SPIT_UINT8 or SPIT_FLOAT32 */
  int32_t pixels;   /* SPIT_PIXELS_...; of SPIT_UINT8, SPIT_PIXELS_UINT8 */
  int32_t batch, height, width;
} SpitImages;
"""
C_TAIL = """
/* What a returned number means. */
const char* spit_status_text(int32_t status);
/* What was wrong with the arguments of the last call on this thread that was refused. */
const char* spit_fault_text(void);
/* What the library is, as JSON; the same text stands behind "SPIT-PLUGINS-INFO " in the file. */
const char* spit_plugins_info(void);

#ifdef __cplusplus
}
#endif

#endif
"""


def main(check: bool) -> int:
    """0: written, or as they should be; 1: stale."""
    stale = [
        path for path, text in generated().items() if not path.is_file() or path.read_text() != text
    ]
    for path in stale:
        if check:
            print(f"{path} is stale: run python plugins/generate.py", file=sys.stderr)
        else:
            path.write_text(generated()[path])
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
