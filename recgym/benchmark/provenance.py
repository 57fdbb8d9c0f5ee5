"""What a result depends on and what it cost, for the header of a run."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def versions() -> dict[str, str]:
    """Versions of what a result depends on; Stable-Baselines3 only where it was used."""
    found = {"recgym": _version("recgym"), "python": platform.python_version()}
    for name in ("gymnasium", "numpy", "torch"):
        found[name] = _version(name)
    for name, package in (
        ("stable_baselines3", "stable-baselines3"),
        ("sb3_contrib", "sb3-contrib"),
        ("gensim", "gensim"),
    ):
        if name in sys.modules:
            found[package] = _version(package)
    return found


def machine() -> str:
    """What kind of computer this is, without its name."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"


def _version(package: str) -> str:
    if package == "recgym":
        import recgym

        return recgym.__version__
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


class PeakMemory:
    """Peak resident memory of this process since this object was made, where Linux tells."""

    def __init__(self) -> None:
        self._reset = False
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self._reset = True
        except OSError:
            pass

    def megabytes(self) -> int | None:
        if self._reset:
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return round(int(line.split()[1]) / 1024)
        try:
            import resource
        except ImportError:  # Windows
            return None
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return round(peak / (2**20 if sys.platform == "darwin" else 2**10))
