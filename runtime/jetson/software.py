"""Versions of a Jetson's software, read from what its files and commands say."""

from __future__ import annotations

import re

_RELEASE = re.compile(r"^# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)", re.MULTILINE)
# "ii" is installed, "hi" installed and held; both `dpkg -l` and our own format look like this.
_PACKAGE = re.compile(r"^[hi]i\s+([a-z0-9][a-z0-9+.-]*)(?::\w+)?\s+(\d\S*)", re.MULTILINE)
_NVCC = re.compile(r"\brelease (\d+\.\d+), V\d")
_TENSORRT = re.compile(r"libnvinfer\d+")

# NVIDIA's JetPack archive; the package nvidia-jetpack, where it is installed, knows better.
_JETPACKS = {
    "36.3.0": "6.0",
    "36.4.0": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "36.5.0": "6.2.2",
    "38.2.0": "7.0",
    "38.4.0": "7.1",
    "39.2.0": "7.2",
    "39.2.1": "7.2.1",
}


def l4t_version(release: str) -> str | None:
    """Jetson Linux, "36.4.3", from the text of ``/etc/nv_tegra_release``."""
    found = _RELEASE.search(release)
    if found is None:
        return None
    numbers = [found[1], *found[2].split("."), "0"]
    return ".".join(numbers[:3])


def installed_packages(listing: str) -> dict[str, str]:
    """Versions of the installed packages in a listing of dpkg's: ``ii  name  version ...``."""
    return dict(_PACKAGE.findall(listing))


def jetpack_version(packages: dict[str, str], l4t: str | None) -> str | None:
    """JetPack, "6.2.1", from its package or, without it, by the Jetson Linux it came with."""
    if "nvidia-jetpack" in packages:
        return re.split(r"[+-]", packages["nvidia-jetpack"])[0]
    return _JETPACKS.get(l4t or "")


def tensorrt_version(packages: dict[str, str]) -> str | None:
    """TensorRT, "10.3.0.30", from its library's package."""
    versions = [
        version.split("-")[0] for name, version in packages.items() if _TENSORRT.fullmatch(name)
    ]
    return max(versions, key=_numbers, default=None)


def cuda_version(nvcc: str) -> str | None:
    """CUDA, "12.6", from what ``nvcc --version`` prints."""
    found = _NVCC.search(nvcc)
    return None if found is None else found[1]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
