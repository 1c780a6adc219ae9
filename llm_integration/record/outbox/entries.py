"""What an outbox holds, and how it is written down: JSON that gives back exactly what went in. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, cast, get_type_hints

from llm_integration.domain import (
    Bar,
    Claim,
    LLMAnalysis,
    Opinion,
    ParseMethod,
    Signal,
    TaskStatus,
    parse_time,
)
from llm_integration.record.storable import clean_key

__all__ = ["Entry", "KeptOutcome", "KeptSignal", "decode", "encode"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KeptSignal:
    """A signal that PostgreSQL has not confirmed. With ``off_reason`` its task is to end as expired."""

    signal: Signal
    off_reason: str | None = None

    @property
    def name(self) -> tuple[str, str]:
        """Kind and key: an entry of the same name replaces this one."""
        return "signal", clean_key(self.signal.signal_id)


@dataclass(frozen=True, slots=True)
class KeptOutcome:
    """A finished analysis that PostgreSQL has not confirmed, with the claim it was reached under."""

    signal: Signal
    analysis: LLMAnalysis
    claim: Claim | None = None

    @property
    def name(self) -> tuple[str, str]:
        """Kind and key: an entry of the same name replaces this one."""
        return "outcome", clean_key(self.signal.signal_id)


Entry = KeptSignal | KeptOutcome


def encode(entry: Entry) -> bytes:
    """``entry`` as JSON in ASCII: text that no file could take (a lone surrogate) comes back as it was."""
    return json.dumps(_plain(entry), default=_plain, separators=(",", ":")).encode("ascii")


def decode(kind: str, body: bytes) -> Entry:
    """What ``encode`` was given. Raises ValueError for anything it cannot have written."""
    try:
        data = json.loads(body)
        signal = _build(Signal, data["signal"])
        if kind == "signal":
            return KeptSignal(signal, data.get("off_reason"))
        if kind == "outcome":
            claim = data.get("claim")
            return KeptOutcome(
                signal, _build(LLMAnalysis, data["analysis"]), _build(Claim, claim) if claim else None
            )
    except (KeyError, TypeError, AttributeError, RecursionError, ArithmeticError) as error:
        raise ValueError(f"not an entry of an outbox: {error}") from error
    raise ValueError(f"unknown kind of entry {kind!r}")


def _plain(value: object) -> object:
    """Records as objects, times as ISO 8601, amounts of money as text: none of them may lose a digit."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    return {field.name: getattr(value, field.name) for field in fields(cast("Any", value))}


def _build(kind: type[T], data: Mapping[str, Any]) -> T:
    """A record from its fields; those that another version of this program knew are left out."""
    given = {name: read(data[name]) for name, read in _readers(cast(Any, kind)).items() if name in data}
    return kind(**given)


@cache
def _readers(kind: type[Any]) -> dict[str, Callable[[Any], Any]]:
    """What makes a field's value of what JSON has for it: by its type, so a new field needs nothing here."""
    hints = get_type_hints(kind)
    return {field.name: _READERS.get(hints[field.name], _as_is) for field in fields(kind)}


def _as_is(value: Any) -> Any:
    return value


def _decimal(text: Any) -> Decimal | None:
    return None if text is None else Decimal(text)


def _time(text: str) -> datetime:
    moment = parse_time(text)
    if moment is None:
        raise ValueError(f"not a time: {text!r}")
    return moment


def _bars(rows: Any) -> tuple[Bar, ...]:
    return tuple(Bar(_time(row[0]), *row[1:]) for row in rows)


def _texts(items: Any) -> tuple[str, ...]:
    return tuple(items or ())


def _opinions(items: Any) -> tuple[Opinion, ...]:
    return tuple(_build(Opinion, item) for item in items or ())


_READERS: Mapping[object, Callable[[Any], Any]] = {
    Decimal | None: _decimal,
    datetime | None: parse_time,
    ParseMethod: ParseMethod,
    TaskStatus: TaskStatus,
    tuple[str, ...]: _texts,
    tuple[Opinion, ...]: _opinions,
    Sequence[Bar]: _bars,
}
