"""What the sidecar talks about: bars, signals, answers and their statuses. No I/O.

Prices are floats in the quote currency, times are aware UTC datetimes, durations are in the unit the
name ends with. A value that is missing, NaN or infinite is None from here on.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from enum import StrEnum
from operator import itemgetter
from typing import Any, Literal, NamedTuple, cast

from llm_integration.bar_forms import MAX_BARS, BarsRead, Remark, as_mapping, read_bars
from llm_integration.fairness import BARS_AT_ONCE, Steps, at_once
from llm_integration.times import EARLIEST, TimeColumn, TimeRules, parse_time, shown_cell

__all__ = [
    "Bar",
    "CallFacts",
    "Choppiness",
    "Claim",
    "LLMAnalysis",
    "Opinion",
    "ParseMethod",
    "PromptFacts",
    "Reading",
    "Remark",
    "Signal",
    "SignalRead",
    "TaskScope",
    "TaskStatus",
    "bars_in_pieces",
    "parse_time",
    "plain_bars",
    "signal_in_pieces",
    "signal_time",
    "stored_bars",
    "to_price",
]

MAX_NAME_CHARS = 128
"""Longest symbol, signal type or strategy name that is kept."""
MAX_IDENTITY_CHARS = 100_000
"""Characters of an id that tell it from others."""
MAX_INDICATORS = 200
MOST_SETS_OF_NAMES = 64
"""Indicators of one signal that are kept, and sets of their names that are remembered."""
MOST_NAMED = 5
"""Indicators named in a remark."""
MAX_NOTE_CHARS = 2_000
"""Longest free text of a signal that is kept."""

Choppiness = Literal["yes", "no"]


class TaskStatus(StrEnum):
    """Where an LLM task stands. The last three are final."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        """True when nothing more will happen to the task by itself."""
        return self not in (TaskStatus.PENDING, TaskStatus.PROCESSING)


class ParseMethod(StrEnum):
    """The layer of the parser that produced a reading, from most to least trustworthy."""

    JSON = "json"
    FENCED_JSON = "fenced_json"
    EMBEDDED_JSON = "embedded_json"
    REPAIRED_JSON = "repaired_json"
    REGEX = "regex"
    KEYWORDS = "keywords"
    NONE = "none"


class Bar(NamedTuple):
    """One OHLCV bar. ``timestamp`` is the stamp the feed gave it, in UTC; a missing volume is None."""

    timestamp: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float | None


def to_price(value: object) -> float | None:
    """``value`` as a finite float; None for missing, NaN, infinite or not a number."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(cast("Any", value))
    except Exception:  # whatever a foreign object's own conversion raises
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True, slots=True)
class Signal:
    """One trading signal, cleaned of everything a feed or a caller may have got wrong.

    ``warnings`` say what was given with it and could not be used; its result repeats them.
    """

    signal_id: str
    timestamp: datetime | None
    symbol: str
    signal_type: str
    entry_price: float | None
    stop_loss: float | None
    target_price: float | None
    indicators: Mapping[str, float | None] = field(default_factory=dict)
    bars: Sequence[Bar] = ()
    session_id: str | None = None
    strategy: str | None = None
    notes: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def risk_reward_ratio(self) -> float | None:
        """Reward per unit of risk, |target - entry| / |entry - stop|.

        None when a price is missing, the stop equals the entry, or stop and target do not lie on
        opposite sides of the entry.
        """
        entry, stop, target = self.entry_price, self.stop_loss, self.target_price
        if entry is None or stop is None or target is None:
            return None
        risk, reward = entry - stop, target - entry
        if risk == 0 or risk * reward <= 0:
            return None
        ratio = abs(reward / risk)
        return ratio if math.isfinite(ratio) and ratio > 0 else None

    @classmethod
    def from_mapping(cls, signal_id: str, data: Mapping[str, Any]) -> Signal:
        """Build a signal from a host's ``signal_data``; never raises on bad values.

        A time without a zone is UTC, and none is believed that lies more than a day after the clock's.
        """
        return at_once(signal_in_pieces(signal_id, data, TimeRules.at())).signal


@dataclass(frozen=True, slots=True)
class SignalRead:
    """A signal, and what there is to say about the shapes in which it came.

    ``naive`` is true when it brought times without a zone.
    """

    signal: Signal
    remarks: tuple[Remark, ...] = ()
    naive: bool = False


def signal_in_pieces(signal_id: str, data: Mapping[str, Any], rules: TimeRules) -> Steps[SignalRead]:
    """``Signal.from_mapping`` by other rules for its times, with a pause wherever this yields.

    Hundreds of bars take longer than an event loop should wait.
    """
    symbol = _name(data.get("symbol"))
    given: object = data.get("timestamp")
    bars: Any = data.get("bars")
    moment, remarks, naive = signal_time(given, rules, with_bars=bars is not None)
    if plain_bars(bars, list):
        bars = _in_order(bars)
    elif not plain_bars(bars, tuple):
        read = (
            BarsRead()
            if bars is None
            else (yield from read_bars(bars, symbol=symbol, until=moment, rules=rules))
        )
        bars, lost = yield from _whole_bars(read)
        remarks += (*read.remarks, *lost)
        naive = naive or read.naive
    remarks += none_closed(bars, moment)
    indicators, odd = _indicators(data.get("indicators"))
    signal = Signal(
        signal_id=signal_id,
        timestamp=moment,
        symbol=symbol,
        signal_type=_name(data.get("signal_type")),
        entry_price=to_price(data.get("entry_price")),
        stop_loss=to_price(data.get("stop_loss")),
        target_price=to_price(data.get("target_price")),
        indicators=indicators,
        bars=bars,
        session_id=_identity(data.get("session_id")),
        strategy=_optional_name(data.get("strategy")),
        notes=_text(data.get("notes"), MAX_NOTE_CHARS) or None,
        warnings=tuple([remark.text for remark in (*remarks, *odd)]),
    )
    return SignalRead(signal, (*remarks, *odd), naive)


def signal_time(
    given: object, rules: TimeRules, *, with_bars: bool
) -> tuple[datetime | None, tuple[Remark, ...], bool]:
    """The signal's own time, what is wrong with it, and whether it named no zone."""
    if type(given) is datetime and given.tzinfo is UTC and EARLIEST <= given <= rules.latest:
        return given, (), False
    if given is None:
        if not with_bars:
            return None, (), False
        return None, (Remark("no time", "the signal has no timestamp: none of its bars is shown"),), False
    column = TimeColumn(rules)
    column.add((given,))
    read = column.finish()
    moment = read.moments[0]
    if moment is not None:
        return moment, (), read.naive
    reason = read.kind if read.kind != "two ways" else "it can be read in two ways"
    return (
        None,
        (
            Remark(
                f"timestamp {read.kind}",
                f"the signal's timestamp {shown_cell(given)} cannot be used ({reason}): no bar is shown",
            ),
        ),
        False,
    )


def _text(value: object, limit: int) -> str:
    if type(value) is str:
        return value[:limit]
    try:
        return "" if value is None else str(value)[:limit]
    except Exception:  # a number too long to print, an object that cannot be shown
        return ""


def _name(value: object) -> str:
    if type(value) is str and len(value) <= MAX_NAME_CHARS:
        return value.strip()
    return _text(value, MAX_NAME_CHARS).strip()


def _optional_name(value: object) -> str | None:
    return _name(value) or None


def _identity(value: object) -> str | None:
    """An id as it is; of a longer one the beginning and a digest, so that different ids stay different."""
    if type(value) is str and len(value) <= MAX_NAME_CHARS:
        return value if value and not value.isspace() else None
    text = _text(value, MAX_IDENTITY_CHARS)
    if len(text) > MAX_NAME_CHARS:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return f"{text[: MAX_NAME_CHARS - len(digest) - 1]}~{digest}"
    return text if text and not text.isspace() else None


def _indicators(value: object) -> tuple[dict[str, float | None], tuple[Remark, ...]]:
    """By their names, and what is no number though something was given."""
    known = value if type(value) is dict else as_mapping(value)
    if known is None:
        return {}, () if value is None else (_odd_indicators(f"indicators, a {type(value).__name__},"),)
    try:
        items = list(known.items())[:MAX_INDICATORS]
    except Exception:  # whatever a foreign mapping raises
        return {}, (_odd_indicators("indicators"),)
    numbers = [
        number if type(number) is float and -math.inf < number < math.inf else to_price(number)
        for _, number in items
    ]
    named = dict(zip(_indicator_names([key for key, _ in items]), numbers, strict=True))
    return named, () if None not in numbers else _no_numbers(items, numbers)


def _odd_indicators(what: str) -> Remark:
    return Remark(what, f"{what} cannot be read: give them by their names, as a mapping or a Series")


def _no_numbers(
    items: Sequence[tuple[object, object]], numbers: Sequence[float | None]
) -> tuple[Remark, ...]:
    """About indicators that are whole columns, say, and no numbers; text and None are just missing."""
    odd = [
        (_name(key), type(value).__name__)
        for (key, value), number in zip(items, numbers, strict=True)
        if number is None and hasattr(value, "__len__") and not isinstance(value, (str, bytes))
    ]
    if not odd:
        return ()
    shown = ", ".join(f"{name} (a {kind})" for name, kind in odd[:MOST_NAMED])
    return (Remark(f"indicators {shown}", f"indicators that are no numbers are missing: {shown}"),)


_FLOATS = {float}

_known_names: dict[tuple[str, ...], list[str]] = {}


def _indicator_names(keys: list[Any]) -> list[str]:
    """The names of indicators; remembered, as a strategy gives the same ones with every signal."""
    if not set(map(type, keys)) <= {str}:
        return [_name(key) for key in keys]
    names = _known_names.get(together := tuple(keys))
    if names is None:
        names = [_name(key) for key in keys]
        if max(map(len, keys), default=0) <= MAX_NAME_CHARS and len(_known_names) < MOST_SETS_OF_NAMES:
            _known_names[together] = names
    return names


def plain_bars(value: object, *kinds: type) -> bool:
    """True for a collection of ``Bar``, of one of ``kinds``, that can be used as it is."""
    if type(value) not in kinds or len(value) > MAX_BARS:  # type: ignore[arg-type]  # a kind of sequence
        return False
    items = cast("Sequence[Bar]", value)
    return set(map(type, items)) <= {Bar} and (
        not items or (_plain_time(items[0]) and _plain_time(items[-1]))
    )


def none_closed(bars: Sequence[Bar], until: datetime | None) -> tuple[Remark, ...]:
    """A remark if all ``bars``, rising or falling in time, are later than ``until``: perhaps a wrong zone."""
    if not bars or until is None or not until < min(bars[0][0], bars[-1][0]):
        return ()
    first = min(bars[0][0], bars[-1][0])
    text = f"no bar is shown: the first of {len(bars)} is stamped {first}, after the signal's {until}"
    return (Remark("none closed", text),)


def _in_order(bars: Sequence[Bar]) -> tuple[Bar, ...]:
    try:
        return tuple(sorted(bars, key=itemgetter(0)))
    except TypeError:  # times without a zone among others
        return tuple(bars)


def _plain_time(bar: Bar) -> bool:
    moment = bar[0]
    return type(moment) is datetime and moment.tzinfo is not None and moment >= EARLIEST


def bars_in_pieces(
    value: object,
    symbol: str = "",
    *,
    until: datetime | None = None,
    zone: tzinfo = UTC,
    now: datetime | None = None,
) -> Steps[tuple[Bar, ...]]:
    """The bars that ``Signal.from_mapping`` makes of ``value``, with a pause wherever this yields."""
    if value is None:
        return ()
    read = yield from read_bars(value, symbol=symbol, until=until, rules=TimeRules.at(now, zone))
    bars, _ = yield from _whole_bars(read)
    return bars


def stored_bars(rows: Sequence[object]) -> Steps[tuple[Bar, ...]]:
    """Bars stored as rows of time and values, just as they were; with a pause wherever this yields."""
    bars: list[Bar] = []
    for number, row in enumerate(rows, 1):
        moment = (
            parse_time(row[0]) if isinstance(row, (list, tuple)) and len(row) == len(Bar._fields) else None
        )
        if moment is not None and (bar := _checked(moment, cast("Sequence[Any]", row)[1:])) is not None:
            bars.append(bar)
        if number % BARS_AT_ONCE == 0:
            yield
    return tuple(bars)


def _whole_bars(read: BarsRead) -> Steps[tuple[tuple[Bar, ...], tuple[Remark, ...]]]:
    """Those that have all their prices, and a remark about the others."""
    bars: list[Bar] = []
    for number, (moment, values) in enumerate(read.rows, 1):
        bar = _checked(moment, values)
        if bar is not None:
            bars.append(bar)
        if number % BARS_AT_ONCE == 0:
            yield
    lost = len(read.rows) - len(bars)
    if not lost:
        return tuple(bars), ()
    text = f"{lost} of {len(read.rows)} bars are left out: a price is missing or is no number"
    return tuple(bars), (Remark(f"prices {not bars}", text),)


def _checked(moment: datetime, values: Sequence[Any]) -> Bar | None:
    """A bar of the five ``values``, None without one of its prices."""
    if {*map(type, values)} == _FLOATS and all(map(math.isfinite, values)):
        return Bar(moment, *values)
    opened, high, low, close, volume = map(to_price, values)
    if opened is None or high is None or low is None or close is None:
        return None
    return Bar(moment, opened, high, low, close, volume)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to finish one task, good until somebody else is given a newer one.

    ``age_seconds`` is how long ago the task was created, by the database's clock. ``model`` is the one that
    somebody wants to be asked, None for the usual way.
    """

    task_id: int
    signal_id: str
    claim_id: str
    attempts: int = 0
    age_seconds: float = 0.0
    model: str | None = None


@dataclass(slots=True)
class TaskScope:
    """Which waiting tasks a worker may take besides those handed to it, and where it sends them.

    ``sessions`` are the worker's own; a None among them stands for signals without a session. None for all
    of them: the tasks of every session. ``endpoint`` is the address it asks, which is stored with its tasks;
    those that were meant for another one are left alone unless ``any_endpoint``.
    """

    sessions: set[str | None] | None = None
    endpoint: str | None = None
    any_endpoint: bool = False


# How a signal was answered. Each class adds facts to those of the one before, so that an analysis and a
# single opinion are built and read flat, and each field is declared once. Every field of either is a column
# of its table, of the type that ``record.columns`` finds for its annotation: docs/how-to/add-a-column.md.


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read from a reply. ``rating`` runs from 1 (avoid) to 5 (excellent); None: it has none, and
    ``error`` says why.
    """

    rating: int | None = None
    choppiness: Choppiness | None = None
    analysis: str | None = None
    recommendations: str | None = None
    parse_method: ParseMethod = ParseMethod.NONE
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts(Reading):
    """The reading, and the call that brought the reply: who answered, in what time, for how much.

    ``cost_usd`` is None when unknown, never 0 for unknown. ``api_ms`` is the time of the answering request,
    ``attempts`` counts requests. Of ``prompt_tokens``, ``cached_tokens`` were read from a cache and
    ``cache_write_tokens`` written to one; ``reasoning_tokens`` are part of ``completion_tokens``.
    ``service_tier`` is what the server called it.
    """

    model_served: str | None = None
    provider: str | None = None
    generation_id: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: Decimal | None = None
    api_ms: float | None = None
    attempts: int = 0
    service_tier: str | None = None
    raw_reply: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFacts(CallFacts):
    """Reading and call, and the prompt file that asked; ``prompt_hash`` is that of the template."""

    prompt_name: str | None = None
    prompt_version: str | None = None
    prompt_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Opinion(PromptFacts):
    """One model's reading of a signal that several models, or several prompts, were asked about.

    ``role`` is ``ensemble`` when it had a part in the agreed reading, ``shadow`` when it was asked for
    comparison only and never delivered.
    """

    role: Literal["ensemble", "shadow"]
    model_requested: str


@dataclass(frozen=True, slots=True)
class LLMAnalysis(PromptFacts):
    """How one signal ended: an answer (rated or not), or the reason why there is none.

    ``status`` is ``completed``, ``failed`` or ``expired``. A completed analysis has the reply in
    ``raw_reply``; its ``rating`` is None when the reply could not be understood, and ``error`` then says why.
    ``queue_ms`` runs from acceptance to the first request, ``total_ms`` from acceptance to the finished
    reading. A request may have answered ``batch_size`` signals at once; tokens and cost are then this
    signal's share. ``opinions`` are the single readings behind an agreed one, and ``rating_spread`` their
    largest rating minus the smallest.
    """

    signal_id: str
    status: TaskStatus
    task_id: int | None = None
    _: KW_ONLY
    warnings: tuple[str, ...] = ()
    model_requested: str | None = None
    finish_reason: str | None = None
    queue_ms: float | None = None
    total_ms: float | None = None
    prompt_text: str | None = None
    processed_at: datetime | None = None
    system_text: str | None = None
    batch_size: int = 1
    route: str | None = None
    rating_spread: int | None = None
    opinions: tuple[Opinion, ...] = ()

    @property
    def answered(self) -> bool:
        """True when a reply came, whether or not it could be read."""
        return self.status is TaskStatus.COMPLETED

    @property
    def rated(self) -> bool:
        """True when the reply gave a rating."""
        return self.rating is not None
