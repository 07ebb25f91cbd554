"""Engines built for real, by TensorRT-RTX: it needs no GPU to build, only to run."""

from __future__ import annotations

import gc
import io
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import msgspec
import onnx
import pytest
from onnx import TensorProto, helper
from rich.console import Console

from spit_edge.base.progress import Steps
from spit_edge.export.graph.model import save_graph, trunk_graph
from spit_edge.export.graph.trunk import product_names
from spit_edge.export.options import BuildOptions
from spit_edge.runtime.bundle.folder import MANIFEST, MODEL, Bundle, hash_files
from spit_edge.runtime.bundle.manifest import BatchProfile, PrecisionPlan, encode
from spit_edge.runtime.cuda.gpu import Gpu, current_gpu
from spit_edge.runtime.engines.build import EngineOrder, build_engine
from spit_edge.runtime.engines.callbacks import Log
from spit_edge.runtime.engines.config import configure
from spit_edge.runtime.engines.flavour import Flavour, find_flavour
from spit_edge.runtime.engines.network import TYPES, check_products, parse
from spit_edge.runtime.engines.plugin_libraries import PluginMissing
from spit_edge.runtime.engines.record import Choices
from spit_edge.runtime.engines.store import cache_path, find_engine
from spit_edge.runtime.errors import BackendUnavailable, EngineError
from spit_edge.spit_ref import MODEL_NAMES, load_model

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")

GPUS = (86, 89, 120)
ORIN = Gpu("Orin", 87, 8 << 30, 4 << 30, "12.6", "12.6")
ONNX_TYPES = {TensorProto.FLOAT: "FLOAT", TensorProto.FLOAT16: "HALF", TensorProto.BFLOAT16: "BF16"}


@pytest.fixture(autouse=True)
def nothing_left_of_other_tests() -> None:
    """Objects of TensorRT in cycles, as failures leave them, are freed here, not while it logs."""
    gc.collect()


@pytest.fixture
def bundle_of(make_bundle, tmp_path):
    """A copy of a small bundle, to put engines into."""

    def copied(**wanted) -> Bundle:
        usual = {"part": "trunk", "precision": "fp32", "gradient": True}
        made = make_bundle(height=48, width=64, **{**usual, **wanted})
        return Bundle.open(shutil.copytree(made.path, tmp_path / "bundle"))

    return copied


@pytest.fixture
def as_tensorrt() -> Flavour:
    """TensorRT-RTX in the role of TensorRT, whose API it has; it is never asked to run."""
    return Flavour("tensorrt", "10.3.0", trt)


def ordered(bundle: Bundle, **wanted) -> EngineOrder:
    return EngineOrder(
        bundle, **{"part": "trunk", "flavour": find_flavour("tensorrt-rtx"), "capabilities": GPUS,
                   **wanted}
    )  # fmt: skip


def quiet() -> Steps:
    return Steps(quiet=True)


def respecified(bundle: Bundle, **changes) -> Bundle:
    """The bundle with another manifest, valid again."""
    manifest = msgspec.structs.replace(
        bundle.manifest, **{"files": hash_files(bundle.path), **changes}
    )
    (bundle.path / MANIFEST).write_bytes(encode(manifest))
    return Bundle.open(bundle.path)


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_trunks_build_for_three_kinds_of_gpu(precision, gradient, bundle_of) -> None:
    bundle = bundle_of(precision=precision, gradient=gradient)
    bundle = respecified(bundle, batch=BatchProfile(min=1, opt=2, max=4))
    for capabilities in (GPUS, *((gpu,) for gpu in GPUS)):
        order = ordered(bundle, capabilities=capabilities)
        stored = build_engine(order, None, quiet())
        record, width = stored.record, 1280 if gradient else 1024
        assert stored.path.stat().st_size == record.engine.bytes > 100_000
        assert record.platform.sm == sorted(capabilities) and record.layers > 100
        shapes = msgspec.to_builtins(record.profile)
        assert shapes["tokens"] == {
            "min": [1, 1, width], "opt": [2, 45, width], "max": [4, 64, width],
        }  # fmt: skip
        assert shapes["num_tokens"] == {"min": [1], "opt": [2], "max": [4]}
        reduced = len(product_names(2))
        expected = {TYPES[precision]: reduced, "FLOAT": 1}
        assert record.products == ({"FLOAT": reduced + 1} if precision == "fp32" else expected)
        assert find_engine(bundle, "trunk", order.platform(None)) == stored


def test_the_trunk_of_a_full_bundle(bundle_of) -> None:
    bundle = bundle_of(part="full", precision="fp16", outputs=("attention",))
    stored = build_engine(ordered(bundle), None, quiet())
    assert set(stored.record.sources) == {"trunk.onnx", "model.onnx.data"}
    # Attention flow multiplies two maps in float32.
    assert stored.record.products == {"HALF": 13, "FLOAT": 2}
    assert Bundle.open(bundle.path).manifest == bundle.manifest  # engines do not disturb it


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_types_are_what_the_onnx_graph_says(precision, bundle_of) -> None:
    bundle = bundle_of(precision=precision)
    inferred = onnx.shape_inference.infer_shapes(onnx.load(bundle.trunk), data_prop=True).graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*inferred.value_info, *inferred.input)}
    types |= {v.name: v.data_type for v in inferred.initializer}
    said = {
        node.name: [ONNX_TYPES[types[name]] for name in node.input[:2]]
        for node in inferred.node
        if node.op_type in ("MatMul", "Gemm")
    }
    flavour = find_flavour("tensorrt-rtx")
    log = Log.of(flavour)
    network, _parser = parse(flavour, trt.Builder(log.logger), bundle.trunk, log)
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    products = [layer for layer in layers if layer.type == trt.LayerType.MATRIX_MULTIPLY]
    built = {p.name: [p.get_input(side).dtype.name for side in (0, 1)] for p in products}
    assert built == said and len(said) == 14


def test_a_product_of_another_type_is_found(bundle_of) -> None:
    bundle = bundle_of(precision="fp16")
    with pytest.raises(EngineError, match="of HALF instead of BF16"):
        build_engine(ordered(respecified(bundle, precision="bf16")), None, quiet())
    plan = PrecisionPlan(model="spit_tiny", precision="fp16", fp32=["blocks.1.scores"])
    with pytest.raises(EngineError, match=r"blocks\.1\.scores is of HALF instead of FLOAT"):
        build_engine(
            ordered(respecified(bundle, precision="fp16", precision_plan=plan)), None, quiet()
        )
    assert not (bundle.path / "engines").exists()


def test_one_wrong_product_among_many_is_found(bundle_of) -> None:
    bundle = respecified(bundle_of(precision="fp16"))
    model = onnx.load(bundle.trunk)
    node = next(n for n in model.graph.node if "blocks.1.mix" in n.output)
    place = list(model.graph.node).index(node)
    casts = [
        helper.make_node("Cast", [name], [f"{name}_wide"], to=TensorProto.FLOAT)
        for name in node.input
    ]
    wide = helper.make_node("MatMul", [cast.output[0] for cast in casts], ["mix_wide"], name="wide")
    back = helper.make_node("Cast", ["mix_wide"], node.output, to=TensorProto.FLOAT16)
    model.graph.node.remove(node)
    for new in reversed([*casts, wide, back]):
        model.graph.node.insert(place, new)
    onnx.save(model, bundle.model)
    with pytest.raises(EngineError, match=r"blocks\.1\.mix is of FLOAT instead of HALF"):
        build_engine(ordered(respecified(bundle)), None, quiet())


def test_products_without_names_are_refused(bundle_of) -> None:
    bundle = bundle_of()
    flavour = find_flavour("tensorrt-rtx")
    log = Log.of(flavour)
    network, _parser = parse(flavour, trt.Builder(log.logger), bundle.trunk, log)
    for index in range(network.num_layers):
        network.get_layer(index).get_output(0).name = f"value {index}"
    with pytest.raises(EngineError, match="no named matrix products"):
        check_products(flavour, network, bundle.manifest)


def test_a_corrupt_graph(bundle_of) -> None:
    bundle = bundle_of()
    bundle.model.write_bytes(bundle.model.read_bytes()[:3000])
    with pytest.raises(EngineError, match=r"cannot read .*model\.onnx: .*Failed to parse"):
        build_engine(ordered(bundle), None, quiet())
    assert not (bundle.path / "engines").exists()


def test_a_refused_node_is_named_with_its_op(bundle_of) -> None:
    bundle = bundle_of()
    model = onnx.load(bundle.trunk)
    odd = helper.make_node("NonZero", ["num_tokens"], ["where"], name="the_odd_one")
    model.graph.node.insert(0, odd)
    model.graph.output.append(helper.make_tensor_value_info("where", TensorProto.INT64, [1, None]))
    onnx.save(model, bundle.model)
    with pytest.raises(EngineError, match=r"node the_odd_one \(NonZero\): "):
        build_engine(ordered(bundle), None, quiet())


def test_an_open_dimension_without_a_range(bundle_of) -> None:
    bundle = bundle_of()
    model = onnx.load(bundle.trunk)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "rows"
    onnx.save(model, bundle.model)
    with pytest.raises(EngineError, match="dimension 1 of the input tokens is open"):
        build_engine(ordered(bundle), None, quiet())


def test_weights_that_are_missing(bundle_of) -> None:
    bundle = bundle_of()
    (bundle.path / "model.onnx.data").unlink()
    with pytest.raises(EngineError, match=r"cannot read .*model\.onnx"):
        build_engine(ordered(bundle), None, quiet())


def test_what_tensorrt_rtx_cannot_do(bundle_of) -> None:
    bundle = bundle_of(part="full")
    with pytest.raises(EngineError, match="does not build for SM87, but for 75, 80, 86"):
        build_engine(ordered(bundle, capabilities=(87,)), None, quiet())
    with pytest.raises(PluginMissing, match="takes no plugins"):
        build_engine(ordered(bundle, part="full"), None, quiet())
    for choices in (Choices(version_compatible=True), Choices(hardware_compatible=True)):
        with pytest.raises(EngineError, match="--compute-capability"):
            build_engine(ordered(bundle, choices=choices), None, quiet())


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX:DeprecationWarning")
@pytest.mark.parametrize("cached", [b"", b"garbage" * 50])
def test_the_way_of_tensorrt(cached, as_tensorrt, bundle_of, tmp_path, monkeypatch) -> None:
    """Workspace, timing cache and key; a cache that is damaged does no harm."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = cache_path("orin-sm87-tensorrt10.3.0-cuda12.6-trunk")
    assert place.is_relative_to(tmp_path)
    place.parent.mkdir(parents=True)
    place.write_bytes(cached)
    choices = Choices(optimization_level=1, hardware_compatible=True)
    order = ordered(bundle_of(), flavour=as_tensorrt, capabilities=(), choices=choices)
    stored = build_engine(order, ORIN, quiet())
    assert stored.path.name == "orin-sm87-tensorrt10.3.0-cuda12.6-trunk.engine"
    assert stored.record.choices == choices and stored.record.platform.gpu == "Orin"
    assert find_engine(order.bundle, "trunk", order.platform(ORIN)) == stored
    with pytest.raises(EngineError, match="--compute-capability is for TensorRT-RTX"):
        build_engine(ordered(order.bundle, flavour=as_tensorrt), ORIN, quiet())


def test_the_configuration(as_tensorrt) -> None:
    log = Log.of(as_tensorrt)
    builder = trt.Builder(log.logger)
    config = builder.create_builder_config()
    assert config.get_flag(trt.BuilderFlag.TF32)  # TensorRT's default, with which fp32 is not fp32
    libraries = [Path("/lib/libspit_plugins.so")]
    choices = Choices(optimization_level=5, version_compatible=True, hardware_compatible=True)
    configure(as_tensorrt, config, choices, ORIN, (), libraries)
    assert not config.get_flag(trt.BuilderFlag.TF32)
    assert config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE) == 2 << 30
    assert config.builder_optimization_level == 5
    assert config.get_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    assert list(config.plugins_to_serialize) == ["/lib/libspit_plugins.so"]
    told = Mock()  # TensorRT-RTX leaves this level as it is
    configure(as_tensorrt, told, choices, ORIN, (), libraries)
    assert told.hardware_compatibility_level == trt.HardwareCompatibilityLevel.AMPERE_PLUS
    rtx = builder.create_builder_config()
    configure(find_flavour("tensorrt-rtx"), rtx, Choices(), None, GPUS, [])
    asked = [rtx.get_compute_capability(index).name for index in range(3)]
    assert rtx.num_compute_capabilities == 3 and asked == ["SM86", "SM89", "SM120"]
    current = builder.create_builder_config()
    configure(find_flavour("tensorrt-rtx"), current, Choices(), ORIN, (), [])
    assert current.get_compute_capability(0) == trt.ComputeCapability.CURRENT


def test_networks_are_asked_to_be_strongly_typed(as_tensorrt, bundle_of) -> None:
    """TensorRT-RTX always is; TensorRT 10 has to be told."""
    log, asked = Log.of(as_tensorrt), []
    builder = trt.Builder(log.logger)

    def create_network(flags: int):
        asked.append(flags)
        return builder.create_network(flags)

    parse(as_tensorrt, SimpleNamespace(create_network=create_network), bundle_of().trunk, log)
    assert asked == [1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)]


def test_a_missing_plugin_is_called_that(as_tensorrt, bundle_of) -> None:
    order = ordered(bundle_of(part="full"), part="full", flavour=as_tensorrt, capabilities=())
    with pytest.raises(PluginMissing, match=r"no plugin RegionFeatures, .*edge plugins build"):
        build_engine(order, ORIN, quiet())


def library_for(machine: str, sm: int, contracts: dict[str, int]) -> bytes:
    """The facts of a plugin library, as its file holds them; nothing else of one."""
    facts = {
        "version": "0.1.0", "variant": "cuda", "machine": machine, "cuda": 13000,
        "tensorrt": "10.14.1", "architectures": [sm], "contracts": contracts,
    }  # fmt: skip
    return b"SPIT-PLUGINS-INFO " + json.dumps(facts).encode() + b"\0"


def test_a_plugin_library_that_does_not_fit(as_tensorrt, bundle_of, tmp_path) -> None:
    bundle, library = bundle_of(part="full"), tmp_path / "libspit_plugins.so"
    order = ordered(bundle, part="full", flavour=as_tensorrt, capabilities=(), plugins=(library,))
    here, contracts = platform.machine(), bundle.manifest.contracts
    other = {op: version + 1 for op, version in contracts.items()}
    cases = [
        (None, "there is no plugin library"),
        (b"no library", "is not a plugin library of spit-edge"),
        (library_for("sparc", 87, contracts), "is for sparc"),
        (library_for(here, 120, contracts), "code for sm_120, not for this GPU's sm_87"),
        (library_for(here, 87, other), "version 2 of"),
    ]
    for content, says in cases:
        if content is not None:
            library.write_bytes(content)
        with pytest.raises(PluginMissing, match=says):
            build_engine(order, ORIN, quiet())
    # All that it says of itself is right, but it is none that can be loaded.
    library.write_bytes(library_for(here, 87, contracts))
    with pytest.raises(EngineError, match=r"TensorRT 10\.3\.0 cannot load .*spit-edge plugins"):
        build_engine(order, ORIN, quiet())


def test_phases_are_shown_on_a_terminal(bundle_of) -> None:
    steps, shown = Steps(), io.StringIO()
    steps.console = Console(file=shown, force_terminal=True, width=100)
    build_engine(ordered(bundle_of()), None, steps)
    assert "Building engine" in shown.getvalue()
    assert re.search(r"building the trunk engine with TensorRT-RTX .* s\b", shown.getvalue())


SLOWED = """
import sys, time
from spit_edge.runtime.engines.callbacks import BuildPhases
advance = BuildPhases.advance
def slowly(self, name):
    if self.steps == 20:
        print("under way", flush=True)
    time.sleep(0.02)
    return advance(self, name)
BuildPhases.advance = slowly
from spit_edge.runtime.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def engine_process(bundle: Bundle, program: str, **more) -> subprocess.Popen[str]:
    command = ["engine", str(bundle.path), "--compute-capability", "86"]
    return subprocess.Popen(
        [sys.executable, "-c", program, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def test_ctrl_c_stops_the_builder_and_leaves_nothing(bundle_of) -> None:
    bundle = bundle_of()
    before = sorted(bundle.path.rglob("*"))
    running = engine_process(
        bundle,
        SLOWED,
        # Jobs in the background of a shell are started with Ctrl-C ignored, and hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert running.stdout is not None and running.stdout.readline() == "under way\n"
    start = time.monotonic()
    os.kill(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    # The whole build has some 400 steps, eight seconds at this pace.
    assert time.monotonic() - start < 5
    assert running.returncode == 130 and errors.endswith("interrupted\n")
    assert "Traceback" not in errors and sorted(bundle.path.rglob("*")) == before


def test_a_file_size_limit_leaves_nothing(bundle_of) -> None:
    bundle = bundle_of()
    before = sorted(bundle.path.rglob("*"))
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
        "from spit_edge.runtime.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    running = engine_process(bundle, program)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 2 and "File too large" in errors and "Traceback" not in errors
    # Why one is built is said, but not the command that is running already.
    assert "there is none in" in errors and "spit-edge engine" not in errors
    assert sorted(bundle.path.rglob("*")) == before


@pytest.fixture(scope="module")
def table():
    rows: list[str] = []
    yield rows
    print("\nmodel     precision  layers  engine MB  seconds", *rows, sep="\n")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_every_trunk_builds(name, precision, bundle_of, table) -> None:
    bundle = bundle_of(precision=precision)
    model = load_model(name, weights="random")
    graph = trunk_graph(model, BuildOptions(name, precision=precision))
    bundle.model.with_suffix(".onnx.data").unlink()
    save_graph(graph, bundle.model, {}, f"{MODEL}.data")
    bundle = respecified(bundle, model=name, token_budget=320)
    record = build_engine(ordered(bundle), None, quiet()).record
    reduced = len(product_names(model.config.depth))
    assert record.products == (
        {"FLOAT": reduced + 1} if precision == "fp32" else {TYPES[precision]: reduced, "FLOAT": 1}
    )
    table.append(
        f"{name:9} {precision:9} {record.layers:7} {record.engine.bytes / 1e6:10.1f}"
        f" {record.build_seconds:8.1f}"
    )


@pytest.mark.gpu
def test_an_engine_built_here_runs_in_its_types(bundle_of) -> None:
    try:
        flavour, gpu = find_flavour(), current_gpu()
    except BackendUnavailable as error:
        pytest.skip(str(error))
    order = ordered(bundle_of(precision="fp16"), flavour=flavour, capabilities=())
    stored = build_engine(order, gpu, quiet())
    log = Log.of(flavour)
    runtime = flavour.module.Runtime(log.logger)
    engine = runtime.deserialize_cuda_engine(stored.path.read_bytes())
    assert engine is not None, log.lines
    form = flavour.module.LayerInformationFormat.JSON
    assert "Half" in engine.create_engine_inspector().get_engine_information(form)
    assert find_engine(order.bundle, "trunk", order.platform(gpu)) == stored


COLLECTING = """
import gc, sys
from spit_edge.runtime.engines.flavour import find_flavour
from spit_edge.runtime.engines.callbacks import Log, without_collection
gc.disable()
flavour = find_flavour("tensorrt-rtx")
old = [flavour.module.Builder(Log.of(flavour).logger)]
old.append(old)
del old
Log.add = lambda *_: gc.collect()  # as may happen with any line of Python
with without_collection():
    flavour.module.Builder(Log.of(flavour).logger)
print("built")
"""


def test_a_collection_in_the_logger_does_not_wait_for_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COLLECTING], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "built", done.stderr
