"""The NVIDIA driver and its GPU, asked without any package: this file travels to devices alone."""

from __future__ import annotations

import ctypes

_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
"""Of CUDA's enum CUdevice_attribute."""


def driver_facts() -> dict[str, int] | None:
    """``sm``, the first GPU's compute capability times ten, and ``cuda``, the newest CUDA that the
    driver serves (13000 for 13.0); None where there is no driver or no GPU that it can use."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device, version = ctypes.c_int(), ctypes.c_int()
    major, minor = ctypes.c_int(), ctypes.c_int()
    calls = (
        (driver.cuInit, 0),
        (driver.cuDriverGetVersion, ctypes.byref(version)),
        (driver.cuDeviceGet, ctypes.byref(device), 0),
        (driver.cuDeviceGetAttribute, ctypes.byref(major), _CAPABILITY_MAJOR, device),
        (driver.cuDeviceGetAttribute, ctypes.byref(minor), _CAPABILITY_MINOR, device),
    )
    for function, *arguments in calls:
        if function(*arguments) != 0:
            return None
    return {"sm": 10 * major.value + minor.value, "cuda": version.value}


def dotted(version: int) -> str:
    """CUDA's 12060 as "12.6"."""
    return f"{version // 1000}.{version % 1000 // 10}"


def bindings_for(driver: int) -> str:
    """What to ask pip for beside a driver that serves CUDA up to ``driver``, 12060 for 12.6.

    A Jetson's driver serves no newer CUDA than its own.  Of the bindings for CUDA 12, those up to
    12.8 call the driver; later ones bring a runtime of their own.
    """
    major, minor = driver // 1000, driver % 1000 // 10
    newer = "12.9" if major == 12 else f"{major}.{minor + 1}"
    return f"cuda-bindings>=12.8,<{newer}"
