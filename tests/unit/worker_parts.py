"""Small complete neighbours for the worker's unit tests: a scripted model and a database in memory."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from llm_integration import LLMConfig
from llm_integration.availability import Availability
from llm_integration.domain import Claim, LLMAnalysis, Opinion, Signal, TaskScope
from llm_integration.llm_processor import Completion
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.ports import Record
from llm_integration.routing import CallPlan
from llm_integration.worker.book import TaskBook
from llm_integration.worker.ports import WorkerOutbox
from llm_integration.worker.shared import Shared

GOOD_REPLY = '{"rating": 4, "choppiness": "no", "analysis": "Clean trend.", "recommendations": "Take it."}'


def signal_mapping(signal_id: str, **data: Any) -> dict[str, Any]:
    """A signal as a host hands it over."""
    return {
        "signal_id": signal_id,
        "signal_data": {
            "timestamp": "2026-01-05T10:00:00+00:00", "symbol": "EURUSD", "signal_type": "BUY",
            "entry_price": 1.1, "stop_loss": 1.09, "target_price": 1.12, **data,
        },
    }  # fmt: skip


def no_turns() -> Awaitable[None]:
    """A turn that comes at once, in the next round of the loop."""
    return asyncio.sleep(0)


def shared_parts(
    database: Record | None = None,
    outbox: WorkerOutbox | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    turn: Callable[[], Awaitable[None]] = no_turns,
    lease_seconds: float = 20.0,
    **settings: Any,
) -> Shared:
    """What the loops of a worker have in common, with an empty book."""
    config = LLMConfig(base_url="http://127.0.0.1:9/v1", **settings)
    store = SignalMemoryStore(clock=clock)
    book = TaskBook(store, max_age_seconds=config.signal_max_age_seconds, lease_seconds=lease_seconds)
    return Shared(
        config, store, book, database, outbox, Availability(clock), "me", clock=clock,
        wall=lambda: datetime.now(UTC), turn=turn, wake=asyncio.Event(), idle=asyncio.Event(),
    )  # fmt: skip


def completion(text: str = GOOD_REPLY, cost: Decimal | None = Decimal("0.0001")) -> Completion:
    """An answer of the model."""
    return Completion(
        text=text, finish_reason="stop", model_requested="asked/model", model_served="served/model",
        provider="Provider", generation_id="gen-1", prompt_tokens=100, completion_tokens=20,
        cost_usd=cost, attempts=1, api_ms=5.0, wait_ms=0.0,
    )  # fmt: skip


class ScriptedProcessor:
    """Answers each call with the next step: a text, an exception, or an event to wait for first."""

    def __init__(self, *steps: str | Exception | asyncio.Event, ready_in: float = 0.0) -> None:
        self.steps = deque(steps)
        self.prompts: list[str] = []
        self.plans: list[CallPlan | None] = []
        self.symbols: list[dict[str, int]] = []
        self.requests_left = 1_000
        self.called = asyncio.Event()
        self.wait = ready_in
        self.closed = False

    async def complete(
        self,
        prompt: str,
        *,
        system: str | None = None,
        deadline: float | None = None,
        plan: CallPlan | None = None,
        symbols: Mapping[str, int] | None = None,
    ) -> Completion:
        self.prompts.append(prompt)
        self.plans.append(plan)
        self.symbols.append(dict(symbols or {}))
        self.called.set()
        step = self.steps.popleft() if self.steps else GOOD_REPLY
        if isinstance(step, asyncio.Event):
            await step.wait()
            step = GOOD_REPLY
        if isinstance(step, Exception):
            raise step
        return completion(step)

    def ready_in(self) -> float:
        return self.wait

    def room(self) -> tuple[int, float]:
        left = self.requests_left - len(self.prompts)
        return (left, 0.0) if left > 0 else (0, 0.01)

    def stopped_reason(self) -> str | None:
        return "the line is stopped" if self.wait else None

    def statistics(self) -> dict[str, Any]:
        return {"requests": len(self.prompts)}

    async def close(self) -> None:
        self.closed = True


class MemoryDatabase:
    """The worker's view of PostgreSQL, in dictionaries, with faults on request."""

    def __init__(self) -> None:
        self.results: dict[str, LLMAnalysis] = {}
        self.live: dict[str, Claim] = {}
        self.waiting: deque[tuple[Claim, Signal]] = deque()
        self.elsewhere: set[str] = set()
        self.claims_shown: dict[str, Claim | None] = {}
        self.released: list[str] = []
        self.given_back = asyncio.Event()
        self.recorded: list[str] = []
        self.stored = asyncio.Event()
        self.opinions: dict[str, list[Opinion]] = {}
        self.heard = asyncio.Event()
        self.batches: list[int] = []
        self.beats = 0
        self.cleanups = 0
        self.retired: list[str] = []
        self.looks = 0
        self.fault: Exception | None = None
        self.looked = asyncio.Event()

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def record_signals(self, signals: Sequence[Signal], *, worker_id: str | None = None) -> int:
        self._check()
        self.recorded += [signal.signal_id for signal in signals]
        self.stored.set()
        return len(signals)

    async def claim_signals(
        self, signals: Sequence[Signal], *, worker_id: str, lease_seconds: float
    ) -> dict[str, Claim]:
        self._check()
        granted = {
            signal.signal_id: Claim(index, signal.signal_id, str(uuid.uuid4()))
            for index, signal in enumerate(signals)
            if signal.signal_id not in self.elsewhere and signal.signal_id not in self.results
        }
        self.live |= granted
        return granted

    async def claim_waiting(
        self, *, worker_id: str, limit: int, lease_seconds: float, exclude: Collection[str] = ()
    ) -> list[tuple[Claim, Signal]]:
        self._check()
        self.looks += 1
        self.looked.set()
        return [self.waiting.popleft() for _ in range(min(limit, len(self.waiting)))]

    def work_for(self, scope: TaskScope) -> None:
        """Everything here is this worker's."""

    async def save_outcomes(self, outcomes: Sequence[tuple[LLMAnalysis, Claim | None]]) -> set[str]:
        self._check()
        self.batches.append(len(outcomes))
        self.claims_shown |= {analysis.signal_id: claim for analysis, claim in outcomes}
        fresh = {
            analysis.signal_id: analysis
            for analysis, _ in outcomes
            if analysis.signal_id not in self.elsewhere
        }
        self.results |= fresh
        return set(fresh)

    async def finished_analyses(self, signal_ids: Sequence[str]) -> list[LLMAnalysis]:
        self._check()
        return [self.results[name] for name in signal_ids if name in self.results]

    async def save_opinions(self, signal_id: str, opinions: Sequence[Opinion]) -> None:
        self._check()
        self.opinions.setdefault(signal_id, []).extend(opinions)
        self.heard.set()

    async def release(self, claims: Sequence[Claim]) -> None:
        self._check()
        self.released += [claim.signal_id for claim in claims]
        self.given_back.set()

    async def heartbeat(self, worker_id: str, *, lease_seconds: float) -> None:
        self._check()
        self.beats += 1

    async def retire_worker(self, worker_id: str) -> None:
        self.retired.append(worker_id)


class Sink:
    """Remembers what would go to CSV."""

    def __init__(self) -> None:
        self.rows: list[tuple[Signal, LLMAnalysis]] = []
        self.started = False
        self.arrived = asyncio.Event()

    def start(self) -> None:
        self.started = True

    def write_analysis(self, signal: Signal, analysis: LLMAnalysis) -> None:
        self.rows.append((signal, analysis))
        self.arrived.set()


class KeptOnDisk:
    """Remembers what the worker wants to have kept on disk."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[LLMAnalysis, Claim | None]] = {}
        self.ever: list[str] = []
        self.signals: dict[str, Signal] = {}
        self.kept = asyncio.Event()
        self.started = False

    def start(self) -> None:
        self.started = True

    def keep_signal(self, signal: Signal) -> None:
        self.signals[signal.signal_id] = signal
        self.kept.set()

    def forget_signal(self, signal: Signal) -> None:
        self.signals.pop(signal.signal_id, None)

    def keep_outcome(self, signal: Signal, analysis: LLMAnalysis, claim: Claim | None = None) -> None:
        self.held[signal.signal_id] = analysis, claim
        self.ever.append(signal.signal_id)
        self.kept.set()

    def forget_outcome(self, signal: Signal) -> None:
        self.held.pop(signal.signal_id, None)
