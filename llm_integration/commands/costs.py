"""``costs``: what was spent."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from database.command_reports import SpendingRow
from database.ledger_reports import CostGroup
from llm_integration.commands.arguments import since
from llm_integration.commands.settings import add_common_arguments, load, open_database
from llm_integration.commands.terminal import digits, json_line, say, show_table

__all__ = ["DESCRIPTION", "add_arguments", "per_rated", "run"]

DESCRIPTION = """\
What the ratings cost, by day (UTC), model, symbol and rating, from what PostgreSQL has stored; and all
requests that were sent, for signals or for comparison, by the model that was asked, from the ledger.

"spent USD" is what the server billed for all attempts at these signals, failed and repeated ones too.
Answers for which it named no cost are counted under "unknown": they are in no sum, and a sum beside them
is a lower bound, marked ">=". Simulated answers cost nothing and are left out unless you ask for them."""

DIMENSIONS = ("day", "model", "symbol", "rating")
PLACES = Decimal("0.00000001")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    add = parser.add_argument
    add("--session", metavar="ID", help="only this session")
    add("--since", type=since, metavar="WHEN", help="only answers since then: 2026-01-31, 24h, 7d")
    add("--simulated", action="store_true", help="what the simulator's answers pretended to cost, instead")
    add_common_arguments(parser)


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    async with open_database(load(args)) as database:
        rows = await database.signal_spending(args.session, args.since, simulated=args.simulated)
        others = await database.signal_spending(args.session, args.since, simulated=not args.simulated)
        requests = [] if args.session else await database.spending("model", since=args.since)
    requests = [group for group in requests if group.name.startswith("simulated/") == args.simulated]
    left_out = next(row.signals for row in others if row.dimension == "total")
    if args.json:
        json_line({**_as_json(args, rows, left_out), "requests_by_model": [asdict(g) for g in requests]})
    else:
        _show(args, rows, left_out)
        _show_requests(requests)
    return 0


def per_rated(row: SpendingRow) -> Decimal | None:
    """Known cost per rated signal in USD; None without either. A lower bound while costs are unknown."""
    if row.spent_usd is None or not row.rated:
        return None
    return (row.spent_usd / row.rated).quantize(PLACES)


def _as_json(args: argparse.Namespace, rows: Sequence[SpendingRow], left_out: int) -> dict[str, Any]:
    report: dict[str, Any] = {"simulated": args.simulated, "since": args.since, "session": args.session}
    report["left_out"] = left_out
    for row in rows:
        values = asdict(row)
        del values["dimension"]
        values["usd_per_rated"] = None if row.cost_unknown else per_rated(row)
        values["usd_per_rated_at_least"] = per_rated(row)
        if row.dimension == "total":
            report["total"] = values
        else:
            report.setdefault(f"by_{row.dimension}", []).append(values)
    return {**{f"by_{name}": [] for name in DIMENSIONS}, **report}


def _show(args: argparse.Namespace, rows: Sequence[SpendingRow], left_out: int) -> None:
    kind, other = ("simulated", "real") if args.simulated else ("real", "simulated")
    total = next(row for row in rows if row.dimension == "total")
    for name in DIMENSIONS if total.signals else ():
        found = [row for row in rows if row.dimension == name]
        show_table(
            f"by {name}",
            (
                name,
                "signals",
                "rated",
                "spent USD",
                "unknown",
                "USD per rated",
                "prompt tokens",
                "reply tokens",
            ),
            [_cells(row) for row in [*found, total]],
        )
    if total.signals:
        unknown = f", and {total.cost_unknown} answers of unknown cost" if total.cost_unknown else ""
        say(f"{kind}: {_money(total.spent_usd, total)} USD for {total.rated} rated signals{unknown}")
    else:
        say(f"there is no {kind} answer yet")
    if left_out:
        option = "leave out --simulated" if args.simulated else "--simulated shows them"
        say(f"{left_out} {other} signals are left out; {option}")


def _show_requests(groups: Sequence[CostGroup]) -> None:
    if groups:
        show_table(
            "all requests that were sent, by model (the ledger)",
            ("model", "requests", "spent USD", "unknown", "in flight", "may cost at most USD"),
            [(g.name, g.requests, g.spent_usd, g.unknown, g.in_flight, g.put_aside_usd) for g in groups],
        )


def _cells(row: SpendingRow) -> tuple[object, ...]:
    return (
        "all" if row.dimension == "total" else row.name,
        row.signals,
        row.rated,
        _money(row.spent_usd, row),
        row.cost_unknown,
        _money(per_rated(row), row),
        _tokens(row.prompt_tokens, row),
        _tokens(row.completion_tokens, row),
    )


def _money(amount: Decimal | None, row: SpendingRow) -> str:
    if amount is None:
        return "-"
    return f">= {digits(amount)}" if row.cost_unknown else digits(amount)


def _tokens(count: int | None, row: SpendingRow) -> str:
    if count is None:
        return "-"
    return f">= {count:,}" if row.tokens_unknown else f"{count:,}"
