"""What the worker needs from its neighbours beside the record, as Protocols: any such object will do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from llm_integration.domain import Claim, LLMAnalysis, Signal
from llm_integration.llm_processor import Completion
from llm_integration.routing import CallPlan

__all__ = ["AnalysisSink", "Processor", "WorkerOutbox"]


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
