"""Which machine and which versions a run was made with; nothing that identifies the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

__all__ = ["cpu_model", "describe", "usable_cores", "version_of"]

PACKAGES = (
    "aiohttp", "asyncpg", "orjson", "pydantic", "uvloop",
    "openai", "litellm", "instructor", "json_repair",
)  # fmt: skip


def describe() -> dict[str, Any]:
    """CPU, cores, memory, system, Python and the packages that take part."""
    load = os.getloadavg()
    return {
        "cpu": cpu_model(),
        "cores": usable_cores(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "optimised_build": "--enable-optimizations" in (_build_options() or ""),
        "packages": {name: found for name in PACKAGES if (found := version_of(name))},
        "load_before": [round(value, 2) for value in load],
    }


def version_of(package: str) -> str | None:
    """The installed version; None when it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def usable_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's own name for itself."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        return subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
    return platform.processor() or "unknown"


def _memory_gib() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _build_options() -> str | None:
    found: str | None = sysconfig.get_config_var("CONFIG_ARGS")
    return found
