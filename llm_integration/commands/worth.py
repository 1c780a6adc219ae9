"""``worth``: were the ratings worth their price?"""

from __future__ import annotations

import argparse
import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, time, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_integration.commands.arguments import count, since
from llm_integration.commands.errors import UsageError
from llm_integration.commands.settings import add_common_arguments, load, open_database
from llm_integration.commands.terminal import clean, json_line, say
from llm_integration.record.errors import DatabaseError
from llm_integration.record.looks import LookStore
from llm_integration.times import zone_named

if TYPE_CHECKING:
    from llm_integration.commands.worth_source import Selection, Source
    from llm_integration.worth.rules import ResolverRules
    from llm_integration.worth.sections import Report, ReportSettings
    from llm_integration.worth.trials import Entry, Look

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Were the ratings worth their price? What became of every rated signal, and statistics that a sceptic accepts.

From PostgreSQL (--session, --since, --symbol, --model, --prompt), or from files alone with --signals and
--bars. The primary test is the rank correlation of rating and net R, two-sided at 5%, against ratings that
are shifted in time; with fewer than 30 resolved signals nothing is said. Costs are 0 unless you name them,
and the report prints what it used. Outcomes and fills that the host has reported stand over what bars tell.
Every look at another model, prompt, horizon or subset is written down, in PostgreSQL by itself and with files
where --ledger says, and the test is corrected for all of them. --self-test shows on real bars that noise is
called evidence no more often than it may be, and that a planted effect is found.
Exit status: 0 done, whatever the verdict is; 1 a self-test failed; 2 usage or configuration."""

BUNDLED_BARS = Path(__file__).parents[2] / "data" / "EURUSD_1h.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    add = parser.add_argument
    add("--signals", type=Path, metavar="CSV", help="an llm_signals.csv, in place of PostgreSQL")
    add("--bars", action="append", default=[], metavar="CSV",
        help="bars as a platform exports them, or SYMBOL=CSV; may be repeated")  # fmt: skip
    add("--timezone", default="UTC", metavar="ZONE", help="of times that name none (default: UTC)")
    add("--session", metavar="ID", help="only this session's signals")
    add("--since", type=since, metavar="WHEN", help="only signals since then: 2026-01-31, 24h, 7d")
    add("--symbol", metavar="S", help="only this symbol's signals")
    add("--model", metavar="M", help="only this model's ratings")
    add("--prompt", metavar="P", help="only this prompt's ratings: its name, version, or both")
    add("--simulated", action="store_true", help="the simulator's ratings, instead of real ones")
    rules = parser.add_argument_group("what a signal came to")
    add = rules.add_argument
    add("--horizon-bars", type=_horizon, default=60, metavar="N",
        help="a trade ends after so many bars; 'none' for no limit (default: 60)")  # fmt: skip
    add("--entry", choices=("next_open", "close", "signal"), default="next_open",
        help="at the next bar's open, the close of the signal's bar, or the signal's own price")  # fmt: skip
    add(
        "--session-end",
        type=_time_of_day,
        metavar="HH:MM",
        help="a trade ends with the session, in --timezone",
    )
    add("--spread", type=_amount, default=0.0, metavar="X", help="cost of a round trip in price units")
    add("--commission", type=_amount, default=0.0, metavar="X", help="the same, on top")
    add("--slippage", type=_amount, default=0.0, metavar="X", help="the same, where a stop was hit")
    told = parser.add_argument_group("the report")
    add = told.add_argument
    add(
        "--cutoff",
        type=since,
        metavar="DATE",
        help="end of the model's training: signals before it may be known to it",
    )
    add("--spent", type=_amount, metavar="USD", help="what the ratings cost, where the signals do not know")
    add("--html", type=Path, metavar="FILE", help="write the report as one page that needs no network")
    add("--outcomes", type=Path, metavar="FILE", help="write what each signal came to: an llm_outcomes.csv")
    add(
        "--ledger",
        type=Path,
        metavar="FILE",
        help="a file where looks are written down, and read for the correction, too",
    )
    add("--seed", type=count, default=20_260_101, metavar="N", help="of what is drawn at random")
    add(
        "--self-test",
        choices=("noise", "together", "planted"),
        help="test this report itself, on bundled bars or --bars",
    )
    add("--repetitions", type=count, default=200, metavar="N", help="of the self-test (default: 200)")
    add_common_arguments(parser)


def _horizon(text: str) -> int | None:
    return None if text == "none" else count(text)


def _amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return value


def _time_of_day(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").replace(tzinfo=UTC).time()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time of day like 22:00") from None


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    try:
        import numpy  # noqa: F401, PLC0415  the extra of this command alone
    except ImportError:
        raise UsageError("worth needs numpy: pip install 'tradent-llm-sidecar[worth]'") from None
    if args.self_test is not None:
        return await asyncio.to_thread(_self_test, args)
    zone = _zone(args.timezone)
    report = await (_of_database(args, zone) if args.signals is None else _of_files(args, zone))
    await asyncio.to_thread(_write, args, report)
    return 0


def _zone(name: str) -> tzinfo:
    try:
        return zone_named(name)
    except ValueError as error:
        raise UsageError(f"--timezone: {clean(error)}") from None


def _selection(args: argparse.Namespace) -> Selection:
    from llm_integration.commands.worth_source import Selection  # noqa: PLC0415  numpy

    return Selection(args.session, args.since, args.symbol, args.model, args.prompt, args.simulated)


async def _of_files(args: argparse.Namespace, zone: tzinfo) -> Report:
    """The report from files alone; looks are written down where ``--ledger`` says."""
    from llm_integration.commands.worth_source import from_files  # noqa: PLC0415  numpy

    if not args.bars:
        raise UsageError("no bars: --signals needs --bars BARS.csv, too")
    source = await asyncio.to_thread(
        from_files, args.signals, args.bars, _selection(args), args.timezone, zone
    )
    if args.ledger is None:
        source.notes.append("no --ledger: the test is not corrected for other looks")
    look = _look(args, source, zone)
    return (await asyncio.to_thread(_report, args, source, zone, look, []))[0]


async def _of_database(args: argparse.Namespace, zone: tzinfo) -> Report:
    """The report from PostgreSQL, where every look is written down before it is made."""
    from llm_integration.commands.worth_source import from_database  # noqa: PLC0415  numpy
    from llm_integration.worth.trials import entry_from_json, entry_json  # noqa: PLC0415  numpy

    async with open_database(load(args)) as database:
        source = await from_database(database, _selection(args), args.bars, args.timezone)
        look = _look(args, source, zone)
        looks, written = LookStore(database.connections), True
        try:
            rows = await looks.announce(look.key, asdict(look), simulated=source.simulated)
            stored = [entry_from_json(row) for row in rows]
        except (DatabaseError, ValueError) as error:
            stored, written = [], False
            source.notes.append(f"the test is not corrected for other looks: {clean(error, 300)}")
        report, entry = await asyncio.to_thread(_report, args, source, zone, look, stored)
        if written:
            await looks.settle(entry_json(entry))
        return report


def _rules(args: argparse.Namespace, zone: tzinfo) -> ResolverRules:
    from llm_integration.worth.rules import ResolverRules  # noqa: PLC0415  numpy

    return ResolverRules(
        args.entry, args.horizon_bars, args.session_end, zone, args.spread, args.commission, args.slippage
    )


def _settings(args: argparse.Namespace, source: Source, zone: tzinfo) -> ReportSettings:
    from llm_integration.commands.worth_source import microseconds  # noqa: PLC0415  numpy
    from llm_integration.worth.sections import ReportSettings  # noqa: PLC0415  numpy

    chosen = [part for part in (args.model, args.prompt, _selection(args).described()) if part]
    return ReportSettings(
        rules=_rules(args, zone),
        seed=args.seed,
        cutoff=None if args.cutoff is None else microseconds(args.cutoff),
        spent_usd=args.spent,
        title=", ".join([source.title, *chosen]),
        notes=tuple(source.notes),
    )


def _look(args: argparse.Namespace, source: Source, zone: tzinfo) -> Look:
    """Which question is asked."""
    from llm_integration.worth.trials import Look  # noqa: PLC0415  numpy

    first = min(source.signals, key=lambda signal: (signal.trade.at or 0, signal.signal_id))
    return Look(
        args.model or "", args.prompt or "", str(args.horizon_bars), _rules(args, zone).described(),
        _selection(args).described(), first.signal_id,
    )  # fmt: skip


def _report(
    args: argparse.Namespace, source: Source, zone: tzinfo, look: Look, stored: Sequence[Entry]
) -> tuple[Report, Entry]:
    """The report, corrected for the looks in ``stored`` and in the ledger, and its own entry there."""
    from llm_integration.commands.worth_files import open_ledger  # noqa: PLC0415  numpy
    from llm_integration.worth.report import build_report  # noqa: PLC0415  numpy
    from llm_integration.worth.trials import entry_of, other_p, with_ledger  # noqa: PLC0415  numpy

    settings = _settings(args, source, zone)
    with open_ledger(args.ledger) as ledger:
        known = {entry.look.key: entry for entry in (*ledger.entries, *stored)}
        settings = replace(settings, earlier_p=other_p(known.values(), look))
        report = build_report(source.signals, source.bars, settings, source.readings, source.reported)
        entry = entry_of(look, report, known.get(look.key))
        ledger.save(entry)
    return with_ledger(report, entry), entry


def _write(args: argparse.Namespace, report: Report) -> None:
    from llm_integration.commands.worth_files import outcomes_csv, replace_file  # noqa: PLC0415  numpy
    from llm_integration.commands.worth_text import show_report  # noqa: PLC0415  numpy
    from llm_integration.worth.html_page import page  # noqa: PLC0415  numpy
    from llm_integration.worth.report import report_json  # noqa: PLC0415  numpy

    made: list[tuple[Path | None, Callable[[], str]]] = [
        (args.html, lambda: page(report)),
        (args.outcomes, lambda: outcomes_csv(report.outcomes, report.rules)),
    ]
    for path, text in made:
        if path is not None:
            replace_file(path, text())
    if args.json:
        json_line(report_json(report))
        return
    show_report(report)
    for path, _ in made:
        if path is not None:
            say(f"written: {path}")


def _self_test(args: argparse.Namespace) -> int:
    from llm_integration.bar_files import BarDataError, open_bars  # noqa: PLC0415  numpy
    from llm_integration.commands.worth_source import bar_columns  # noqa: PLC0415  numpy
    from llm_integration.commands.worth_text import show_self_test  # noqa: PLC0415  numpy
    from llm_integration.worth.selftest import self_test  # noqa: PLC0415  numpy

    path = Path(args.bars[0]) if args.bars else BUNDLED_BARS
    if not args.bars and not path.exists():
        raise UsageError("the bundled bars are not installed with the library: name some with --bars FILE")
    try:
        bars = bar_columns(open_bars(path, zone=args.timezone, symbol=args.symbol).bars)
        found = self_test(args.self_test, bars, args.repetitions, args.seed)
    except (BarDataError, ValueError) as error:
        raise UsageError(clean(error)) from error
    if args.json:
        values: dict[str, Any] = {**asdict(found), "share": found.share, "passed": found.passed}
        json_line(values)
    else:
        show_self_test(found)
    return 0 if found.passed else 1
