"""What the sidecar talks about: bars, signals, answers and their statuses. No I/O.

Prices are floats in the quote currency, times are aware UTC datetimes, durations are in the unit the
name ends with. A value that is missing, NaN or infinite is None from here on.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, NamedTuple, cast

from llm_integration.bar_forms import FrameBars, bar_values, is_frame, parse_time

__all__ = [
    "Bar",
    "Choppiness",
    "Claim",
    "LLMAnalysis",
    "Opinion",
    "ParseMethod",
    "Signal",
    "TaskScope",
    "TaskStatus",
    "bars_in_pieces",
    "parse_time",
    "to_price",
]

MAX_NAME_CHARS = 128
"""Longest symbol, signal type or strategy name that is kept."""
MAX_IDENTITY_CHARS = 100_000
"""Characters of an id that tell it from others."""
MAX_BARS = 1_000
"""Most bars of one signal that are kept, the last ones."""
BARS_AT_ONCE = 50
"""Bars converted in one go by who gives way in between: a tenth of a millisecond."""
MAX_INDICATORS = 200
MOST_SETS_OF_NAMES = 64
"""Indicators of one signal that are kept, and sets of their names that are remembered."""
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
    """One OHLCV bar. ``timestamp`` is the stamp the feed gave it, in UTC."""

    timestamp: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


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
    """One trading signal, cleaned of everything a feed or a caller may have got wrong."""

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
        """Build a signal from a host's ``signal_data``; never raises on bad values."""
        return cls(
            signal_id=signal_id,
            timestamp=parse_time(data.get("timestamp")),
            symbol=_name(data.get("symbol")),
            signal_type=_name(data.get("signal_type")),
            entry_price=to_price(data.get("entry_price")),
            stop_loss=to_price(data.get("stop_loss")),
            target_price=to_price(data.get("target_price")),
            indicators=_indicators(data.get("indicators")),
            bars=_bars(data.get("bars")),
            session_id=_identity(data.get("session_id")),
            strategy=_optional_name(data.get("strategy")),
            notes=_text(data.get("notes"), MAX_NOTE_CHARS) or None,
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


def _indicators(value: object) -> dict[str, float | None]:
    if type(value) is not dict and not isinstance(value, Mapping):
        return {}
    items = list(value.items())[:MAX_INDICATORS]
    numbers = [
        number if type(number) is float and -math.inf < number < math.inf else to_price(number)
        for _, number in items
    ]
    return dict(zip(_indicator_names([key for key, _ in items]), numbers, strict=True))


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


def _bars(value: object) -> tuple[Bar, ...]:
    if type(value) is tuple and len(value) <= MAX_BARS and set(map(type, value)) <= {Bar}:
        return value
    return tuple([bar for bar in _newest(value) if bar is not None])


def bars_in_pieces(value: object) -> Generator[None, None, tuple[Bar, ...]]:
    """The bars that ``Signal.from_mapping`` makes of ``value``, with a pause wherever this yields.

    Hundreds of bars take longer than an event loop should wait.
    """
    bars: list[Bar] = []
    for number, bar in enumerate(_newest(value), 1):
        if bar is not None:
            bars.append(bar)
        if number % BARS_AT_ONCE == 0:
            yield
    return tuple(bars)


def _newest(value: object) -> Iterator[Bar | None]:
    """What the last ``MAX_BARS`` of ``value`` are, None for what is no bar."""
    if is_frame(value):
        with contextlib.suppress(Exception):  # whatever a foreign frame raises: no bars, or none of the rest
            frame = FrameBars(value)
            for start in range(max(0, len(frame) - MAX_BARS), len(frame), BARS_AT_ONCE):
                for row in frame.values(start, min(start + BARS_AT_ONCE, len(frame))):
                    yield _checked(*row)
    elif isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)):
        items: Sequence[object] | deque[object] = ()
        with contextlib.suppress(Exception):  # whatever a foreign container raises
            items = value[-MAX_BARS:] if isinstance(value, (list, tuple)) else deque(value, maxlen=MAX_BARS)
        for item in items:
            yield item if isinstance(item, Bar) else _made(item)


def _made(item: object) -> Bar | None:
    try:
        return _checked(*bar_values(item))
    except Exception:  # whatever a foreign object raises
        return None


def _checked(moment: datetime | None, values: Sequence[Any]) -> Bar | None:
    """A bar of the five ``values``, None without its time or one of its prices."""
    if moment is None:
        return None
    if {*map(type, values)} == _FLOATS and all(map(math.isfinite, values)):
        return Bar(moment, *values)
    opened, high, low, close, volume = map(to_price, values)
    if opened is None or high is None or low is None or close is None:
        return None
    return Bar(moment, opened, high, low, close, volume or 0.0)


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


@dataclass(frozen=True, slots=True)
class Opinion:
    """One model's reading of a signal that several models, or several prompts, were asked about.

    ``role`` is ``ensemble`` when it had a part in the agreed reading, ``shadow`` when it was asked for
    comparison only and never delivered. ``error`` says why there is no rating. Costs as in LLMAnalysis.
    """

    role: Literal["ensemble", "shadow"]
    model_requested: str
    rating: int | None = None
    choppiness: Choppiness | None = None
    analysis: str | None = None
    recommendations: str | None = None
    parse_method: ParseMethod = ParseMethod.NONE
    error: str | None = None
    model_served: str | None = None
    provider: str | None = None
    generation_id: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None
    api_ms: float | None = None
    attempts: int = 0
    prompt_name: str | None = None
    prompt_version: str | None = None
    prompt_hash: str | None = None
    raw_reply: str | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    service_tier: str | None = None


@dataclass(frozen=True, slots=True)
class LLMAnalysis:
    """How one signal ended: an answer (rated or not), or the reason why there is none.

    ``status`` is ``completed``, ``failed`` or ``expired``. A completed analysis has the reply in
    ``raw_reply``; its ``rating`` (1 avoid .. 5 excellent) is None when the reply could not be
    understood, and ``error`` then says why. ``cost_usd`` is None when unknown, never 0 for unknown.
    ``queue_ms`` runs from acceptance to the first request, ``api_ms`` is the time of the answering
    request, ``total_ms`` runs from acceptance to the finished reading. A request may have answered
    ``batch_size`` signals at once; tokens and cost are then this signal's share. ``opinions`` are the
    single readings behind an agreed one, and ``rating_spread`` their largest rating minus the smallest.
    Of ``prompt_tokens``, ``cached_tokens`` were read from a cache and ``cache_write_tokens`` written to one;
    ``reasoning_tokens`` are part of ``completion_tokens``. ``service_tier`` is what the server called it.
    """

    signal_id: str
    status: TaskStatus
    task_id: int | None = None
    rating: int | None = None
    choppiness: Choppiness | None = None
    analysis: str | None = None
    recommendations: str | None = None
    parse_method: ParseMethod = ParseMethod.NONE
    warnings: tuple[str, ...] = ()
    error: str | None = None
    model_requested: str | None = None
    model_served: str | None = None
    provider: str | None = None
    generation_id: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None
    queue_ms: float | None = None
    api_ms: float | None = None
    total_ms: float | None = None
    attempts: int = 0
    prompt_text: str | None = None
    prompt_version: str | None = None
    raw_reply: str | None = None
    processed_at: datetime | None = None
    prompt_name: str | None = None
    prompt_hash: str | None = None
    system_text: str | None = None
    batch_size: int = 1
    route: str | None = None
    rating_spread: int | None = None
    opinions: tuple[Opinion, ...] = ()
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    service_tier: str | None = None

    @property
    def answered(self) -> bool:
        """True when a reply came, whether or not it could be read."""
        return self.status is TaskStatus.COMPLETED

    @property
    def rated(self) -> bool:
        """True when the reply gave a rating."""
        return self.rating is not None
