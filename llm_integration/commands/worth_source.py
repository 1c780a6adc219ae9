"""Where ``worth`` takes signals and bars from: files alone, or PostgreSQL."""

from __future__ import annotations

import csv
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, TypeVar, cast

from llm_integration.bar_files import BarDataError, open_bars
from llm_integration.commands.errors import UsageError
from llm_integration.commands.terminal import clean
from llm_integration.domain import Bar, to_price
from llm_integration.record.command_store import CommandDatabase
from llm_integration.record.outcomes import OutcomeStore
from llm_integration.record.rows import Row
from llm_integration.record.storable import clean_key
from llm_integration.times import TimeColumn, TimeRules, is_missing
from llm_integration.worth.coverage import coverage, other_prices
from llm_integration.worth.outcome import HOST, Outcome, OutcomeRecord
from llm_integration.worth.sections import RatedSignal, Reading, Status
from llm_integration.worth.sessions import EPOCH
from llm_integration.worth.trades import BarColumns, Trade, side_of

__all__ = ["Selection", "Source", "from_database", "from_files"]

T = TypeVar("T")
NEEDED = ("timestamp", "signal_id", "symbol", "signal_type", "stop_loss")
NOT_THERE = "has no bar of"
"""What the reader of bars says of a symbol that its file does not have."""
CHUNK = 2_000
MICROSECOND = timedelta(microseconds=1)

# Every signal that has a task, with its end. spent_usd is what all attempts are known to have cost; it is
# unknown when an answer's cost is, and 0 for a signal that failed before anything was sent.
SIGNALS = """
SELECT s.signal_id, s.symbol, s."timestamp" AS at, s.signal_type, s.entry_price, s.stop_loss, s.target_price,
       t.status, r.rating, r.choppiness, COALESCE(r.model_served, r.model_requested) AS model,
       r.prompt_name, r.prompt_version, r.result_id IS NOT NULL AS answered, t.spent_usd,
       (COALESCE(x.mode, '') LIKE 'simulated%'
        OR COALESCE(r.model_served, '') LIKE 'simulated/%') AS simulated
FROM trading_signals s
JOIN llm_enhancement_tasks t ON t.signal_id = s.signal_id
LEFT JOIN trading_sessions x ON x.session_id = s.session_id
LEFT JOIN llm_analysis_results r ON r.task_id = t.task_id AND t.status = 'completed'
WHERE NOT s.placeholder
  AND ($1::text IS NULL OR s.session_id = $1)
  AND ($2::timestamptz IS NULL OR s."timestamp" >= $2)
  AND ($3::text IS NULL OR s.symbol = $3)
  AND ($4::text IS NULL OR $4 IN (r.model_served, r.model_requested))
  AND ($5::text IS NULL OR $5 IN (r.prompt_name, r.prompt_version, r.prompt_name || ' ' || r.prompt_version))
ORDER BY s."timestamp", s.signal_id
"""

# The bars of these symbols; where several sessions stored a bar of the same time, the newest session's.
BARS = """
SELECT DISTINCT ON (m.symbol, m."timestamp") m.symbol, m."timestamp" AS at, m.open, m.high, m.low, m.close
FROM market_data m JOIN trading_sessions x ON x.session_id = m.session_id
WHERE m.symbol = ANY ($2::text[]) AND ($1::text IS NULL OR m.session_id = $1)
ORDER BY m.symbol, m."timestamp", x.started_at DESC, x.session_id
"""

# The single readings of ensembles and shadows, in the order in which they came.
READINGS = """
SELECT t.signal_id, o.role, COALESCE(o.model_served, o.model_requested, '') AS model, o.prompt_name,
       o.prompt_version, o.rating
FROM llm_opinions o JOIN llm_enhancement_tasks t ON t.task_id = o.task_id
JOIN trading_signals s ON s.signal_id = t.signal_id
WHERE o.rating IS NOT NULL AND ($1::text IS NULL OR s.session_id = $1)
ORDER BY o.opinion_id
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which signals are looked at; None: all. ``simulated``: what the simulator answered, nothing else."""

    session: str | None = None
    since: datetime | None = None
    symbol: str | None = None
    model: str | None = None
    prompt: str | None = None
    simulated: bool = False

    def described(self) -> str:
        """In one line; empty for everything."""
        named = {
            "session": self.session,
            "since": None if self.since is None else self.since.date().isoformat(),
            "symbol": self.symbol,
            "simulated": "yes" if self.simulated else None,
        }
        return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)


@dataclass(slots=True)
class Source:
    """What was read. ``notes`` are lines for the reader of the report.

    ``reported``: outcomes that are the host's own. ``simulated``: all ratings are the simulator's.
    """

    title: str
    signals: list[RatedSignal] = field(default_factory=list)
    bars: dict[str, BarColumns] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    reported: dict[str, Outcome] = field(default_factory=dict)
    simulated: bool = False
    notes: list[str] = field(default_factory=list)


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - EPOCH) // MICROSECOND


def from_files(
    signals: Path, bars: Sequence[str], selection: Selection, zone: str, zone_info: tzinfo
) -> Source:
    """``llm_signals.csv`` and files of bars, each ``FILE`` or ``SYMBOL=FILE``. Raises UsageError."""
    if selection.session is not None or selection.prompt is not None:
        raise UsageError("--session and --prompt need PostgreSQL: llm_signals.csv holds neither")
    source = Source(signals.name)
    asked = [signal for signal in _signals(signals, zone_info) if _wanted(signal, selection)]
    real = [not signal.model.startswith("simulated/") for signal in asked]
    source.signals = found = _of_one_kind(asked, real, source, selection)
    if not found:
        raise UsageError(f"{clean(signals)}: there is no signal in it that you ask for")
    source.bars = _bars(bars, sorted({signal.symbol for signal in found}), zone)
    _check_one_session(source, signals)
    source.notes.append(
        "a file of signals has those that got an answer: failed and expired ones are not in it"
    )
    return source


def _of_one_kind(given: Sequence[T], real: Sequence[bool], source: Source, selection: Selection) -> list[T]:
    """Real ones, or with ``--simulated`` the others; the simulator's alone are taken, with a word."""
    source.simulated = selection.simulated or not any(real)
    if not any(real) and given and not selection.simulated:
        source.notes.append("all ratings are the simulator's: they say nothing about any model")
        return list(given)
    kept = [one for one, is_real in zip(given, real, strict=True) if is_real is not selection.simulated]
    if len(kept) < len(given):
        kind = "real" if selection.simulated else "simulated (--simulated shows them)"
        source.notes.append(f"{len(given) - len(kept)} {kind} signals are left out")
    return kept


def _wanted(signal: RatedSignal, selection: Selection) -> bool:
    if selection.symbol is not None and signal.symbol != selection.symbol:
        return False
    if selection.model is not None and signal.model != selection.model:
        return False
    since = selection.since
    return since is None or (signal.trade.at is not None and signal.trade.at >= microseconds(since))


def _signals(path: Path, zone: tzinfo) -> list[RatedSignal]:
    rows: list[tuple[int, dict[str, str]]] = []
    times = TimeColumn(TimeRules.at(zone=zone))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            _check_columns(path, reader.fieldnames)
            for row in reader:
                rows.append((reader.line_num, row))
                times.add((row["timestamp"],))
    except OSError as error:
        raise UsageError(f"{clean(path)}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{clean(path)}: not a CSV file of UTF-8 text ({clean(error, 100)})") from None
    read = times.finish()
    if any(
        moment is None and not is_missing(row["timestamp"])
        for (_, row), moment in zip(rows, read.moments, strict=True)
    ):
        raise UsageError(f"{clean(path)}: the column 'timestamp' {clean(read.problem, 300)}")
    _check_ids(path, rows)
    return [_signal(path, line, row, moment) for (line, row), moment in zip(rows, read.moments, strict=True)]


def _check_columns(path: Path, names: Iterable[str] | None) -> None:
    if names is None:
        raise UsageError(f"{clean(path)}: the file is empty")
    missing = [name for name in NEEDED if name not in set(names)]
    if missing:
        raise UsageError(f"{clean(path)}: no column {', '.join(missing)}; is it an llm_signals.csv?")


def _check_ids(path: Path, rows: Sequence[tuple[int, Mapping[str, str]]]) -> None:
    lines: dict[str, int] = {}
    for line, row in rows:
        name = row["signal_id"]
        if not name:
            raise UsageError(f"{clean(path)}:{line}: a signal without an id")
        if name in lines:
            raise UsageError(
                f"{clean(path)}:{line}: two signals with the id {clean(name, 80)!r}; the other is in line"
                f" {lines[name]}"
            )
        lines[name] = line


def _signal(path: Path, line: int, row: Mapping[str, str], moment: datetime | None) -> RatedSignal:
    where = f"{clean(path)}:{line}"
    rating = _rating(where, row.get("llm_rating") or "")
    prices = {
        name: _price(where, name, row.get(name) or "")
        for name in ("entry_price", "stop_loss", "target_price")
    }
    said = (row.get("llm_choppiness") or "").strip().casefold()
    trade = Trade(
        row["signal_id"], side_of(row["signal_type"] or ""), None if moment is None else microseconds(moment),
        prices["stop_loss"], prices["target_price"], prices["entry_price"],
    )  # fmt: skip
    return RatedSignal(
        trade, row["symbol"] or "", "unrated" if rating is None else "rated", rating,
        cast("Any", said) if said in ("yes", "no") else None, row.get("llm_model_used") or "",
    )  # fmt: skip


def _rating(where: str, text: str) -> int | None:
    if not text.strip():
        return None
    number = to_price(text)
    if number is None or number not in range(1, 6):
        raise UsageError(f"{where}: the rating {clean(text, 40)!r} is not a whole number from 1 to 5")
    return int(number)


def _price(where: str, name: str, text: str) -> float | None:
    if not text.strip() or text.strip().casefold() == "nan":
        return None
    number = to_price(text)
    if number is None:
        raise UsageError(f"{where}: {name} {clean(text, 40)!r} is not a number")
    return number


def _bars(given: Sequence[str], symbols: Sequence[str], zone: str) -> dict[str, BarColumns]:
    """The bars of each symbol; ``SYMBOL=FILE`` where a file does not say whose they are."""
    found: dict[str, BarColumns] = {}
    for text in given:
        symbol, _, file = text.rpartition("=")
        if symbol and not Path(text).exists():
            if symbol not in symbols:
                raise UsageError(
                    f"--bars {clean(text)}: there is no signal of {clean(symbol, 40)!r}, only of"
                    f" {clean(', '.join(symbols), 200)}"
                )
            found[symbol] = _columns(Path(file), zone, None)
        elif len(symbols) == 1:
            found[symbols[0]] = _columns(Path(text), zone, symbols[0])
        elif not _names_symbols(Path(text), zone):
            raise UsageError(
                f"{clean(text)}: whose bars are these? there are signals of {len(symbols)} symbols; say"
                f" --bars {clean(symbols[0], 40)}={clean(text)} or --symbol {clean(symbols[0], 40)}"
            )
        else:
            found |= _several(Path(text), zone, [name for name in symbols if name not in found])
    return found


def _several(path: Path, zone: str, symbols: Sequence[str]) -> dict[str, BarColumns]:
    """The bars of those of ``symbols`` that a file with a column of symbols has."""
    found = {}
    for name in symbols:
        try:
            found[name] = bar_columns(open_bars(path, zone=zone, symbol=name).bars)
        except BarDataError as error:
            if NOT_THERE not in str(error):
                raise UsageError(clean(error)) from error
    return found


def _names_symbols(path: Path, zone: str) -> bool:
    """Whether a file has a column of symbols: then it has no bar of one that nobody has heard of."""
    try:
        open_bars(path, zone=zone, symbol=uuid.uuid4().hex)
    except BarDataError as error:
        return NOT_THERE in str(error)
    return False


def _columns(path: Path, zone: str, symbol: str | None) -> BarColumns:
    try:
        return bar_columns(open_bars(path, zone=zone, symbol=symbol).bars)
    except BarDataError as error:
        raise UsageError(clean(error)) from error


def bar_columns(bars: Iterable[Bar]) -> BarColumns:
    """Bars of one instrument in order of time, as columns."""
    return BarColumns.of((microseconds(bar.timestamp), *bar[1:5]) for bar in bars)


def _check_one_session(source: Source, path: Path) -> None:
    """Bars that no signal falls on, or that cost something else, are of another session."""
    by_symbol: dict[str, list[RatedSignal]] = defaultdict(list)
    for signal in source.signals:
        by_symbol[signal.symbol].append(signal)
    if all(not coverage(some, source.bars.get(name)).covered for name, some in by_symbol.items()):
        raise UsageError(
            f"{clean(path)}: no signal lies within the bars{_ranges(source)}; are they of one session?"
        )
    for name, some in by_symbol.items():
        if name in source.bars and (miss := other_prices(some, source.bars[name])) is not None:
            raise UsageError(
                f"{clean(path)}: the entries of {clean(name, 40)!r} are {miss:.0%} off the bars' prices;"
                " these files belong to different sessions"
            )


def _ranges(source: Source) -> str:
    times = [int(edge) for bars in source.bars.values() for edge in bars.times[[0, -1]]]
    at = [signal.trade.at for signal in source.signals if signal.trade.at is not None]
    if not times or not at:
        return ""
    days = [
        (EPOCH + timedelta(microseconds=edge)).date() for edge in (min(times), max(times), min(at), max(at))
    ]
    return f" (bars from {days[0]} to {days[1]}, signals from {days[2]} to {days[3]})"


async def from_database(
    database: CommandDatabase, selection: Selection, files: Sequence[str] = (), zone: str = "UTC"
) -> Source:
    """Signals that have their end, their readings, and bars: from ``files`` if there are any.

    Raises UsageError and DatabaseError.
    """
    source = Source("PostgreSQL")
    key = None if selection.session is None else clean_key(selection.session)
    rows = await database.connections.fetch(
        "reading rated signals", SIGNALS, key, selection.since, selection.symbol, selection.model,
        selection.prompt,
    )  # fmt: skip
    chosen = _of_one_kind(rows, [not row["simulated"] for row in rows], source, selection)
    waiting = [row for row in chosen if row["status"] in ("pending", "processing")]
    if waiting:
        source.notes.append(f"{len(waiting)} signals wait for an answer and are not counted")
    source.signals = [_stored(row) for row in chosen if row["status"] not in ("pending", "processing")]
    if not source.signals:
        raise UsageError("there is no answered signal in this database that you ask for")
    _take_reported(source, await OutcomeStore(database.connections).reported(key))
    symbols = sorted({signal.symbol for signal in source.signals})
    source.bars = _bars(files, symbols, zone) if files else await _stored_bars(database, key, symbols)
    if not source.bars:
        raise UsageError(
            "there are no bars in this database for these signals; --bars FILE reads them from a file"
        )
    source.readings = await _readings(database, key, source.signals)
    return source


def _take_reported(source: Source, records: Sequence[OutcomeRecord]) -> None:
    """The host's own outcomes stand, its fills are where trades enter; both are counted in a note."""
    by_id = {record.outcome.signal_id: record for record in records}
    filled = 0
    for at, signal in enumerate(source.signals):
        record = by_id.get(signal.signal_id)
        if record is None:
            continue
        one = record.outcome
        if one.source == HOST and one.resolved and None not in (one.r_net, one.entry_at, one.exit_at):
            source.reported[signal.signal_id] = one
        elif record.fill_price is not None:
            trade = replace(signal.trade, fill_price=record.fill_price, fill_at=record.fill_at)
            source.signals[at] = replace(signal, trade=trade)
            filled += 1
    if source.reported or filled:
        source.notes.append(
            f"outcomes that the host reported, in the place of what bars tell: {len(source.reported)};"
            f" signals that enter at the host's fill: {filled}"
        )


def _stored(row: Row) -> RatedSignal:
    status: Status = row["status"]
    if row["status"] == "completed":
        status = "unrated" if row["rating"] is None else "rated"
    spent = row["spent_usd"]
    if spent is None and not row["answered"]:
        spent = 0
    at = row["at"]
    trade = Trade(
        row["signal_id"], side_of(row["signal_type"] or ""), None if at is None else microseconds(at),
        to_price(row["stop_loss"]), to_price(row["target_price"]), to_price(row["entry_price"]),
    )  # fmt: skip
    return RatedSignal(
        trade, row["symbol"] or "", status, row["rating"], row["choppiness"], row["model"] or "",
        _prompt(row), None if spent is None else float(spent),
    )  # fmt: skip


def _prompt(row: Row) -> str:
    return " ".join(part for part in (row["prompt_name"], row["prompt_version"]) if part)


async def _stored_bars(
    database: CommandDatabase, session: str | None, symbols: Sequence[str]
) -> dict[str, BarColumns]:
    rows: dict[str, list[tuple[int, float, float, float, float]]] = defaultdict(list)
    stream = database.connections.stream("reading bars", BARS, session, list(symbols), chunk=CHUNK)
    async with aclosing(stream) as bars:
        async for row in bars:
            prices = [to_price(row[name]) for name in ("open", "high", "low", "close")]
            if None not in prices:  # a bar that was stored without prices tells nothing
                rows[row["symbol"]].append((microseconds(row["at"]), *cast("list[float]", prices)))  # type: ignore[arg-type]
    return {symbol: BarColumns.of(some) for symbol, some in rows.items()}


async def _readings(
    database: CommandDatabase, session: str | None, signals: Sequence[RatedSignal]
) -> list[Reading]:
    """Second opinions, and the delivered rating beside shadows: that of an ensemble is no reading."""
    rows = await database.connections.fetch("reading opinions", READINGS, session)
    wanted = {signal.signal_id for signal in signals}
    rows = [row for row in rows if row["signal_id"] in wanted]
    ensembles = {row["signal_id"] for row in rows if row["role"] == "ensemble"}
    shadowed = {row["signal_id"] for row in rows} - ensembles
    delivered = [
        Reading(signal.signal_id, f"{signal.model} {signal.prompt}".strip(), signal.rating)
        for signal in signals
        if signal.signal_id in shadowed and signal.rating is not None
    ]
    return delivered + [
        Reading(row["signal_id"], f"{row['model']} {_prompt(row)}".strip(), row["rating"]) for row in rows
    ]
