"""What became of signals: one row each, the host's own word over what bars tell."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from llm_integration.domain import Signal, to_price
from llm_integration.record.connections import Connections
from llm_integration.record.queries import rows_of
from llm_integration.record.reports import CHUNK
from llm_integration.record.rows import Row, signal_from_row
from llm_integration.record.statements import load
from llm_integration.record.storable import clean_key, json_rows
from llm_integration.worth.outcome import Exit, Outcome, OutcomeRecord, Reason
from llm_integration.worth.sessions import microseconds, moment_of

__all__ = ["COLUMNS", "OutcomeStore", "record_row"]

COLUMNS: Mapping[str, str] = {
    "signal_id": "text",
    "exit": "text",
    "reason": "text",
    "entry_at": "timestamptz",
    "entry_price": "float8",
    "exit_at": "timestamptz",
    "exit_price": "float8",
    "bars_held": "int4",
    "r_gross": "float8",
    "r_net": "float8",
    "r_optimistic": "float8",
    "mfe": "float8",
    "mae": "float8",
    "ambiguous": "bool",
    "reward_risk": "float8",
    "source": "text",
    "resolver_version": "text",
    "rules": "jsonb",
    "fill_at": "timestamptz",
    "fill_price": "float8",
}
_NAMES = ", ".join(COLUMNS)
_VALUES = [name for name in COLUMNS if name not in ("signal_id", "fill_at", "fill_price")]
_OLD, _NEW = (", ".join(f"{side}.{name}" for name in _VALUES) for side in ("o", "excluded"))

_STATEMENTS = load(
    "outcomes.sql",
    {
        "names": _NAMES,
        "incoming_outcomes": rows_of(COLUMNS, "x"),
        "changes": ", ".join(f"{name} = excluded.{name}" for name in _VALUES),
        "old_values": _OLD,
        "new_values": _NEW,
        "outcome_fields": ", ".join(f"o.{name}" for name in COLUMNS),
    },
)
SAVE_OUTCOMES = _STATEMENTS["SAVE_OUTCOMES"]
REPORTED_OUTCOMES = _STATEMENTS["REPORTED_OUTCOMES"]
ENDED_OUTCOMES = _STATEMENTS["ENDED_OUTCOMES"]
SIGNALS_BY_ID = _STATEMENTS["SIGNALS_BY_ID"]


class OutcomeStore:
    """Reads and writes ``signal_outcomes``. Raises DatabaseError."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def save(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store what ``record_row`` has made, of different signals; what is there already changes nothing."""
        if rows:
            await self._connections.fetch("storing outcomes", SAVE_OUTCOMES, json_rows(rows))

    async def signals(self, signal_ids: Sequence[str]) -> dict[str, Signal]:
        """Those of these signals that are stored, by the ids that were asked for."""
        keys = {clean_key(name): name for name in signal_ids}
        rows = await self._connections.fetch("reading signals", SIGNALS_BY_ID, list(keys))
        return {keys[row["signal_id"]]: signal_from_row(row) for row in rows}

    async def reported(self, session_id: str | None) -> list[OutcomeRecord]:
        """Outcomes and fills that hosts have reported: an outcome's source is ``host``, a fill's ``bars``."""
        key = None if session_id is None else clean_key(session_id)
        rows = await self._connections.fetch("reading reported outcomes", REPORTED_OUTCOMES, key)
        return [record_from_row(row) for row in rows]

    async def ended(
        self, session_id: str | None, symbol: str | None = None
    ) -> AsyncGenerator[OutcomeRecord, None]:
        """Every outcome but open ones; streamed."""
        key = None if session_id is None else clean_key(session_id)
        stream = self._connections.stream("reading outcomes", ENDED_OUTCOMES, key, symbol, chunk=CHUNK)
        async with aclosing(stream) as rows:
            async for row in rows:
                yield record_from_row(row)


def record_row(record: OutcomeRecord) -> dict[str, Any]:
    """The values of COLUMNS, storable."""
    one = record.outcome
    return {
        "signal_id": clean_key(one.signal_id),
        "exit": one.exit.value,
        "reason": None if one.reason is None else one.reason.value,
        "entry_at": _moment(one.entry_at),
        "entry_price": to_price(one.entry_price),
        "exit_at": _moment(one.exit_at),
        "exit_price": to_price(one.exit_price),
        "bars_held": one.bars_held or None if one.source == "host" else one.bars_held,
        "r_gross": to_price(one.r_gross),
        "r_net": to_price(one.r_net),
        "r_optimistic": to_price(one.r_optimistic),
        "mfe": to_price(one.mfe),
        "mae": to_price(one.mae),
        "ambiguous": one.ambiguous,
        "reward_risk": to_price(one.reward_risk),
        "source": one.source,
        "resolver_version": one.resolver_version,
        "rules": record.rules,
        "fill_at": _moment(record.fill_at),
        "fill_price": to_price(record.fill_price),
    }


def _moment(at: int | None) -> datetime | None:
    return None if at is None else moment_of(at)


def record_from_row(row: Row) -> OutcomeRecord:
    """What ``record_row`` has stored."""
    outcome = Outcome(
        row["signal_id"], Exit(row["exit"]), _reason(row["reason"]), _at(row["entry_at"]),
        row["entry_price"], _at(row["exit_at"]), row["exit_price"], row["bars_held"] or 0, row["r_gross"],
        row["r_net"], row["r_optimistic"], row["mfe"], row["mae"], row["ambiguous"], row["reward_risk"],
        row["source"], row["resolver_version"],
    )  # fmt: skip
    rules = row["rules"] if isinstance(row["rules"], Mapping) else {}
    return OutcomeRecord(outcome, rules, row["fill_price"], _at(row["fill_at"]))


def _reason(text: str | None) -> Reason | None:
    known = {reason.value: reason for reason in Reason}
    return None if text is None else known.get(text)


def _at(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds(moment)
