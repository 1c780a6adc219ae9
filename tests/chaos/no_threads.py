"""Runs a program where no thread can be started: ``python -m tests.chaos.no_threads PROGRAM ARGUMENTS``.

The stack of a thread is set so large, and the address space limited so, that the system itself refuses each
one. SIGUSR1 lifts the limit.
"""

from __future__ import annotations

import resource
import runpy
import signal
import sys
import threading
from pathlib import Path

__all__ = ["forbid", "lift"]

STACK_BYTES = 1 << 30
ROOM_BYTES = 700 << 20
"""For everything but stacks."""
NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def forbid() -> None:
    """From now on this process can start no thread."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    threading.stack_size(STACK_BYTES)
    resource.setrlimit(
        resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM_BYTES, resource.RLIM_INFINITY)
    )


def lift() -> None:
    """From now on it can again."""
    resource.setrlimit(resource.RLIMIT_AS, NO_LIMIT)
    threading.stack_size(0)


def _main() -> None:
    signal.signal(signal.SIGUSR1, lambda _number, _frame: lift())
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    forbid()
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    _main()
