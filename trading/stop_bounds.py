"""How long the program may take to end after SIGINT or SIGTERM: who waits how long, in one table.

Whatever is stuck, the steps follow one another and none gets more than stands here, so their sum is the
bound of the whole. What has not come about by then is found again by the next run: signals and answers in
the outbox, rows from PostgreSQL, the session with ``--resume``.
"""

from __future__ import annotations

from dataclasses import dataclass

from llm_integration.sidecar import CloseBounds

__all__ = ["LAST_RESORT_SECONDS", "PATIENT", "PROMISED_SECONDS", "STOP", "StopBounds"]

PROMISED_SECONDS = 10.0
"""What ``docs/guarantees.md`` promises, from the signal to the end of the process."""
LAST_RESORT_SECONDS = 9.5
"""When a thread ends the process that is still there: its event loop is blocked, or a disk hangs."""


@dataclass(frozen=True, slots=True)
class StopBounds:
    """Seconds for each step of the end, in their order. ``total`` is what they add up to."""

    sidecar: CloseBounds
    """For the parts of the sidecar, after the last picture."""
    bar: float = 0.1
    """The bar that is under way."""
    answers: float = 1.5
    """For signals that are still to be answered; before the first bar, for a set-up that is cut short."""
    screen: float = 0.4
    """For the last picture of the dashboard."""
    leaving: float = 0.4
    """For Python itself to leave."""

    @property
    def total(self) -> float:
        """The bound of all steps, one after the other."""
        return self.bar + self.answers + self.screen + self.sidecar.total + self.leaving


STOP = StopBounds(
    CloseBounds(
        worker=1.3,
        worker_margin=1.0,
        late_answers=0.1,
        stores=1.5,
        background=0.3,
        session=0.8,
        connections=0.4,
        server_lock=0.3,
        server_fast=0.8,
        server_immediate=0.3,
        server_killed=0.2,
    )
)
"""After a signal."""

PATIENT = CloseBounds(
    worker=3.0,
    worker_margin=1.0,
    late_answers=2.0,
    stores=6.0,
    background=1.0,
    session=2.0,
    connections=2.0,
    server_lock=1.0,
    server_fast=10.0,
    server_immediate=1.0,
    server_killed=1.0,
)
"""At the end of the bars, where nobody has asked to be quick; a signal makes the step under way a short one.

The wait for answers is ``drain_timeout_seconds`` there.
"""
