"""What a chaos run found, added up and put into a few lines."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

__all__ = ["Report"]


@dataclass(slots=True)
class Report:
    """Counts of one run. ``missed`` kills came after the end of the process and are not in ``kills``."""

    seed: int
    kills: int = 0
    missed: int = 0
    rounds: int = 0
    outages: int = 0
    server_kills: int = 0
    endings: int = 0
    signals_in: int = 0
    signals_accounted: int = 0
    duplicates: int = 0
    torn_lines: int = 0
    answers_durable: int = 0
    asked_twice: int = 0
    longest_pause_seconds: float = 0.0
    take_over_seconds: float | None = None
    problems: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def good(self) -> bool:
        """True when every promise held."""
        whole = self.signals_in == self.signals_accounted
        return whole and not (self.duplicates or self.torn_lines or self.problems)

    def add_outage(
        self, signals_in: int, accounted: int, *, duplicates: int, torn_lines: int, pause: float,
        problems: list[str],
    ) -> None:  # fmt: skip
        """Take in one run in which PostgreSQL was away."""
        self.outages += 1
        self.rounds += 1
        self.signals_in += signals_in
        self.signals_accounted += accounted
        self.duplicates += duplicates
        self.torn_lines += torn_lines
        self.problems += problems
        self.see_pause(pause)

    def see_pause(self, seconds: float) -> None:
        """Take in the longest time that a bar kept the loop of one run."""
        self.longest_pause_seconds = max(self.longest_pause_seconds, seconds)

    def lines(self) -> list[str]:
        """The report, a line for each figure."""
        figures = {
            "seed": self.seed,
            "sessions": self.rounds,
            "kills (SIGKILL on a living process)": self.kills,
            "outages of PostgreSQL": self.outages,
            "kills of the embedded server": self.server_kills,
            "hosts that ended in mid-work": self.endings,
            "signals in": self.signals_in,
            "signals accounted for": self.signals_accounted,
            "duplicates": self.duplicates,
            "torn lines": self.torn_lines,
            "answers that were durable at a kill": self.answers_durable,
            "requests sent twice (in flight at a kill)": self.asked_twice,
            "longest bar-loop pause": f"{self.longest_pause_seconds * 1000:.1f} ms",
            "tasks of a killed program taken over after": _seconds(self.take_over_seconds),
            "took": f"{time.monotonic() - self.started:.0f} s",
            "promises broken": len(self.problems),
        }
        return [f"{name:<44}{value}" for name, value in figures.items()] + self.problems


def _seconds(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.1f} s"
