"""How long a sidecar may take to end: who waits how long, in one table."""

from __future__ import annotations

from dataclasses import dataclass, fields

from llm_integration.record.postmaster import ServerBounds

__all__ = ["CLOSE", "CloseBounds"]


@dataclass(frozen=True, slots=True)
class CloseBounds:
    """Seconds for each step of ``Sidecar.close``, in their order. ``total`` is what they add up to.

    What has not come about by then is found again by the next run: signals and answers in the outbox, rows
    from PostgreSQL.
    """

    worker: float = 2.0
    """For requests that are on their way: what ``worker.stop`` is given."""
    worker_margin: float = 1.0
    """What ``worker.stop`` may take beyond that, by its contract."""
    late_answers: float = 0.8
    """For what others have answered of a session that was continued."""
    stores: float = 2.6
    """For what waits for PostgreSQL, for the sinks and for the ledger, side by side."""
    background: float = 0.3
    """For the tasks behind the worker, which are cancelled."""
    session: float = 0.8
    """For the state of the session and, beside it, the outbox."""
    connections: float = 0.6
    """For the connections to PostgreSQL and, beside them, the simulator."""
    server_lock: float = 0.3
    """For another program that starts or stops the embedded server."""
    server_fast: float = 0.8
    """For the embedded server to end in order, if this process is the last that uses it."""
    server_immediate: float = 0.3
    """For it to end at once."""
    server_killed: float = 0.2
    """For it to be gone after it was killed."""

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

    @property
    def of_server(self) -> ServerBounds:
        """The four of the embedded server, as it takes them."""
        return ServerBounds(self.server_lock, self.server_fast, self.server_immediate, self.server_killed)


CLOSE = CloseBounds()
