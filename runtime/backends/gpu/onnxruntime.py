"""ONNX Runtime's providers for NVIDIA GPUs as back ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from spit_edge.base.contracts import DOMAIN
from spit_edge.runtime.backends.cpu.tokenizer import NativeTokenizer
from spit_edge.runtime.backends.gpu.onnx_domain import with_domain
from spit_edge.runtime.backends.onnxruntime_session import CPU, Provider, open_session, run_session
from spit_edge.runtime.backends.protocol import Outputs
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.engines.callbacks import Log
from spit_edge.runtime.engines.flavour import find_flavour
from spit_edge.runtime.engines.plugin_libraries import load_plugins, plugin_libraries
from spit_edge.runtime.engines.store import onnxruntime_cache
from spit_edge.runtime.errors import BackendUnavailable, BundleError, EngineError

PLUGIN_DOMAIN = "trt.plugins"
"""Where ONNX Runtime puts the plugins that it finds in TensorRT's registry."""


class OnnxRuntimeCudaBackend:
    """See :class:`Backend`.

    The tokenizer runs on the CPU, by the native kernels, and the trunk on ONNX Runtime's CUDA
    provider.  TF32 is off: it errs by more than the gates of fp32 allow.
    """

    PROVIDER = "CUDAExecutionProvider"
    OPTIONS: Mapping[str, str] = {"use_tf32": "0"}

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        _check_provider(self.PROVIDER)
        self._tokenizer = NativeTokenizer(bundle, threads)
        self._session = _session(
            bundle, bundle.trunk.read_bytes(), self.PROVIDER, self.OPTIONS, threads
        )
        self._names = [output.name for output in self._session.get_outputs()]
        self._gives_tokens = any(spec.name == "tokens" for spec in bundle.manifest.outputs)

    def run(
        self,
        images: NDArray[np.uint8],
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Outputs:
        outputs = self._tokenizer.run(images, seeds)
        feeds = {name: outputs[name] for name in ("tokens", "num_tokens")}
        outputs.update(run_session(self._session, self._names, feeds))
        if not (tokens or self._gives_tokens):
            del outputs["tokens"]
        return outputs

    def close(self) -> None:
        del self._session


class OnnxRuntimeTensorRTBackend:
    """See :class:`Backend`.

    The whole graph on ONNX Runtime's TensorRT provider, which builds its own engine, kept in the
    user's cache.  It offers the plugins of TensorRT's registry as ops of a
    domain of its own, so the nodes are moved there; and since it only opens a plugin library and
    leaves it to that to register itself, which ours does not, TensorRT's registry loads it first.

    Tokens that the bundle does not give are computed from the labels on the CPU: the same bits.
    """

    PROVIDER = "TensorrtExecutionProvider"

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        _check_provider(self.PROVIDER)
        try:
            flavour = find_flavour("tensorrt")
            self._log = Log.of(flavour)
            libraries = plugin_libraries(bundle)
            load_plugins(
                flavour,
                flavour.module.get_plugin_registry(),
                libraries,
                bundle.manifest.contracts,
                self._log,
            )
        except EngineError as error:
            raise BackendUnavailable(str(error)) from error
        options = {
            **_profile(bundle),
            "trt_extra_plugin_lib_paths": ";".join(str(path) for path in libraries),
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(onnxruntime_cache(bundle)),
        }
        self._tokenizer = NativeTokenizer(bundle, threads)
        self._budget = bundle.manifest.token_budget
        self._session = _session(bundle, plugin_graph(bundle), self.PROVIDER, options, threads)
        self._names = [output.name for output in self._session.get_outputs()]

    def run(
        self,
        images: NDArray[np.uint8],
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Outputs:
        feeds: Outputs = {"images": images} if seeds is None else {"images": images, "seeds": seeds}
        outputs = run_session(self._session, self._names, feeds)
        if tokens and "tokens" not in outputs:
            counts = outputs["num_tokens"]
            rows = self._budget
            outputs["tokens"] = self._tokenizer.tokens(images, outputs["labels"], counts, rows)
        return outputs

    def close(self) -> None:
        del self._session


def plugin_graph(bundle: Bundle) -> bytes:
    """The bundle's graph with its custom ops in the domain of TensorRT's plugins."""
    return with_domain(bundle.model.read_bytes(), DOMAIN, PLUGIN_DOMAIN)


def _profile(bundle: Bundle) -> dict[str, str]:
    """The shapes to serve, as the provider's options give them."""
    manifest = bundle.manifest
    batch = {"min": manifest.batch.min, "opt": manifest.batch.opt, "max": manifest.batch.max}
    profiles = {}
    for kind, size in batch.items():
        shapes = []
        for spec in manifest.inputs:
            extents = [str(dim if isinstance(dim, int) else size) for dim in spec.shape]
            shapes.append(f"{spec.name}:{'x'.join(extents)}")
        profiles[f"trt_profile_{kind}_shapes"] = ",".join(shapes)
    return profiles


def _check_provider(name: str) -> None:
    known = onnxruntime.get_available_providers()
    if name not in known:
        raise BackendUnavailable(
            f"onnxruntime {onnxruntime.__version__} has no {name}, only {', '.join(known)}: "
            "pip install onnxruntime-gpu instead of it"
        )


def _session(
    bundle: Bundle, graph: bytes, provider: str, choices: Mapping[str, str], threads: int | None
) -> Any:
    providers: list[Provider] = [(provider, dict(choices)), CPU]
    try:
        session = open_session(graph, weights=bundle.path, threads=threads, providers=providers)
    except BundleError as error:
        raise BackendUnavailable(f"{provider}: {error}") from error
    # Where a provider's libraries do not load, ONNX Runtime goes on without it.
    if session.get_providers()[0] != provider:
        raise BackendUnavailable(
            f"ONNX Runtime cannot load its {provider}: are the CUDA, cuDNN and TensorRT libraries "
            "of the versions it wants installed?"
        )
    return session
