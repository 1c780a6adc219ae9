"""How much memory this process holds. Imports next to nothing: it is used to measure imports."""

from __future__ import annotations

import resource
import sys

__all__ = ["rss_mib"]


def rss_mib() -> float:
    """Resident memory now, in MiB; the peak so far where the system does not say."""
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123  pathlib is part of what is to be measured
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)
