"""What counts as another look at the same question, and what a repeated one may say. Pure.

Who asks about five models, four horizons and three symbols and shows the best has asked sixty questions. Each
look is written down, and the p-value of the primary test is corrected for all of them (Holm 1979). A look
that is repeated adds none; as its signals grow it takes a new verdict at 50, 100, 200, 400 ... only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from llm_integration.worth.sections import Level, Report, Verdict
from llm_integration.worth.verdict import milestone

__all__ = ["Entry", "Look", "entry_from_json", "entry_json", "entry_of", "other_p", "with_ledger"]


@dataclass(frozen=True, slots=True)
class Look:
    """One question: whose ratings, of which signals, resolved how. ``rules`` is the resolver in one line.

    ``first`` is the first signal's id: another set of signals is another question, a growing one is not.
    """

    model: str
    prompt: str
    horizon: str
    rules: str
    subset: str
    first: str

    @property
    def key(self) -> str:
        """The same for the same question."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Entry:
    """A look and what it came to: its p-value, and the verdict with the number it was taken at."""

    look: Look
    p: float | None
    resolved: int
    level: Level
    sentence: str
    judged_at: int


def other_p(entries: Iterable[Entry], look: Look) -> tuple[float, ...]:
    """The p-values of all other looks; one without any counts as 1."""
    return tuple(1.0 if entry.p is None else entry.p for entry in entries if entry.look.key != look.key)


def entry_of(look: Look, report: Report, before: Entry | None) -> Entry:
    """The entry of this look after this report; ``before`` is the one that it replaces."""
    test, found = report.rank_ic, report.verdict
    entry = Entry(look, test.p, test.n, found.level, found.sentence, test.n)
    if (
        before is None
        or not before.judged_at
        or test.n < before.judged_at
        or milestone(test.n) > before.judged_at
    ):
        return entry
    if test.n == before.judged_at:
        return entry
    if before.level == "too_few" and found.level != "too_few":
        return entry
    return replace(before, p=test.p, resolved=test.n)


def with_ledger(report: Report, entry: Entry) -> Report:
    """The report with the verdict that the ledger allows."""
    if entry.judged_at == report.rank_ic.n:
        return report
    following = max(50, milestone(entry.judged_at) * 2)
    sentence = (
        f"{entry.sentence} (Taken at {entry.judged_at} resolved signals; there are {report.rank_ic.n}, and"
        f" the next verdict comes at {following}.)"
    )
    return replace(report, verdict=Verdict(entry.level, sentence, report.verdict.more_needed))


def entry_json(entry: Entry) -> dict[str, Any]:
    """For one line of a file."""
    return {"key": entry.look.key, **asdict(entry)}


def entry_from_json(values: object) -> Entry:
    """Raises ValueError for anything that ``entry_json`` does not write."""
    try:
        row = cast("Mapping[str, Any]", values)
        look = Look(**{name: str(row["look"][name]) for name in Look.__dataclass_fields__})
        p = None if row["p"] is None else float(row["p"])
        level = str(row["level"])
        if level not in ("no_evidence", "evidence_for", "evidence_against", "too_few"):
            raise ValueError(f"unknown verdict {level[:40]!r}")
        if p is not None and not 0 <= p <= 1:
            raise ValueError(f"p is {p}")
        return Entry(
            look, p, int(row["resolved"]), cast("Level", level), str(row["sentence"])[:2_000],
            int(row["judged_at"]),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no entry of a ledger ({type(error).__name__}: {error})") from None
