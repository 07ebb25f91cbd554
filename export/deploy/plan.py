"""What is to be done on a device, decided here from its facts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from spit_edge.base.driver import bindings_for
from spit_edge.export.deploy.errors import DeployError
from spit_edge.export.deploy.package import Package
from spit_edge.export.deploy.target import DeployOptions, Facts
from spit_edge.plugins.plugin_library import PluginLibrary
from spit_edge.runtime.backends.records import RECORDS, BackendRecord
from spit_edge.runtime.bundle.manifest import Part

OLDEST_TENSORRT = 10


@dataclass(frozen=True)
class Plan:
    """Decisions.

    install    path, in the package, of the wheel or of the sources that pip installs
    extras     of this package that the back end needs or the user wants, separated by commas
    requires   what else pip is told, so that versions fit the device
    part       of the engine to build; None: no engine
    prebuilt   path, in the package, of the plugin library that fits
    build_sm   GPU to build a plugin library for there; None with ``prebuilt`` None: none is needed
    remarks    why something is not done, for the user
    """

    install: str
    extras: str
    requires: tuple[str, ...]
    backend: str
    part: Part | None
    prebuilt: str | None
    build_sm: int | None
    remarks: tuple[str, ...]

    def venv_key(self, package: Package, facts: Facts) -> str:
        """Names the Python environment: the same for all that would be installed alike."""
        parts = [
            package.files[self.install].sha256,
            self.extras,
            *self.requires,
            facts.python,
            *(file.sha256 for file in package.wheelhouse),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def make_plan(package: Package, facts: Facts, options: DeployOptions) -> Plan:
    """Decide; DeployError if the device cannot do what was asked for."""
    remarks = []
    obstacle = _no_engine(facts)
    if options.engine == "never":
        obstacle = "--no-engine"
    elif facts.jetson is not None and facts.gpu is None:
        raise DeployError(
            "this is a Jetson, but the account there cannot use its GPU: sudo usermod -aG "
            "video,render USER, and log in again; or deploy for the CPU with --no-engine"
        )
    backend = _record(options.backend or ("onnxruntime" if obstacle else "tensorrt"))
    if refusal := backend.refusal(package.bundle.manifest.precision):
        raise DeployError(refusal)
    if backend.gpu and facts.gpu is None:
        raise DeployError(f"the backend {backend.name} needs a GPU: {obstacle}")
    part = backend.part if backend.artefact is not None else None
    if part is not None and obstacle is not None:
        raise DeployError(
            f"the backend {backend.name} needs an engine, and there is none: {obstacle}"
        )
    if part is None and options.engine == "now":
        if obstacle is None:
            raise DeployError(f"the backend {backend.name} has no engine: leave out --engine-now")
        raise DeployError(f"no engine can be built on the device: {obstacle}")
    if part is None and obstacle is not None:
        remarks.append(f"no engine and no plugin library, because of {obstacle}")
    prebuilt = build_sm = None
    if backend.plugins and facts.gpu is not None and package.bundle.manifest.contracts:
        prebuilt, why_not = _prebuilt(package.plugins, facts, package.bundle.manifest.contracts)
        remarks += why_not if prebuilt is None else []
        build_sm = None if prebuilt else facts.gpu.sm
    install = _wheel_for(package, facts)
    if install is None:
        if package.sources is None:
            raise DeployError(
                f"no wheel of spit-edge is for Python {facts.python} on {facts.machine}: "
                "give one with --wheel"
            )
        if facts.to_compile:
            raise DeployError(
                f"to compile the runtime, the device lacks {' and '.join(facts.to_compile)}: sudo "
                f"apt-get install {' '.join(facts.to_compile)} there, or give a wheel with --wheel"
            )
        install = package.sources
        remarks.append("the device compiles the runtime, because no wheel was given")
    assert backend.extra is not None
    extras = ",".join(dict.fromkeys([backend.extra, *options.extras]))
    requires = _requires(facts, with_bindings=backend.gpu)
    return Plan(install, extras, requires, backend.name, part, prebuilt, build_sm, tuple(remarks))


def _record(name: str) -> BackendRecord:
    """Only this package travels, so that back ends of others are none there."""
    if name not in RECORDS:
        known = ", ".join(sorted(RECORDS))
        raise DeployError(f"there is no backend {name!r} on devices: choose one of {known}")
    return RECORDS[name]


def _requires(facts: Facts, *, with_bindings: bool) -> tuple[str, ...]:
    """Versions that fit what is installed on the device."""
    wanted = []
    if facts.jetson is not None:
        # The system's OpenCV is compiled against numpy 1 and does not load beside numpy 2.
        wanted.append("numpy>=1.24,<2")
    if with_bindings and facts.gpu is not None:
        wanted.append(bindings_for(facts.gpu.cuda))
    return tuple(wanted)


def _no_engine(facts: Facts) -> str | None:
    """Why there can be none on the device."""
    if facts.gpu is None:
        return "the device's lack of a GPU that CUDA can use"
    if facts.tensorrt is None:
        return "the device's lack of TensorRT for its Python (JetPack: package nvidia-jetpack)"
    if int(facts.tensorrt.split(".")[0]) < OLDEST_TENSORRT:
        return f"the device's TensorRT {facts.tensorrt} (at least {OLDEST_TENSORRT}.0 is needed)"
    return None


def _prebuilt(
    libraries: Mapping[str, PluginLibrary], facts: Facts, contracts: Mapping[str, int]
) -> tuple[str | None, list[str]]:
    """Path of the library that fits, and why the others do not."""
    reasons = []
    for path, library in libraries.items():
        if (reason := misfit(library, facts, contracts)) is None:
            return path, []
        reasons.append(f"{library.path} is not used: {reason}")
    return None, reasons


def misfit(library: PluginLibrary, facts: Facts, contracts: Mapping[str, int]) -> str | None:
    """Why a plugin library does not serve a device with a GPU; None if it does."""
    assert facts.gpu is not None
    if library.machine != facts.machine:
        return f"it is for {library.machine}"
    # Within a major number, the driver of an older CUDA runs what a newer one compiled.
    if library.cuda // 1000 != facts.gpu.cuda // 1000:
        return f"it is for CUDA {library.cuda_version}"
    # On a Jetson, drivers run no newer CUDA than their own.
    if facts.jetson is not None and library.cuda > facts.gpu.cuda:
        return f"it is for CUDA {library.cuda_version}, which is newer than the driver's"
    if not library.has_code_for(facts.gpu.sm):
        return f"it has no code for sm_{facts.gpu.sm}"
    for op, version in contracts.items():
        if library.contracts.get(op) != version:
            return f"it does not have version {version} of {op}"
    return None


def _wheel_for(package: Package, facts: Facts) -> str | None:
    major, minor = facts.python.split(".")[:2]
    for path in package.wheels:
        python, _, platform = path.removesuffix(".whl").split("-")[-3:]
        if f"cp{major}{minor}" in python.split(".") and platform.endswith(facts.machine):
            return path
    return None
