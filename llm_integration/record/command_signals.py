"""Stored signals as they would be asked about, and stored prompts, for the commands of a shell."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from llm_integration.domain import Signal
from llm_integration.record.connections import Connections
from llm_integration.record.reports import CHUNK
from llm_integration.record.rows import Row, signal_from_row
from llm_integration.record.statements import load
from llm_integration.record.storable import clean_key

__all__ = ["PromptSample", "StoredSignal", "StoredSignals"]

_STATEMENTS = load("commands.sql")
SIGNALS = _STATEMENTS["SIGNALS"]
PROMPTS = _STATEMENTS["PROMPTS"]


@dataclass(frozen=True, slots=True)
class StoredSignal:
    """A signal with its bars. ``status`` is its task's, None without one.

    ``model`` is the one that somebody wants to be asked the next time, None for the usual way.
    """

    signal: Signal
    status: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class PromptSample:
    """The messages behind one answer; they were about ``batch_size`` signals."""

    system: str | None
    user: str
    batch_size: int


class StoredSignals:
    """Reads for looking at prompts and routes. Not for a trading loop."""

    _connections: Connections

    async def stored_signal(self, signal_id: str) -> StoredSignal | None:
        """The signal with this id; None if there is none."""
        rows = await self._connections.fetch("reading a signal", SIGNALS, clean_key(signal_id), 1)
        return _stored(rows[0]) if rows else None

    async def latest_signals(self, count: int) -> list[StoredSignal]:
        """At most ``count`` signals, the one that was stored last first."""
        stream = self._connections.stream("reading signals", SIGNALS, None, count, chunk=CHUNK)
        async with aclosing(stream) as rows:
            return [_stored(row) async for row in rows]

    async def iter_prompts(
        self,
        count: int,
        session_id: str | None = None,
        since: datetime | None = None,
        *,
        simulated: bool = False,
    ) -> AsyncGenerator[PromptSample, None]:
        """The messages of at most ``count`` answers, the newest first; streamed."""
        key = None if session_id is None else clean_key(session_id)
        stream = self._connections.stream(
            "reading prompts", PROMPTS, key, since, simulated, count, chunk=CHUNK
        )
        async with aclosing(stream) as rows:
            async for row in rows:
                yield PromptSample(row["system_text"], row["prompt_text"], row["batch_size"] or 1)


def _stored(row: Row) -> StoredSignal:
    context = row["context"]
    model = context.get("model") if isinstance(context, Mapping) else None
    return StoredSignal(
        signal_from_row(row), row["status"], model if isinstance(model, str) and model else None
    )
