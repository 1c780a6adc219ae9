"""Outcomes computed by hand, ``tests/data/outcomes.jsonl``, against both resolvers, to the last digit."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from llm_integration.worth.resolver import resolve
from llm_integration.worth.resolver_many import resolve_many
from llm_integration.worth.rules import RESOLVER_VERSION, ResolverRules
from llm_integration.worth.sessions import EPOCH
from llm_integration.worth.trades import BarColumns, Outcome, Trade, TradeColumns, side_of

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "outcomes.jsonl").read_text("utf-8").splitlines()
]


def at(text: str | None) -> int | None:
    if text is None:
        return None
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


def rules_of(values: dict[str, Any]) -> ResolverRules:
    given = dict(values)
    if "session_end" in given:
        given["session_end"] = time.fromisoformat(given["session_end"])
    if "zone" in given:
        given["zone"] = ZoneInfo(given["zone"])
    return ResolverRules(**given)


def read(case: dict[str, Any]) -> tuple[Trade, BarColumns, ResolverRules]:
    given = case["trade"]
    trade = Trade(
        case["name"], side_of(given["side"]), at(given["at"]), given["stop"], given["target"],
        given.get("entry_price"), given.get("fill_price"), at(given.get("fill_at")),
    )  # fmt: skip
    bars = BarColumns.of((at(row[0]) or 0, row[1], row[2], row[3], row[4]) for row in case["bars"])
    return trade, bars, rules_of(case["rules"])


def check(found: Outcome, expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        assert getattr(found, name) == value, name
    assert (found.source, found.resolver_version) == ("bars", RESOLVER_VERSION)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_an_outcome_is_what_was_computed_by_hand(case: dict[str, Any]) -> None:
    """By the plain loop and by the vectorised resolver; every figure is equal, not nearly so."""
    trade, bars, rules = read(case)
    check(resolve(trade, bars, rules), case["expect"])
    check(next(resolve_many(TradeColumns.of([trade]), bars, rules).objects(TradeColumns.of([trade]))),
          case["expect"])  # fmt: skip


def test_every_kind_of_end_and_fault_stands_in_the_table() -> None:
    """The table has each exit and each reason that bars can give."""
    exits = {case["expect"]["exit"] for case in CASES}
    reasons = {case["expect"].get("reason") for case in CASES} - {None}
    assert exits == {"stop", "target", "time", "open", "unresolvable"}
    assert len(reasons) == 10
    assert len({case["name"] for case in CASES}) == len(CASES) > 75


@pytest.mark.parametrize(
    "wrong", [{"spread": -1}, {"slippage": float("nan")}, {"commission": float("inf")}, {"horizon_bars": 0}]
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    """A cost below 0 or a limit below 1 is an error, not a result."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ResolverRules(**wrong)


def test_the_rules_name_zero_costs() -> None:
    """A report never leaves out silently that nothing was taken off."""
    assert "nothing is taken off" in ResolverRules().described()
    assert "spread 0.2" in ResolverRules(spread=0.2).described()
    assert "nothing is taken off" not in ResolverRules(spread=0.2).described()


def test_bars_that_do_not_rise_are_refused() -> None:
    """A time twice or backwards is an error."""
    with pytest.raises(ValueError, match="order of time"):
        BarColumns.of([(2, 1, 1, 1, 1), (2, 1, 1, 1, 1)])
