"""How long a sidecar may take to end: who waits how long, in one table."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["CLOSE", "CloseBounds"]


@dataclass(frozen=True, slots=True)
class CloseBounds:
    """Seconds for each step of ``Sidecar.close``, in their order. ``total`` is what they add up to.

    What has not come about by then is found again by the next run.
    """

    worker: float = 2.0
    """For requests that are on their way."""
    worker_margin: float = 1.0
    """What ``worker.stop`` may take beyond that, by its contract."""
    sinks: float = 2.0
    """For files and sinks of the host's own, side by side."""
    sinks_margin: float = 0.6
    background: float = 0.3
    """For the tasks behind the worker, which are cancelled."""
    outcomes: float = 0.4
    """For outcomes that PostgreSQL does not have yet."""
    ledger: float = 0.7
    outbox: float = 0.8
    connections: float = 0.6
    server: float = 1.6
    """For the embedded server, if this process is the last that uses it."""

    @property
    def total(self) -> float:
        """The bound of all steps, one after the other."""
        return sum(float(getattr(self, field.name)) for field in fields(self))


CLOSE = CloseBounds()
