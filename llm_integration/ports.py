"""The seams between the sidecar and what a host may replace, as Protocols: any object of the shape will do.

Each has a suite in ``tests/contracts`` that every implementation can be run against.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Generator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from llm_integration.calls import (
    ChatRequest,
    Failed,
    ModelInfo,
    Profile,
    RawReply,
    Refusal,
    Reply,
    WireRequest,
)
from llm_integration.domain import Bar, Claim, LLMAnalysis, Opinion, Signal, TaskScope

__all__ = ["Feed", "Provider", "Record", "Sink"]


class Sink(Protocol):
    """Where bars and finished analyses go; ``LLMCSVExporter`` is one.

    Every call comes in the thread of the sidecar's event loop or of the host, returns at once, and keeps
    blocking work for a thread of its own. What it raises is logged, counted and costs nobody else anything.
    """

    def start(self) -> None:
        """Get ready; called again it does nothing."""
        ...

    def record_bar(
        self, session_id: str | None, symbol: str, bar: Bar, signal: Signal | None = None
    ) -> object:
        """One closed bar, in bar order within its session and symbol, with the signal that it brought."""
        ...

    def write_analysis(self, signal: Signal, analysis: LLMAnalysis) -> object:
        """How one signal ended; each signal once."""
        ...

    def close(self, timeout: float = 10.0) -> object:
        """Write what waits and let go, within ``timeout`` seconds. Called in a thread; it may block."""
        ...


class Record(Protocol):
    """Where signals, tasks and results are kept; ``DatabaseManager`` is one, ``MemoryRecord`` another.

    A signal has one task, which is ``pending``, ``processing`` or has its end. Who works on a task holds a
    *claim* on it, good until somebody else is given a newer one. A task is *held* while the later of two
    leases lasts: its own, set when it was reserved or claimed, and that of its worker, which ``heartbeat``
    extends. What is held is left alone by all other workers; any other task without an end may be taken.

    Every call is bounded in time by the implementation, and may be repeated. An exception with ``retryable =
    False`` means that repeating cannot help, one with ``answered = True`` that the record is there and
    refuses this. Ids may be any text. Nothing is promised to be stored before a call has returned.
    """

    async def record_signals(self, signals: Sequence[Signal], *, worker_id: str | None = None) -> int:
        """Store signals and their tasks; with ``worker_id`` each new task is reserved for that worker.

        A stored signal, its task and an earlier reservation stay as they are. Returns how many are settled:
        stored, or refused for good with a message.
        """
        ...

    async def claim_signals(
        self, signals: Sequence[Signal], *, worker_id: str, lease_seconds: float
    ) -> dict[str, Claim]:
        """Make sure that signals and tasks are stored, and claim those that are free, by signal id.

        Missing from the answer: those that have their end, and those that another worker holds.
        """
        ...

    async def claim_waiting(
        self, *, worker_id: str, limit: int, lease_seconds: float, exclude: Collection[str] = ()
    ) -> list[tuple[Claim, Signal]]:
        """Claim the oldest tasks that wait, or that were left by a worker whose leases have run out.

        Only such as ``work_for`` allows, and what is reserved for this worker. ``exclude`` are signals that
        it knows of; they are looked up while it works and may change. Each comes with its signal's bars.
        """
        ...

    def work_for(self, scope: TaskScope) -> None:
        """From now on ``claim_waiting`` takes only what ``scope`` allows, and new tasks bear its endpoint."""
        ...

    async def save_outcomes(self, outcomes: Sequence[tuple[LLMAnalysis, Claim | None]]) -> set[str]:
        """Store results and end their tasks, each with its task or not at all; the ids that were accepted.

        Fenced: with a claim, the task must still have that claim; without one, no other living worker may
        hold it, and a signal that never arrived gets a task that ends so. The same outcome again is accepted
        and changes nothing.
        """
        ...

    async def finished_analyses(self, signal_ids: Sequence[str]) -> list[LLMAnalysis]:
        """How those of these signals ended that have their end, in no order."""
        ...

    async def save_opinions(self, signal_id: str, opinions: Sequence[Opinion]) -> None:
        """Store what shadows said about a signal, behind what is there. Raises when it has no task."""
        ...

    async def release(self, claims: Sequence[Claim]) -> None:
        """Make claimed tasks ``pending`` again, free for anybody; claims that are void are passed over."""
        ...

    async def heartbeat(self, worker_id: str, *, lease_seconds: float) -> None:
        """Extend the worker's lease from now: what it holds stays its own."""
        ...

    async def retire_worker(self, worker_id: str) -> None:
        """End the worker's lease: what it still holds is ``pending`` and may be taken at once.

        Its claims stay good until somebody else is given the task: a result on its way is not lost.
        """
        ...


class Feed(Protocol):
    """Where the closed bars of one instrument come from, one after the other; ``CsvFeed`` is one.

    ``open`` is awaited once, then ``bars`` is read once. Nothing here may block the event loop.
    """

    @property
    def source(self) -> str:
        """What the bars come from; noted with the session, which goes on with the same source alone."""
        ...

    async def open(self) -> int | None:
        """Get ready; how many bars there will be, None when nobody can say.

        Raises BarDataError, one line long, for what cannot be traded.
        """
        ...

    def bars(self, known_until: datetime | None = None) -> AsyncIterator[Bar]:
        """The closed bars, each later than the one before, as long as there are any to come.

        Of a run that goes on ``known_until`` is the time of the last bar that was traded. A feed that has
        bars up to it hands them out again, from its first and at once, so that strategies warm up; another
        one begins behind it. The reader may stop at any bar, or in the wait for one: an async generator is
        cancelled and closed then.
        """
        ...


class Provider(Protocol):
    """How one kind of server is asked and what its answers mean; ``providers.Compatible`` is one.

    Limits, retries, deadlines, budgets and the connection are the client's. Everything here is called in its
    event loop and returns at once; nothing raises for what a server sends. Subclass it: what a simple server
    has no need of is answered here.
    """

    profile: Profile

    def encode(self, request: ChatRequest) -> WireRequest:
        """``request`` in the server's words."""
        ...

    def decode(self, response: RawReply) -> Reply | Failed | Generator[None, None, Reply | Failed]:
        """What ``response`` is worth: a usable reply, or the error it stands for, whatever its status says.

        What takes longer than half a millisecond is done in steps, each in a turn of the loop of its own.
        """
        ...

    def read_models(
        self, body: bytes, *, between: Callable[[], object] = lambda: None
    ) -> Mapping[str, ModelInfo]:
        """By id the models in the answer to ``GET`` of ``profile.models_path``, with their prices.

        Called in a thread; ``between`` after each model. Raises ValueError if there is no list in it.
        """
        ...

    def adapt(self, sent: WireRequest, refusal: Refusal, *, bounded: bool) -> tuple[str, ...] | None:
        """Ask differently from now on, because the server refused a field of ``sent``; None if nothing helps.

        What is new about it is returned, each as the end of a sentence that begins with the model's name; the
        request is encoded anew and sent again at once. ``bounded``: the longest reply must stay bounded.
        """
        return None

    def answered(self, sent: WireRequest) -> None:
        """``sent``, which had ``changes``, got its reply: they are right."""
        return

    async def start(self) -> None:
        """Get ready; awaited once before the first request, and by it."""
        return

    async def close(self) -> None:
        """Let go; cut off when it takes longer than a moment."""
        return
