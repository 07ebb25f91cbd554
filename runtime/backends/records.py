"""What is known of each back end before anything of it is imported."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spit_edge.runtime.bundle.manifest import PRECISIONS, Part, Precision


@dataclass(frozen=True)
class Appetite:
    """What a back end takes of a machine, to tell beforehand whether there is enough.

    environment  bytes of a virtual environment with what the back end's extra brings
    process      bytes of memory with hardly a model: Python, the libraries, with a GPU CUDA's
                 context
    copies       of the weights that are in memory while it runs; ONNX Runtime computes fp16 on a
                 CPU in fp32

    On the CPU, measured on x86-64: the files of an environment, with room for pip and bytecode; the
    peak (VmHWM) of a process that ran the check images of spit_tiny.  Copies are measured for
    ONNX Runtime (527 MB with spit_b16 in fp16) and taken to be the same for the others.
    """

    environment: int
    process: int
    copies: float


@dataclass(frozen=True)
class BackendRecord:
    """A back end: of this package in :data:`RECORDS`, of others as an entry point.

    name        what it is asked for by
    place       "module:class" of the class, which is made by ``class(bundle, threads)``
    rank        among those that "auto" tries, lowest first (this package's are 10 to 50); None: it
                is taken only where it is named
    part        the graph of the bundle that it reads; None: it reads none
    precisions  of the bundles that it runs
    extra       of this package, with what it needs; None: of others, which see to that themselves
    gpu         whether it needs an NVIDIA GPU
    plugins     whether it needs the plugin library
    artefact    "module:function" that makes what it needs beside the bundle's own files; called
                with a Bundle and Steps, it gives the Path, and makes nothing where what is there
                fits.  None: nothing is needed
    checked     whether bundles are compared with the reference on it when they are built
    appetite    None: not known
    """

    name: str
    place: str
    rank: int | None = None
    part: Part | None = None
    precisions: tuple[Precision, ...] = PRECISIONS
    extra: str | None = None
    gpu: bool = False
    plugins: bool = False
    artefact: str | None = None
    checked: bool = False
    appetite: Appetite | None = None

    def refusal(self, precision: Precision) -> str | None:
        """Why it runs no bundles of ``precision``, and what to do; None if it does."""
        if precision in self.precisions:
            return None
        others = [r.name for r in _ALL if precision in r.precisions and not r.gpu]
        return (
            f"the backend {self.name} does not run {precision}: use the backend "
            f"{' or '.join(others)}, or export with --precision {' or '.join(self.precisions)}"
        )


_CPU, _GPU = "spit_edge.runtime.backends.cpu", "spit_edge.runtime.backends.gpu"
_NOT_BF16: tuple[Precision, ...] = ("fp32", "fp16")
"""ONNX Runtime has no bfloat16 kernels for CPUs."""
_TENSORRT = Appetite(environment=150_000_000, process=1_000_000_000, copies=1)
"""Memory is assumed, as it is for everything on a GPU."""

_ALL = (
    BackendRecord(
        "onnxruntime",
        f"{_CPU}.onnxruntime:OnnxRuntimeBackend",
        rank=30,
        part="trunk",
        precisions=_NOT_BF16,
        extra="onnxruntime",
        checked=True,
        appetite=Appetite(environment=250_000_000, process=100_000_000, copies=2.5),
    ),
    BackendRecord(
        "openvino",
        f"{_CPU}.openvino:OpenVinoBackend",
        rank=40,
        part="trunk",
        extra="openvino",
        appetite=Appetite(environment=350_000_000, process=130_000_000, copies=2.5),
    ),
    BackendRecord(
        "onnxruntime-graph",
        f"{_CPU}.onnxruntime:OnnxRuntimeGraphBackend",
        part="full",
        precisions=_NOT_BF16,
        extra="onnxruntime-graph",
        checked=True,
        appetite=Appetite(environment=250_000_000, process=340_000_000, copies=2.5),
    ),
    BackendRecord(
        "onnxruntime-cuda",
        f"{_GPU}.onnxruntime:OnnxRuntimeCudaBackend",
        part="trunk",
        extra="onnxruntime-gpu",
        gpu=True,
        appetite=replace(_TENSORRT, environment=600_000_000),
    ),
    BackendRecord(
        "onnxruntime-tensorrt",
        f"{_GPU}.onnxruntime:OnnxRuntimeTensorRTBackend",
        part="full",
        extra="gpu",
        gpu=True,
        plugins=True,
        appetite=replace(_TENSORRT, environment=3_000_000_000),
    ),
    BackendRecord(
        "tensorrt",
        f"{_GPU}.tensorrt:TensorRTBackend",
        rank=10,
        part="full",
        extra="tensorrt",
        gpu=True,
        plugins=True,
        artefact="spit_edge.runtime.engines.build:make_full_engine",
        appetite=_TENSORRT,
    ),
    BackendRecord(
        "tensorrt-split",
        f"{_GPU}.tensorrt_split:TensorRTSplitBackend",
        rank=20,
        part="trunk",
        extra="tensorrt",
        gpu=True,
        plugins=True,
        artefact="spit_edge.runtime.engines.build:make_trunk_engine",
        appetite=_TENSORRT,
    ),
    BackendRecord(
        "torch",
        "spit_edge.export.torch_backend:TorchBackend",
        rank=50,
        extra="torch",
        appetite=Appetite(environment=1_200_000_000, process=360_000_000, copies=2.5),
    ),
)
RECORDS = {record.name: record for record in _ALL}
"""Those of this package, by name."""
