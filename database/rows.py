"""Between the domain and table rows. Pure; the one place where values are made safe for PostgreSQL.

PostgreSQL takes no NUL in text, no lone surrogates, and neither in JSON; JSON knows no NaN; an indexed
text must be short. Whatever comes in here comes out storable.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import orjson

from llm_integration.domain import (
    Bar,
    Choppiness,
    Claim,
    LLMAnalysis,
    ParseMethod,
    Signal,
    TaskStatus,
    parse_time,
    to_price,
)

__all__ = [
    "OUTCOME_COLUMNS",
    "SIGNAL_COLUMNS",
    "analysis_from_mapping",
    "analysis_from_row",
    "bar_columns",
    "clean_key",
    "clean_text",
    "json_text",
    "outcome_columns",
    "signal_columns",
    "signal_from_row",
]

LONGEST_KEY = 512
"""Bytes of an id; longer ones, and those with unstorable characters, get a digest instead of a tail."""
LONGEST_NAME = 500
LONGEST_NOTE = 4_000
LONGEST_ANSWER = 50_000
LONGEST_REPLY = 500_000
"""Characters of a prompt or a reply."""
DEEPEST_JSON = 50
LARGEST_INT = 2**31 - 1
SMALLEST_COST = Decimal("1e-15")
LARGEST_COST = Decimal("1e12")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNCLAIMED = uuid.UUID("6f0f2c4e-3b1d-4d7c-9a53-0c9d6f1f7a11")
"""Name space of the stand-in claim ids of outcomes that were reached without a claim."""

SIGNAL_COLUMNS: Mapping[str, str] = {
    "signal_id": "text",
    "session_id": "text",
    "symbol": "text",
    "timestamp": "timestamptz",
    "signal_type": "text",
    "entry_price": "float8",
    "stop_loss": "float8",
    "target_price": "float8",
    "indicators": "text",  # JSON
    "strategy": "text",
    "notes": "text",
    "context": "text",  # JSON
}
"""What ``signal_columns`` gives, in order, with the type it is sent as."""

OUTCOME_COLUMNS: Mapping[str, str] = {
    "signal_id": "text",
    "claim_id": "uuid",
    "claimed": "bool",
    "status": "text",
    "error": "text",
    "spent_usd": "numeric",
    "rating": "int2",
    "choppiness": "text",
    "analysis": "text",
    "recommendations": "text",
    "parse_method": "text",
    "warnings": "text",  # JSON
    "unrated_reason": "text",
    "model_requested": "text",
    "model_served": "text",
    "provider": "text",
    "generation_id": "text",
    "finish_reason": "text",
    "prompt_tokens": "int8",
    "completion_tokens": "int8",
    "cost_usd": "numeric",
    "queue_ms": "float8",
    "api_ms": "float8",
    "total_ms": "float8",
    "attempts": "int4",
    "prompt_text": "text",
    "prompt_version": "text",
    "raw_reply": "text",
    "processed_at": "timestamptz",
}
"""What ``outcome_columns`` gives, in order, with the type it is sent as."""


# Text, keys, JSON


def clean_text(value: object, limit: int = LONGEST_NOTE) -> str | None:
    """``value`` as text PostgreSQL can store: NUL and lone surrogates become U+FFFD, the rest is cut at
    ``limit`` characters with a note of how many there were. None stays None.
    """
    if value is None:
        return None
    text = value if type(value) is str else str(value)
    if len(text) > limit:
        note = f"… [cut: {len(text)} characters]"
        text = text[: max(0, limit - len(note))] + note[:limit]
    return _storable(text)


def _storable(text: str) -> str:
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def clean_key(key: str) -> str:
    """A storable, indexable id for ``key``: itself if it is one, else its beginning and its digest.

    Different keys stay different, and a key that was stored once stays as it is.
    """
    text = _storable(key)
    if text == key and (len(key) <= LONGEST_KEY // 4 or len(key.encode()) <= LONGEST_KEY):
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:80]}~{digest[:32]}"


def json_text(value: object) -> str:
    """``value`` as JSON for a JSONB column; NaN and infinities become null, unknown objects their text."""
    try:
        encoded = orjson.dumps(value)
    except (TypeError, ValueError, RecursionError):
        encoded = orjson.dumps(_json_safe(value, 0))
    if b"\\u0000" in encoded:  # the one escape that JSONB refuses
        encoded = orjson.dumps(_json_safe(value, 0))
    return encoded.decode()


def _json_safe(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if abs(value) < 2**63 else to_price(value)
    if depth < DEEPEST_JSON and isinstance(value, Mapping):
        return {_json_key(key): _json_safe(item, depth + 1) for key, item in value.items()}
    if depth < DEEPEST_JSON and isinstance(value, (list, tuple, set, frozenset)):
        return [_json_safe(item, depth + 1) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return clean_text(value if isinstance(value, str) else _shown(value), LONGEST_ANSWER)


def _json_key(key: object) -> str:
    return clean_text(key if isinstance(key, str) else _shown(key), LONGEST_NAME) or ""


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception:  # a foreign object may do anything
        return type(value).__name__


# Signals and bars


def signal_columns(signal: Signal) -> tuple[Any, ...]:
    """The values of SIGNAL_COLUMNS."""
    return (
        clean_key(signal.signal_id),
        None if signal.session_id is None else clean_key(signal.session_id),
        clean_text(signal.symbol, LONGEST_NAME),
        parse_time(signal.timestamp),
        clean_text(signal.signal_type, LONGEST_NAME),
        to_price(signal.entry_price),
        to_price(signal.stop_loss),
        to_price(signal.target_price),
        json_text(dict(signal.indicators)),
        clean_text(signal.strategy, LONGEST_NAME),
        clean_text(signal.notes),
        _context(signal.bars),
    )


def _context(bars: Sequence[Bar]) -> str | None:
    if not bars:
        return None
    return json_text({"bars": [(_microseconds(bar[0]), *bar[1:]) for bar in bars]})


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def signal_from_row(row: Mapping[str, Any]) -> Signal:
    """The signal of a row of ``trading_signals``, with the bars of the task's ``context`` if selected."""
    context = row.get("context")
    return Signal(
        signal_id=row["signal_id"],
        timestamp=row["timestamp"],
        symbol=row["symbol"] or "",
        signal_type=row["signal_type"] or "",
        entry_price=to_price(row["entry_price"]),
        stop_loss=to_price(row["stop_loss"]),
        target_price=to_price(row["target_price"]),
        indicators=_indicators(row["indicators"]),
        bars=_bars(context),
        session_id=row["session_id"],
        strategy=row["strategy"],
        notes=row["notes"],
    )


def _indicators(value: object) -> dict[str, float | None]:
    """An outsider may have written anything into the JSON."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name): to_price(number) for name, number in value.items()}


def _bars(context: object) -> tuple[Bar, ...]:
    rows = context.get("bars") if isinstance(context, Mapping) else None
    if not isinstance(rows, list):
        return ()
    return tuple(bar for bar in map(_bar, rows) if bar is not None)


def _bar(row: object) -> Bar | None:
    if not isinstance(row, list) or len(row) != len(Bar._fields) or type(row[0]) is not int:
        return None
    numbers = [to_price(number) for number in row[1:]]
    try:
        moment = EPOCH + timedelta(microseconds=row[0])
    except OverflowError:
        return None
    return None if None in numbers else Bar(moment, *cast("list[float]", numbers))


def bar_columns(bars: Iterable[Bar]) -> tuple[list[Any], ...]:
    """Six lists: times, opens, highs, lows, closes, volumes. Bars that are no bars are left out."""
    kept = [
        (moment, *numbers[:4], numbers[4] or 0.0)
        for moment, numbers in ((parse_time(bar[0]), [to_price(number) for number in bar[1:6]]) for bar in bars)
        if moment is not None and None not in numbers[:4]
    ]
    return tuple(map(list, zip(*kept, strict=True))) if kept else ([],) * len(Bar._fields)


# Outcomes


def outcome_columns(analysis: LLMAnalysis, claim: Claim | None) -> tuple[Any, ...]:
    """The values of OUTCOME_COLUMNS."""
    status = TaskStatus(analysis.status)
    completed = status is TaskStatus.COMPLETED
    reason = clean_text(analysis.error)
    cost = _cost(analysis.cost_usd)
    return (
        clean_key(analysis.signal_id),
        _stand_in(analysis) if claim is None else _uuid(claim.claim_id),
        claim is not None,
        status.value,
        None if completed else reason or "no reason given",
        cost,
        _rating(analysis.rating),
        analysis.choppiness if analysis.choppiness in ("yes", "no") else None,
        clean_text(analysis.analysis, LONGEST_ANSWER),
        clean_text(analysis.recommendations, LONGEST_ANSWER),
        str(analysis.parse_method),
        json_text([clean_text(warning) for warning in analysis.warnings]),
        reason if completed and analysis.rating is None else None,
        clean_text(analysis.model_requested, LONGEST_NAME),
        clean_text(analysis.model_served, LONGEST_NAME),
        clean_text(analysis.provider, LONGEST_NAME),
        clean_text(analysis.generation_id, LONGEST_NAME),
        clean_text(analysis.finish_reason, LONGEST_NAME),
        _count(analysis.prompt_tokens),
        _count(analysis.completion_tokens),
        cost,
        to_price(analysis.queue_ms),
        to_price(analysis.api_ms),
        to_price(analysis.total_ms),
        _count(analysis.attempts) or 0,
        clean_text(analysis.prompt_text, LONGEST_REPLY),
        clean_text(analysis.prompt_version, LONGEST_NAME),
        clean_text(analysis.raw_reply, LONGEST_REPLY),
        parse_time(analysis.processed_at),
    )


def _stand_in(analysis: LLMAnalysis) -> uuid.UUID:
    """The same for the same outcome, so that sending it twice is recognised."""
    name = f"{analysis.signal_id}|{analysis.status}|{analysis.processed_at}|{analysis.generation_id}"
    return uuid.UUID(bytes=hashlib.sha256(UNCLAIMED.bytes + name.encode("utf-8", "replace")).digest()[:16])


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except (ValueError, AttributeError, TypeError):
        return uuid.UUID(int=0)  # nobody's claim


def _rating(value: object) -> int | None:
    return value if type(value) is int and 1 <= value <= 5 else None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= LARGEST_INT else None


def _cost(value: object) -> Decimal | None:
    if not isinstance(value, Decimal) or not value.is_finite() or abs(value) >= LARGEST_COST:
        return None
    return value if cast("int", value.as_tuple().exponent) >= -15 else value.quantize(SMALLEST_COST)


def analysis_from_row(row: Mapping[str, Any]) -> LLMAnalysis:
    """The analysis of a task's row joined with its result, as QUERY's OUTCOME_FIELDS select them."""
    status = TaskStatus(row["status"])
    if status is not TaskStatus.COMPLETED:
        return LLMAnalysis(
            signal_id=row["signal_id"], status=status, task_id=row["task_id"], error=row["error"],
            cost_usd=row["spent_usd"], processed_at=row["completed_at"],
        )  # fmt: skip
    return LLMAnalysis(
        signal_id=row["signal_id"],
        status=status,
        task_id=row["task_id"],
        rating=row["rating"],
        choppiness=cast("Choppiness | None", row["choppiness"]),
        parse_method=_method(row["parse_method"]),
        warnings=tuple(str(warning) for warning in row["warnings"] or ()),
        error=row["unrated_reason"],
        attempts=row["attempts"] or 0,
        processed_at=row["processed_at"] or row["completed_at"],
        **{name: row[name] for name in _SAME_NAMES},
    )


_SAME_NAMES = (
    "analysis", "recommendations", "model_requested", "model_served", "provider", "generation_id",
    "finish_reason", "prompt_tokens", "completion_tokens", "cost_usd", "queue_ms", "api_ms", "total_ms",
    "prompt_text", "prompt_version", "raw_reply",
)  # fmt: skip


def _method(value: object) -> ParseMethod:
    return ParseMethod(value) if value in set(ParseMethod) else ParseMethod.NONE


def analysis_from_mapping(signal_id: str, values: Mapping[str, Any]) -> LLMAnalysis:
    """A completed analysis from a caller's mapping with the names of LLMAnalysis.

    A rating that is not an integer from 1 to 5 and a choppiness that is not yes or no become None, with
    the reason in ``error``; they are never replaced by a default.
    """
    given = values.get("rating")
    rating = _rating(int(given) if isinstance(given, float) and given.is_integer() else given)
    reason = values.get("error") or values.get("unrated_reason")
    if rating is None and given is not None:
        reason = reason or f"not a rating: {_shown(given)[:50]!r}"
    choppiness = values.get("choppiness")
    cost = values.get("cost_usd")
    warnings = values.get("warnings") or ()
    return LLMAnalysis(
        signal_id=signal_id,
        status=TaskStatus.COMPLETED,
        rating=rating,
        choppiness=choppiness if choppiness in ("yes", "no") else None,
        parse_method=_method(values.get("parse_method", values.get("method"))),
        warnings=(warnings,) if isinstance(warnings, str) else tuple(map(_shown, warnings)),
        error=None if reason is None else _shown(reason),
        prompt_tokens=_count(values.get("prompt_tokens")),
        completion_tokens=_count(values.get("completion_tokens")),
        cost_usd=None if cost is None or isinstance(cost, bool) else _decimal(cost),
        queue_ms=to_price(values.get("queue_ms")),
        api_ms=to_price(values.get("api_ms")),
        total_ms=to_price(values.get("total_ms")),
        attempts=_count(values.get("attempts")) or 0,
        processed_at=parse_time(values.get("processed_at")) or datetime.now(UTC),
        **{name: None if values.get(name) is None else _shown(values[name]) for name in _TEXTS},
    )


_TEXTS = (
    "analysis", "recommendations", "model_requested", "model_served", "provider", "generation_id",
    "finish_reason", "prompt_text", "prompt_version", "raw_reply",
)  # fmt: skip


def _decimal(value: object) -> Decimal | None:
    try:
        return Decimal(_shown(value))
    except ArithmeticError:
        return None
