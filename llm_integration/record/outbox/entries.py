"""What an outbox holds, and how it is written down: JSON that gives back exactly what went in. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar, cast

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
        signal = _signal(data["signal"])
        if kind == "signal":
            return KeptSignal(signal, data.get("off_reason"))
        if kind == "outcome":
            claim = data.get("claim")
            return KeptOutcome(signal, _analysis(data["analysis"]), _build(Claim, claim) if claim else None)
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
    return kind(**{field.name: data[field.name] for field in fields(cast("Any", kind)) if field.name in data})


def _signal(data: dict[str, Any]) -> Signal:
    bars = tuple(Bar(_time(row[0]), *row[1:]) for row in data["bars"])
    warnings = tuple(data.get("warnings") or ())
    moment = parse_time(data["timestamp"])
    return _build(Signal, {**data, "timestamp": moment, "bars": bars, "warnings": warnings})


def _time(text: str) -> datetime:
    moment = parse_time(text)
    if moment is None:
        raise ValueError(f"not a time: {text!r}")
    return moment


def _analysis(data: dict[str, Any]) -> LLMAnalysis:
    return _build(
        LLMAnalysis,
        {
            **_reading(data),
            "status": TaskStatus(data["status"]),
            "warnings": tuple(data.get("warnings") or ()),
            "processed_at": parse_time(data.get("processed_at")),
            "opinions": tuple(_build(Opinion, _reading(item)) for item in data.get("opinions") or ()),
        },
    )


def _reading(data: dict[str, Any]) -> dict[str, Any]:
    cost = data.get("cost_usd")
    return {
        **data,
        "parse_method": ParseMethod(data.get("parse_method", "none")),
        "cost_usd": None if cost is None else Decimal(cost),
    }
