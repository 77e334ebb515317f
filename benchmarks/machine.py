"""Conditions of a benchmark: processor, load, versions of the packages, and peak memory."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import sys
from pathlib import Path


def peak_memory_mib() -> float:
    """Returns the peak resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux, bytes on macOS
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def describe_machine(*packages: str) -> str:
    """Returns two lines: the processor and its load over the last minute; the versions of the system, Python and `packages`.

    Raises:
        importlib.metadata.PackageNotFoundError: a package is not installed.
    """
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)
    return (
        f"{_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start\n"
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {versions}\n"
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
