"""The report from signals and bars: do they add up, and what were the ratings worth?

Pure and repeatable: what is random is drawn from the seed of the settings, section by section.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from llm_integration.worth import beside, evidence
from llm_integration.worth.coverage import coverage
from llm_integration.worth.dependence import Timeline
from llm_integration.worth.evidence import Resolved
from llm_integration.worth.market import Measures, measures
from llm_integration.worth.rater import calibrate
from llm_integration.worth.resolver_many import resolve_many
from llm_integration.worth.rules import ResolverRules
from llm_integration.worth.sections import (
    Accounting,
    Choppiness,
    RatedSignal,
    Reading,
    Report,
    ReportSettings,
)
from llm_integration.worth.trades import BarColumns, Exit, Flags, Floats, Outcome, Reason, TradeColumns
from llm_integration.worth.verdict import verdict

__all__ = ["build_report", "outcomes_of", "report_json"]

NO_BARS = BarColumns.of([])
SECTIONS = ("rows", "monotone", "primary", "policy", "increment", "choppiness", "money", "periods")


def outcomes_of(
    signals: Sequence[RatedSignal],
    bars: Mapping[str, BarColumns],
    rules: ResolverRules,
    reported: Mapping[str, Outcome],
) -> tuple[dict[str, Outcome], list[str]]:
    """What became of each signal, by its id, and the ids of those that the bars do not cover.

    What the host has reported stands, and needs no bars.
    """
    found = {
        signal.signal_id: reported[signal.signal_id] for signal in signals if signal.signal_id in reported
    }
    by_symbol: dict[str, list[RatedSignal]] = defaultdict(list)
    for signal in signals:
        if signal.signal_id not in found:
            by_symbol[signal.symbol].append(signal)
    uncovered: list[str] = []
    for symbol, some in by_symbol.items():
        split = coverage(some, bars.get(symbol))
        uncovered += split.uncovered
        found |= {name: Outcome(name, Exit.UNRESOLVABLE, Reason.NO_BARS) for name in split.uncovered}
        trades = TradeColumns.of([signal.trade for signal in split.covered])
        if len(trades):
            outcomes = resolve_many(trades, bars[symbol], rules).objects(trades)
            found |= {outcome.signal_id: outcome for outcome in outcomes}
    return found, uncovered


def build_report(
    signals: Sequence[RatedSignal],
    bars: Mapping[str, BarColumns],
    settings: ReportSettings,
    readings: Sequence[Reading] = (),
    reported: Mapping[str, Outcome] | None = None,
) -> Report:
    """Everything about ``signals``, each with an id of its own. Raises ValueError when it does not add up.

    ``reported``: resolved outcomes that are the host's own, by the signals' ids.
    """
    draws = dict(zip(SECTIONS, _draws(settings.seed), strict=True))
    rated = [signal for signal in signals if signal.status == "rated"]
    outcomes, uncovered = outcomes_of(signals, bars, settings.rules, reported or {})
    resolved = [signal for signal in rated if outcomes[signal.signal_id].resolved]
    found = Resolved.of(
        [
            (signal.symbol, signal.trade.at or 0, signal.rating or 0, signal.trade.side,
             outcomes[signal.signal_id])
            for signal in resolved
        ]
    )  # fmt: skip
    free = _measured(sorted(resolved, key=_place), bars)
    primary = evidence.rank_ic(found, draws["primary"], settings.earlier_p)
    everything = np.arange(len(found))
    decided = np.flatnonzero((found.decided > 0) & np.isfinite(found.null))
    return Report(
        title=settings.title,
        rules=settings.rules,
        notes=(*settings.notes, *_uncovered(uncovered)),
        accounting=_accounting(signals, [outcomes[signal.signal_id] for signal in rated]),
        verdict=verdict(primary),
        by_rating=evidence.by_rating(found, draws["rows"]),
        all_signals=evidence.rating_row(0, found, everything, draws["rows"]),
        monotone=evidence.monotone(found, draws["monotone"]),
        rank_ic=primary,
        policy=evidence.policy(found, draws["policy"]),
        increment=beside.increment(found, free, draws["increment"]),
        calibration=calibrate(
            found.ratings[decided], found.won[decided], found.null[decided], found.entered[decided],
            found.ended[decided],
        ),
        rater=beside.rater(np.array([signal.rating or 0 for signal in rated], dtype=np.int64), readings),
        choppiness=_choppiness(rated, outcomes, bars, draws["choppiness"]),
        money=beside.money(found, signals, settings.keep_from, settings.spent_usd, draws["money"]),
        cutoff=beside.periods(found, _cutoff(found, settings.cutoff), draws["periods"]),
        regimes=beside.periods(found, beside.regimes(free.choppiness), draws["periods"]),
        calendar=beside.calendar(found),
        outcomes=[outcomes[signal.signal_id] for signal in signals],
    )  # fmt: skip


def _draws(seed: int) -> Iterator[np.random.Generator]:
    """A stream for each section, so that one does not move the others."""
    return (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(len(SECTIONS)))


def _place(signal: RatedSignal) -> tuple[str, int]:
    """The order of Resolved."""
    return signal.symbol, signal.trade.at or 0


def _accounting(signals: Sequence[RatedSignal], outcomes: Sequence[Outcome]) -> Accounting:
    statuses = Counter(signal.status for signal in signals)
    exits = Counter(outcome.exit for outcome in outcomes)
    reasons = Counter(outcome.reason.value for outcome in outcomes if outcome.reason is not None)
    return Accounting(
        signals=len(signals),
        rated=statuses["rated"],
        unrated=statuses["unrated"],
        failed=statuses["failed"],
        expired=statuses["expired"],
        resolved=sum(outcome.resolved for outcome in outcomes),
        open=exits[Exit.OPEN],
        unresolvable=exits[Exit.UNRESOLVABLE],
        ambiguous=sum(outcome.ambiguous for outcome in outcomes),
        reasons=dict(sorted(reasons.items())),
    )


def _uncovered(ids: Sequence[str]) -> list[str]:
    if not ids:
        return []
    named = ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
    return [f"the bars do not cover {len(ids)} signals, which have no result: {named}"]


def _measured(signals: Sequence[RatedSignal], bars: Mapping[str, BarColumns]) -> Measures:
    """The free indicators of ``signals``, which are sorted by symbol and have a time."""
    pieces: dict[str, list[Floats]] = {column.name: [] for column in fields(Measures)}
    by_symbol: dict[str, list[int]] = defaultdict(list)
    for signal in signals:
        by_symbol[signal.symbol].append(signal.trade.at or 0)
    for symbol, at in by_symbol.items():
        some = measures(bars.get(symbol, NO_BARS), np.array(at, dtype=np.int64))
        for name, column in pieces.items():
            column.append(getattr(some, name))
    return Measures(**{name: np.concatenate([np.empty(0), *column]) for name, column in pieces.items()})


def _choppiness(
    rated: Sequence[RatedSignal],
    outcomes: Mapping[str, Outcome],
    bars: Mapping[str, BarColumns],
    rng: np.random.Generator,
) -> Choppiness:
    said = sorted(
        (
            signal
            for signal in rated
            if signal.choppiness is not None and signal.trade.at is not None and signal.symbol in bars
            and outcomes[signal.signal_id].reason is not Reason.NO_BARS
        ),
        key=_place,
    )  # fmt: skip
    places: dict[str, list[int]] = defaultdict(list)
    for at, signal in enumerate(said):
        places[signal.symbol].append(at)
    results = [outcomes[signal.signal_id].r_net for signal in said]
    return beside.choppiness(
        np.array([signal.choppiness == "yes" for signal in said], dtype=np.float64),
        _measured(said, bars),
        np.array([math.nan if value is None else value for value in results], dtype=np.float64),
        Timeline.of(
            [np.array(group, dtype=np.int64) for group in places.values()],
            np.array([signal.trade.at or 0 for signal in said], dtype=np.int64),
        ),
        rng,
    )


def _cutoff(found: Resolved, cutoff: int | None) -> dict[str, Flags]:
    if cutoff is None:
        return {}
    return {"before the cutoff": found.at < cutoff, "after the cutoff": found.at >= cutoff}


OUTCOME_KEYS = ("signal_id", "exit", "r_gross", "r_net", "r_optimistic", "bars_held", "ambiguous")
FURTHER_KEYS = ("reason", "entry_price", "exit_price", "mfe", "mae", "source", "resolver_version")


def report_json(report: Report) -> dict[str, Any]:
    """The report for scripts: every figure, outcomes with the names of the issue first."""
    values = {
        name: asdict(getattr(report, name))
        for name in ("accounting", "verdict", "rank_ic", "all_signals", "monotone", "increment",
                     "calibration", "rater", "choppiness", "money")
    }  # fmt: skip
    lists = {
        name: [asdict(row) for row in getattr(report, name)]
        for name in ("by_rating", "policy", "cutoff", "regimes", "calendar")
    }
    outcomes = [
        {name: getattr(outcome, name) for name in (*OUTCOME_KEYS, *FURTHER_KEYS)}
        for outcome in report.outcomes
    ]
    order = (
        "accounting", "verdict", "by_rating", "all_signals", "monotone", "rank_ic", "policy", "increment",
        "calibration", "rater", "choppiness", "money", "cutoff", "regimes", "calendar",
    )  # fmt: skip
    everything: dict[str, Any] = {**values, **lists}
    return {
        "title": report.title,
        "rules": report.rules.described(),
        "notes": list(report.notes),
        **{name: everything[name] for name in order},
        "outcomes": outcomes,
    }
