"""What the worker needs from its neighbours, as Protocols: any object of this shape will do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from llm_integration.domain import Claim, LLMAnalysis, Opinion, Signal
from llm_integration.llm_processor import Completion
from llm_integration.routing import CallPlan

__all__ = ["AnalysisSink", "Processor", "TaskDatabase", "WorkerOutbox"]


class TaskDatabase(Protocol):
    """The record of tasks and results; ``database.DatabaseManager`` is one.

    Every call is bounded in time by the implementation. An exception with ``retryable = False`` means
    that repeating the same call cannot help.
    """

    async def record_signals(self, signals: Sequence[Signal], *, worker_id: str | None = None) -> int:
        """Store signals and their tasks, reserved for the worker; repeating it changes nothing.

        Returns how many are settled: stored, or refused for good with a message.
        """
        ...

    async def claim_signals(
        self, signals: Sequence[Signal], *, worker_id: str, lease_seconds: float
    ) -> dict[str, Claim]:
        """Make sure that signals and tasks are stored, and claim those that are free, by signal id."""
        ...

    async def claim_waiting(
        self, *, worker_id: str, limit: int, lease_seconds: float, exclude: Collection[str] = ()
    ) -> list[tuple[Claim, Signal]]:
        """Claim the oldest tasks that wait or were abandoned by a worker whose lease ran out.

        ``exclude`` are signals the worker knows of. They are looked up while it works and may change.
        """
        ...

    async def save_outcomes(self, outcomes: Sequence[tuple[LLMAnalysis, Claim | None]]) -> set[str]:
        """Store results and end their tasks; the ids that were accepted, not refused by the fence."""
        ...

    async def finished_analyses(self, signal_ids: Sequence[str]) -> list[LLMAnalysis]:
        """How those of these signals ended that have their end."""
        ...

    async def save_opinions(self, signal_id: str, opinions: Sequence[Opinion]) -> None:
        """Store what shadows said about a signal."""
        ...

    async def release(self, claims: Sequence[Claim]) -> None:
        """Make claimed tasks ``pending`` again."""
        ...

    async def heartbeat(self, worker_id: str, *, lease_seconds: float) -> None:
        """Extend the worker's lease from now."""
        ...

    async def retire_worker(self, worker_id: str) -> None:
        """End the worker's lease: what it still holds may be taken at once."""
        ...


class WorkerOutbox(Protocol):
    """Where signals and results are kept on disk while the database does not have them.

    ``database.Outbox`` is one. Every call returns at once and never fails.
    """

    def start(self) -> None:
        """Get ready to keep things; called again it does nothing."""
        ...

    def keep_signal(self, signal: Signal) -> None:
        """Keep a signal; one of the same id is replaced."""
        ...

    def forget_signal(self, signal: Signal) -> None:
        """The database has it, or refuses it for good."""
        ...

    def keep_outcome(self, signal: Signal, analysis: LLMAnalysis, claim: Claim | None = None) -> None:
        """Keep a result; one of the same signal is replaced."""
        ...

    def forget_outcome(self, signal: Signal) -> None:
        """The database has it, or refuses it for good."""
        ...


class AnalysisSink(Protocol):
    """Where finished analyses go besides the database; ``LLMCSVExporter`` is one. Never blocks."""

    def start(self) -> None:
        """Get ready to take analyses; called again it does nothing."""
        ...

    def write_analysis(self, signal: Signal, analysis: LLMAnalysis) -> object:
        """Take one finished analysis."""
        ...


class Processor(Protocol):
    """One answered call to a model; ``LLMProcessor`` is one."""

    async def complete(
        self,
        prompt: str,
        *,
        system: str | None = None,
        deadline: float | None = None,
        plan: CallPlan | None = None,
        symbols: Mapping[str, int] | None = None,
    ) -> Completion:
        """The reply of the plan's model, or a CallError. ``symbols`` counts the signals in the prompt."""
        ...

    def room(self) -> tuple[int, float]:
        """How many requests may be sent now, and if none, the seconds until one may."""
        ...

    def ready_in(self) -> float:
        """Seconds until a request may be sent; 0 when one may be sent now."""
        ...

    def stopped_reason(self) -> str | None:
        """Why no request is sent at present, in one line; None when requests are sent."""
        ...

    def statistics(self) -> dict[str, Any]:
        """Counters and states for the dashboard."""
        ...

    async def close(self) -> None:
        """Give connections back; returns within a second."""
        ...
