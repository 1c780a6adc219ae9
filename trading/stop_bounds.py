"""How long the program may take to end after SIGINT or SIGTERM: who waits how long, in one table.

Whatever is stuck, the steps follow one another and none gets more than stands here, so their sum is the
bound of the whole. What has not come about by then is found again by the next run: signals and answers in
the outbox, rows from PostgreSQL, the session with ``--resume``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["LAST_RESORT_SECONDS", "PATIENT", "PROMISED_SECONDS", "STOP", "StopBounds"]

PROMISED_SECONDS = 10.0
"""What ``docs/guarantees.md`` promises, from the signal to the end of the process."""
LAST_RESORT_SECONDS = 9.5
"""When a thread ends the process that is still there: its event loop is blocked, or a disk hangs."""


@dataclass(frozen=True, slots=True)
class StopBounds:
    """Seconds for each step of the end, in their order. ``total`` is what they add up to."""

    bar: float
    """The bar that is under way."""
    answers: float
    """For signals that are still to be answered; before the first bar, for a set-up that is cut short."""
    screen: float
    """For the last picture of the dashboard."""
    worker: float
    """For requests that are on their way: what ``worker.stop`` is given."""
    worker_margin: float
    """What ``worker.stop`` may take beyond that, by its contract."""
    stores: float
    """For what waits for PostgreSQL, for the CSV files and for the ledger, side by side."""
    background: float
    """For the tasks behind the trading, which are cancelled."""
    session: float
    """For the state of the session and, beside it, the outbox."""
    connections: float
    """For the connections to PostgreSQL and, beside them, the simulator."""
    server_lock: float
    """For another program that starts or stops the embedded server."""
    server_fast: float
    """For the embedded server to end in order."""
    server_immediate: float
    """For it to end at once."""
    server_killed: float
    """For it to be gone after it was killed."""
    leaving: float
    """For Python itself to leave."""

    @property
    def total(self) -> float:
        """The bound of all steps, one after the other."""
        return sum(float(getattr(self, field.name)) for field in fields(self))

    @property
    def whole_worker(self) -> float:
        """The two of the worker together."""
        return self.worker + self.worker_margin

    @property
    def server(self) -> float:
        """The four of the embedded server together."""
        return self.server_lock + self.server_fast + self.server_immediate + self.server_killed


STOP = StopBounds(
    bar=0.1,
    answers=1.5,
    screen=0.4,
    worker=1.3,
    worker_margin=1.0,
    stores=1.5,
    background=0.3,
    session=0.8,
    connections=0.4,
    server_lock=0.3,
    server_fast=0.8,
    server_immediate=0.3,
    server_killed=0.2,
    leaving=0.4,
)
"""After a signal."""

PATIENT = StopBounds(
    bar=0.1,
    answers=0.0,
    screen=0.4,
    worker=3.0,
    worker_margin=1.0,
    stores=6.0,
    background=1.0,
    session=2.0,
    connections=2.0,
    server_lock=1.0,
    server_fast=10.0,
    server_immediate=1.0,
    server_killed=1.0,
    leaving=0.4,
)
"""At the end of the bars, where nobody has asked to be quick; a signal makes the step under way a short one.

The wait for answers is ``drain_timeout_seconds`` there.
"""
