"""``costs``: what was spent."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Any

from llm_integration.commands.arguments import since
from llm_integration.commands.settings import add_common_arguments, load, open_database
from llm_integration.commands.terminal import digits, json_line, say, show_table
from llm_integration.prompts import prompt_parts
from llm_integration.record.command_reports import RequestGroup, SpendingRow
from llm_integration.record.command_signals import PromptSample
from llm_integration.record.command_store import CommandDatabase

__all__ = ["DESCRIPTION", "add_arguments", "per_rated", "requests_per_rated", "run"]

DESCRIPTION = """\
What the ratings cost, by day (UTC), model, symbol and rating, from what PostgreSQL has stored; all requests
that were sent, also those for comparison (shadow), by day, symbol and the model that was asked, from the
ledger; and which part of the prompts the tokens went to.

"spent USD" is what the server billed for all attempts at these signals, failed and repeated ones too.
Answers for which it named no cost are counted under "unknown": they are in no sum, and a sum beside them
is a lower bound, marked ">=". Simulated answers cost nothing and are left out unless you ask for them.
Tokens by part are estimated from the newest stored prompts. The ledger does not know sessions."""

DIMENSIONS = ("day", "model", "symbol", "rating")
PLACES = Decimal("0.00000001")
TINY = Decimal("0.000000001")
"""Shares of a bill are rounded; so much may be missing in a sum of them."""
SAMPLE = 200
"""Prompts that are taken apart: enough for a share, and done in a moment."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    add = parser.add_argument
    add("--session", metavar="ID", help="only this session")
    add("--since", type=since, metavar="WHEN", help="only answers since then: 2026-01-31, 24h, 7d")
    add("--simulated", action="store_true", help="what the simulator's answers pretended to cost, instead")
    add_common_arguments(parser, tables=True)


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    async with open_database(load(args)) as database:
        rows = await database.signal_spending(args.session, args.since, simulated=args.simulated)
        others = await database.signal_spending(args.session, args.since, simulated=not args.simulated)
        requests: dict[str, list[RequestGroup]] = {}
        if args.session is None:
            requests = await database.request_spending(args.since, simulated=args.simulated)
        parts = await _token_parts(database, args)
    left_out = next(row.signals for row in others if row.dimension == "total")
    total = next(row for row in rows if row.dimension == "total")
    if args.json:
        report = _as_json(args, rows, left_out)
        json_line(
            {**report, **_requests_json(requests, total), "prompt_parts": parts.as_json(total.answered)}
        )
    else:
        _show(args, rows, left_out)
        _show_requests(requests, total)
        _show_parts(parts, total.answered)
    return 0


@dataclass(slots=True)
class TokenParts:
    """Estimated tokens of the prompts behind ``sampled`` answers, by part; of a batch each has its share."""

    sampled: int = 0
    tokens: dict[str, float] = field(default_factory=dict)

    def add(self, sample: PromptSample) -> None:
        """Count one answer's prompt."""
        self.sampled += 1
        for name, count in asdict(prompt_parts(sample.user, sample.system)).items():
            self.tokens[name] = self.tokens.get(name, 0.0) + count / sample.batch_size

    def shares(self) -> list[tuple[str, float, float]]:
        """Each part with its tokens for one signal and its share of all; nothing without a sample."""
        whole = sum(self.tokens.values())
        return [(name, count / self.sampled, count / whole) for name, count in self.tokens.items() if whole]

    def as_json(self, answered: int) -> dict[str, Any]:
        """For scripts."""
        return {
            "sampled": self.sampled,
            "answered": answered,
            "parts": {
                name: {"tokens_per_signal": round(tokens, 1), "share": round(share, 4)}
                for name, tokens, share in self.shares()
            },
        }


async def _token_parts(database: CommandDatabase, args: argparse.Namespace) -> TokenParts:
    parts = TokenParts()
    found = database.iter_prompts(SAMPLE, args.session, args.since, simulated=args.simulated)
    async with aclosing(found) as samples:
        async for sample in samples:
            parts.add(sample)
    return parts


def requests_per_rated(total: RequestGroup, rated: SpendingRow) -> Decimal | None:
    """Known cost of all requests per rated signal in USD; None without either.

    None too when the ledger knows of less than the signals cost: it is younger than they are, then.
    """
    spent = total.spent_usd
    if spent is None or not rated.rated or spent + TINY < (rated.spent_usd or 0):
        return None
    return (spent / rated.rated).quantize(PLACES)


def _requests_json(requests: Mapping[str, Sequence[RequestGroup]], rated: SpendingRow) -> dict[str, Any]:
    report: dict[str, Any] = {
        f"requests_by_{name}": [asdict(group) for group in requests.get(name, ())]
        for name in ("day", "model", "symbol")
    }
    total = next(iter(requests.get("total", ())), None)
    report["requests_total"] = None if total is None else asdict(total)
    each = None if total is None else requests_per_rated(total, rated)
    open_ends = total is not None and bool(total.unknown or total.in_flight)
    report["requests_usd_per_rated"] = None if open_ends else each
    report["requests_usd_per_rated_at_least"] = each
    return report


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


def _show_requests(requests: Mapping[str, Sequence[RequestGroup]], rated: SpendingRow) -> None:
    for total in requests.get("total", ()):
        for name in ("day", "model", "symbol"):
            show_table(
                f"all requests that were sent, by {name} (the ledger)",
                (name, "requests", "spent USD", "unknown", "in flight", "may cost at most USD"),
                [_request_cells(group) for group in (*requests[name], replace(total, name="all"))],
            )
        each = requests_per_rated(total, rated)
        if each is not None:
            bound = ">= " if total.unknown or total.in_flight else ""
            say(f"with every request: {bound}{digits(each)} USD per rated signal")


def _request_cells(group: RequestGroup) -> tuple[object, ...]:
    spent = None if group.spent_usd is None else digits(group.spent_usd)
    bound = ">= " if group.unknown or group.in_flight else ""
    return (
        group.name or "(none)",
        group.requests,
        None if spent is None else f"{bound}{spent}",
        group.unknown,
        group.in_flight,
        "unknown" if group.put_aside_usd is None else group.put_aside_usd,
    )


def _show_parts(parts: TokenParts, answered: int) -> None:
    if parts.sampled:
        show_table(
            f"prompt tokens by part (estimated, the newest {parts.sampled:,} of {answered:,} answers)",
            ("part", "tokens per signal", "share"),
            [(name, round(tokens), f"{share:.0%}") for name, tokens, share in parts.shares()],
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
