"""Writes one run into benchmarks/README.md, between its markers, and its charts beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.charts import svg
from benchmarks.outcome import Outcome, Table

__all__ = ["BEGIN", "END", "conclusions", "render", "rewrite"]

HERE = Path(__file__).resolve().parent
BEGIN = "<!-- results: python -m benchmarks report -->"
END = "<!-- end of results -->"


def rewrite(run: dict[str, Any], folder: Path = HERE) -> None:
    """Put the tables of ``run`` into the README and draw its charts."""
    outcomes = [Outcome.from_dict(values) for values in run["outcomes"]]
    for outcome in outcomes:
        for chart in outcome.charts:
            (folder / "charts" / f"{chart.name}.svg").write_text(svg(chart))
    readme = folder / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    readme.write_text(f"{before}{BEGIN}\n{render(run, outcomes)}\n{END}{after}")


def load(file: Path) -> dict[str, Any]:
    """A run from its JSON file."""
    run: dict[str, Any] = json.loads(file.read_text())
    return run


def render(run: dict[str, Any], outcomes: list[Outcome]) -> str:
    """The run as Markdown."""
    parts = [_machine(run), "", "### Targets", "", *_targets(outcomes)]
    for number, outcome in enumerate(outcomes, 1):
        parts += ["", f"### {number}. {outcome.title}"]
        for table in outcome.tables:
            parts += ["", *_table(table)]
        for chart in outcome.charts:
            parts += ["", f"![{chart.title}](charts/{chart.name}.svg)"]
        parts += ["", *(f"- {line}" for line in outcome.skipped)] if outcome.skipped else []
    return "\n".join(parts)


def conclusions(outcomes: list[Outcome]) -> list[str]:
    """One line per target: what was wanted, what came out."""
    signs = {True: "met", False: "MISSED", None: "not measured"}
    return [
        f"{signs[verdict.met]}: {verdict.target}: {verdict.measured} (wanted {verdict.wanted})"
        for outcome in outcomes
        for verdict in outcome.verdicts
    ]


def _machine(run: dict[str, Any]) -> str:
    machine = run["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    quick = " A quick run: for trying out, not for quoting." if run["quick"] else ""
    load = machine["load_before"][0]
    busy = (
        " **Other work kept this machine busy: the ratios and CPU times hold, the lags and rates are mostly "
        "the machine's.**"
        if load > machine["cores"] / 2
        else ""
    )
    return (
        f"{run['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}, "
        f"{machine['python']}; {packages}. Load before the run: {load}. "
        f"{run['seconds'] / 60:.1f} minutes.{quick}{busy}"
    )


def _targets(outcomes: list[Outcome]) -> list[str]:
    rows = [
        [v.target, v.wanted, v.measured, {True: "yes", False: "**no**", None: "-"}[v.met], v.note]
        for outcome in outcomes
        for v in outcome.verdicts
    ]
    return _markdown(["what", "wanted", "measured", "met", ""], rows)


def _table(table: Table) -> list[str]:
    note = ["", table.note] if table.note else []
    return [f"**{table.title}**", "", *_markdown(table.columns, table.rows), *note]


def _markdown(columns: list[str], rows: list[list[Any]]) -> list[str]:
    def line(cells: list[Any]) -> str:
        return "| " + " | ".join("" if cell is None else str(cell).replace("|", "/") for cell in cells) + " |"

    return [line(columns), "|" + "---|" * len(columns), *map(line, rows)]
