"""``python -m benchmarks``: run them, print the tables, keep the numbers."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks import report
from benchmarks.machine import describe
from benchmarks.outcome import Outcome, Table
from benchmarks.sides import ROOT, environment

__all__ = ["main"]

NAMES = (
    "handover",
    "loop_lag",
    "throughput",
    "rate_limit",
    "memory",
    "parser",
    "writers",
    "growth",
    "batches",
)
LAST = "memory"
"""Run after all others: it processes as many signals as the time that is left allows, a million at most."""
ALL_SECONDS = 594
"""How long all of them together may take."""
RESULTS = Path(__file__).resolve().parent / "results"
LATEST, FULL = RESULTS / "latest.json", RESULTS / "full.json"
PATIENCE = 600
"""Seconds after which one benchmark is given up."""


def main(arguments: list[str] | None = None) -> int:
    """0 when every benchmark ran, whatever it found; 1 when one could not, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    if options.names[:1] == ["report"]:
        return _report(options.names[1:])
    if unknown := sorted(set(options.names) - set(NAMES)):
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(NAMES)}, report", file=sys.stderr)
        return 2
    return _run([name for name in NAMES if not options.names or name in options.names], quick=options.quick)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What the sidecar costs its host, beside the field's own clients.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME",
        help=f"run only these: {', '.join(NAMES)}; or `report [FILE]`: put a run into benchmarks/README.md",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="small and imprecise, to try them out")
    return parser


def _run(names: list[str], *, quick: bool) -> int:
    console = Console(width=None if sys.stdout.isatty() else 160)
    started = time.monotonic()
    run: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(), "quick": quick, "machine": describe(), "outcomes": [],
    }  # fmt: skip
    failed = []
    for name in sorted(names, key=lambda name: name == LAST):
        console.rule(f"{name}")
        outcome = _one(name, quick=quick, seconds=ALL_SECONDS - (time.monotonic() - started))
        if outcome is None:
            failed.append(name)
            console.print(f"{name}: could not be run, see above", style="bold red", markup=False)
            continue
        _print(console, outcome)
        run["outcomes"].append(outcome.as_dict())
        run["outcomes"].sort(key=lambda values: NAMES.index(values["name"]))
        _save(run, started)
    console.rule("targets")
    for line in report.conclusions([Outcome.from_dict(values) for values in run["outcomes"]]):
        console.print(
            line, style="red" if line.startswith("MISSED") else "green", markup=False, highlight=False
        )
    _save(run, started)
    console.print(f"{run['seconds']:.0f} s; numbers in {LATEST.relative_to(ROOT)}", highlight=False)
    return 1 if failed else 0


def _one(name: str, *, quick: bool, seconds: float) -> Outcome | None:
    """One benchmark in a process of its own, which may use up ``seconds``; None when it fails."""
    with tempfile.TemporaryDirectory(prefix="tradent-bench-") as folder:
        file = Path(folder) / "outcome.json"
        command = [sys.executable, "-m", "benchmarks.one", name, str(file), f"--seconds={seconds:.0f}"]
        command += ["--quick"] if quick else []
        try:
            subprocess.run(command, cwd=ROOT, env=environment(), check=True, timeout=PATIENCE)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"{name}: {type(error).__name__}", file=sys.stderr)
            return None
        return Outcome.from_dict(json.loads(file.read_text()))


def _print(console: Console, outcome: Outcome) -> None:
    for table in outcome.tables:
        console.print(_rich(table))
        if table.note:
            console.print(table.note, style="dim", markup=False, highlight=False)
    for line in outcome.skipped:
        console.print(line, style="yellow", markup=False)
    console.print(f"{outcome.title}: {outcome.seconds:.0f} s\n", highlight=False)


def _rich(table: Table) -> RichTable:
    shown = RichTable(title=table.title, title_justify="left")
    for number, column in enumerate(table.columns):
        shown.add_column(column, justify="right" if number else "left")
    for row in table.rows:
        shown.add_row(*("" if cell is None else str(cell) for cell in row))
    return shown


def _save(run: dict[str, Any], started: float) -> None:
    run["seconds"] = round(time.monotonic() - started, 1)
    LATEST.write_text(json.dumps(run, indent=1) + "\n")


def _report(files: list[str]) -> int:
    """A run into the README; the latest complete one is kept as the one the README shows."""
    source = Path(files[0]) if files else LATEST if LATEST.exists() else FULL
    run = report.load(source)
    names = [values["name"] for values in run["outcomes"]]
    if run["quick"] or names != list(NAMES):
        print(f"{source.name} is not a complete run: run `python -m benchmarks` first", file=sys.stderr)
        return 1
    if source.resolve() != FULL:
        shutil.copyfile(source, FULL)
    report.rewrite(run)
    print(f"benchmarks/README.md now shows the run of {run['date']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
