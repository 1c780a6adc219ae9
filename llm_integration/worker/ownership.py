"""Whose waiting tasks a worker takes: those of its own sessions, or with ``adopt`` everybody's."""

from __future__ import annotations

import logging
from collections import Counter
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from llm_integration.budget import plain_address
from llm_integration.config import LLMConfig
from llm_integration.domain import LLMAnalysis, Signal, TaskScope
from llm_integration.one_line import one_line

__all__ = ["Ownership", "endpoint_of"]

logger = logging.getLogger(__name__)

SIMULATED_ENDPOINT = "simulated"
"""Stands for the simulators of demos, each of which has an address of its own."""
MOST_SESSIONS = 1_000
"""Sessions of a host that are remembered: of a host that names a new one for each signal, the first ones."""


def endpoint_of(config: LLMConfig) -> str:
    """The address that tasks of this configuration are meant for, as it is stored with them."""
    return SIMULATED_ENDPOINT if config.model.startswith("simulated/") else plain_address(config.base_url)


@runtime_checkable
class ScopedDatabase(Protocol):
    """A database that tells the tasks of sessions and endpoints apart; ``DatabaseManager`` is one."""

    def work_for(self, scope: TaskScope) -> None:
        """From now on hand out only what ``scope`` allows."""
        ...

    async def tasks_left_alone(self, worker_id: str) -> list[tuple[str | None, str | None, int]]:
        """Session, endpoint and number of the waiting tasks that the scope does not allow."""
        ...

    async def tasks_for_elsewhere(self, worker_id: str) -> list[tuple[str, int]]:
        """Endpoint and number of the tasks that it allows although they were meant for another endpoint."""
        ...


class Ownership:
    """Which sessions are a worker's own, and what it did for others.

    Its own are ``session`` (None: signals without one) and those of the signals that its host hands it. With
    ``adopt`` it works off the tasks of all sessions; what it finds out for others is stored, and neither
    delivered to this host nor counted with its own. ``any_endpoint`` takes tasks that were meant for another
    address, too.
    """

    def __init__(
        self,
        database: object,
        *,
        worker_id: str,
        endpoint: str,
        session: str | None = None,
        adopt: bool = False,
        any_endpoint: bool = False,
    ) -> None:
        self._database = database if isinstance(database, ScopedDatabase) else None
        self._worker_id = worker_id
        self._own: set[str | None] = {session}
        self._adopt = adopt
        self._scope = TaskScope(None if adopt else self._own, endpoint, any_endpoint)
        self._told = False
        self._counts: Counter[str] = Counter()
        self._cost = Decimal(0)
        if self._database is not None:
            self._database.work_for(self._scope)

    def meet(self, signal: Signal) -> None:
        """The host hands this signal over: its session is the host's."""
        if signal.session_id not in self._own and len(self._own) < MOST_SESSIONS:
            self._own.add(signal.session_id)

    def is_own(self, signal: Signal) -> bool:
        """False for a task that was taken for somebody else."""
        return not self._adopt or signal.session_id in self._own

    def count(self, analysis: LLMAnalysis) -> None:
        """A task of somebody else has its end."""
        self._counts[analysis.status.value] += 1
        self._counts["rated"] += analysis.rated
        self._cost += analysis.cost_usd or 0

    def statistics(self) -> dict[str, Any]:
        """What became of the tasks of others."""
        names = ("completed", "rated", "failed", "expired")
        return {**{name: self._counts[name] for name in names}, "cost_usd": self._cost}

    async def tell(self) -> None:
        """Say once what is taken from others and what is left alone. Raises what the database raises."""
        if self._told or self._database is None:
            return
        left = await self._database.tasks_left_alone(self._worker_id)
        moved = await self._database.tasks_for_elsewhere(self._worker_id)
        self._told = True
        for endpoint, number in moved:
            logger.warning(
                "%d waiting task(s) were meant for %s and are sent to %s, as asked for",
                number, one_line(endpoint, 200), self._scope.endpoint,
            )  # fmt: skip
        self._tell_left(left)

    def _tell_left(self, left: list[tuple[str | None, str | None, int]]) -> None:
        others = {session for session, _, _ in left if not self._adopt and session not in self._own}
        foreign = sum(number for session, _, number in left if session in others)
        if foreign:
            logger.info(
                "%d waiting task(s) of %d other session(s) are left alone; adopt works them off",
                foreign, len(others),
            )  # fmt: skip
        elsewhere: Counter[str] = Counter()
        for session, endpoint, number in left:
            if session not in others and endpoint is not None:
                elsewhere[endpoint] += number
        for endpoint, number in elsewhere.items():
            logger.warning(
                "%d waiting task(s) were meant for %s and are not sent to %s; resume or adopt sends them",
                number, one_line(endpoint, 200), self._scope.endpoint,
            )  # fmt: skip
