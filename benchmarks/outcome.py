"""What a benchmark hands back: tables to read, charts to look at, targets held against what was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Chart", "Options", "Outcome", "Table", "Verdict"]

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Options:
    """``quick`` makes everything small: for trying the benchmarks out, not for quoting them.

    ``seconds`` is how long the benchmark may take that uses up what time there is.
    """

    quick: bool = False
    seconds: float = 240.0

    def pick(self, full: int, quick: int) -> int:
        """``full``, or ``quick`` in a quick run."""
        return quick if self.quick else full


@dataclass(slots=True)
class Table:
    """Rows of text and numbers under ``columns``; the first column names the row."""

    title: str
    columns: list[str]
    rows: list[list[Cell]] = field(default_factory=list)
    note: str = ""


@dataclass(slots=True)
class Verdict:
    """One target. ``met`` is None when it could not be measured here."""

    target: str
    wanted: str
    measured: str
    met: bool | None
    note: str = ""


@dataclass(slots=True)
class Chart:
    """Lines through ``series``: a name and its points, each ``[x, y]``."""

    name: str
    title: str
    x: str
    y: str
    series: dict[str, list[list[float]]]
    log_x: bool = False
    log_y: bool = False


@dataclass(slots=True)
class Outcome:
    """Everything one benchmark found. ``raw`` holds the numbers the tables were made from."""

    name: str
    title: str
    tables: list[Table] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Outcome:
        """The opposite of ``as_dict``."""
        return cls(
            **{
                **values,
                "tables": [Table(**table) for table in values["tables"]],
                "verdicts": [Verdict(**verdict) for verdict in values["verdicts"]],
                "charts": [Chart(**chart) for chart in values["charts"]],
            }
        )
