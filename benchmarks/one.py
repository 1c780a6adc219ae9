"""Runs one benchmark and writes its outcome as JSON: ``python -m benchmarks.one NAME FILE``."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import time
from pathlib import Path

from benchmarks.outcome import Options, Outcome

__all__ = ["main"]


def main(name: str, file: str, *flags: str) -> None:
    """Run ``benchmarks.<name>``."""
    logging.disable(logging.WARNING)
    started = time.perf_counter()
    seconds = [float(flag.removeprefix("--seconds=")) for flag in flags if flag.startswith("--seconds=")]
    options = Options("--quick" in flags, *seconds)
    outcome: Outcome = importlib.import_module(f"benchmarks.{name}").run(options)
    outcome.seconds = round(time.perf_counter() - started, 1)
    Path(file).write_text(json.dumps(outcome.as_dict()))


if __name__ == "__main__":
    main(*sys.argv[1:])
