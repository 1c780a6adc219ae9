"""A signal in hand as a task, the request that asks about one or several of them, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, auto

from llm_integration.domain import Claim, LLMAnalysis, Signal
from llm_integration.routing import RouteChoice
from llm_integration.signal_formatter import SignalFormatter

__all__ = ["Phase", "Request", "RequestReport", "Task", "added"]


class Phase(Enum):
    """Where a task is. Each change is made by the book, on a word of whoever has the task in hand."""

    IN_LINE = auto()
    """It is asked about next, or as soon as a request may be sent."""
    PARKED = auto()
    """It waits for a moment of its own: room in a budget, a model that is back."""
    IN_HAND = auto()
    """The intake or a lane works on it, and nobody else does."""
    ANSWERED = auto()
    """It has its analysis."""
    GIVEN_UP = auto()
    """It is no task of ours any more: somebody else has it, or its signal waits in memory as before."""


@dataclass(slots=True, eq=False)
class Task:
    """One accepted signal. Times are seconds on the worker's monotonic clock.

    ``alone``: a request for several signals brought nothing for this one, so it is asked about by itself.
    ``spent`` and ``sent`` are what such requests are known to have cost it, and how many there were.
    ``held_up`` says why it was not asked about so far, if it was its turn. ``model`` is to be asked whatever
    the routes say, because somebody wants the signal rated again by it. ``adopted``: the task of another
    host's session, whose result is stored and not delivered here. ``failed_calls`` counts its calls that
    failed for a passing reason while others were answered, ``stops`` those that failed with everybody's.
    """

    signal: Signal
    accepted_at: float
    deadline: float
    claim: Claim | None = None
    from_memory: bool = True
    crashes: int = 0
    alone: bool = False
    spent: Decimal | None = None
    sent: int = 0
    held_up: str | None = None
    model: str | None = None
    adopted: bool = False
    failed_calls: int = 0
    stops: int = 0
    phase: Phase = Phase.IN_HAND
    signal_id: str = field(init=False)
    """The signal's id."""

    def __post_init__(self) -> None:
        self.signal_id = self.signal.signal_id

    def take(self, claim: Claim) -> None:
        """Two statements may have claimed the task for us at once: the later claim is the one that counts."""
        if self.claim is None or claim.attempts >= self.claim.attempts:
            self.claim = claim

    def charge(self, cost: Decimal | None, requests: int) -> None:
        """Remember what a request without an answer for this signal cost."""
        self.spent = added(self.spent, cost)
        self.sent += requests

    @property
    def has_history(self) -> bool:
        """Whether something happened to it that a new task for the same signal would not know."""
        return bool(self.sent or self.crashes or self.alone or self.failed_calls or self.stops)


@dataclass(frozen=True, slots=True)
class Request:
    """Tasks that are asked about together, the way they are asked, and the prompt that asks."""

    tasks: tuple[Task, ...]
    choice: RouteChoice
    formatter: SignalFormatter


@dataclass(slots=True)
class RequestReport:
    """What became of the tasks of a request, noted as it happens; what is in none of these is still open.

    ``later`` are those to be asked about again after so many seconds, and why.
    """

    ended: list[tuple[Task, LLMAnalysis]] = field(default_factory=list)
    again: list[Task] = field(default_factory=list)
    later: list[tuple[Task, float, str]] = field(default_factory=list)

    def ask_alone(self, tasks: list[Task]) -> None:
        """These are to be asked about again, each by itself."""
        for task in tasks:
            task.alone = True
        self.again += tasks


def added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """What is known of two amounts together; None when neither is."""
    if one is None or other is None:
        return one if other is None else other
    return one + other
