"""What the loops of the worker have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from llm_integration.availability import Availability
from llm_integration.config import LLMConfig
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.ports import Record
from llm_integration.worker.book import TaskBook
from llm_integration.worker.ports import WorkerOutbox

__all__ = ["Shared"]


@dataclass(frozen=True, slots=True)
class Shared:
    """The book, its neighbours and the clocks. ``turn`` is awaited before a piece of computing.

    ``wake`` has the intake look again: there may be something to ask, or room to ask in. ``idle`` is set
    when every signal has its end, for whoever waits for that.
    """

    config: LLMConfig
    store: SignalMemoryStore
    book: TaskBook
    database: Record | None
    outbox: WorkerOutbox | None
    availability: Availability
    worker_id: str
    clock: Callable[[], float]
    wall: Callable[[], datetime]
    turn: Callable[[], Awaitable[None]]
    wake: asyncio.Event
    idle: asyncio.Event
