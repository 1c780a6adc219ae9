"""The ledger in PostgreSQL: budgets that hold over all processes that share a key, and over their deaths."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from llm_integration.availability import PAUSE_SECONDS, Availability
from llm_integration.budget import (
    Allowed,
    Budget,
    BudgetExceededError,
    BudgetState,
    Decision,
    Downgrade,
    Grant,
    NoPrices,
    PriceList,
    Refuse,
    Rule,
    Spend,
    SpendRequest,
    Watch,
    decide,
    highest_cost,
    known_cost,
    known_tokens,
    like_pattern,
    rules_of,
)
from llm_integration.record import ledger_queries as queries
from llm_integration.record.connections import Connections
from llm_integration.record.errors import DatabaseError
from llm_integration.record.ledger_queue import Change, SettleQueue
from llm_integration.record.rows import Row

__all__ = ["PostgresLedger"]

logger = logging.getLogger(__name__)

AWAY_SECONDS = PAUSE_SECONDS
"""How long nothing is asked of a PostgreSQL that did not answer; requests are refused meanwhile."""
REFRESH_SECONDS = 60.0
ABANDONED_AFTER = timedelta(minutes=15)
"""Longer than any request takes: what a process that is not alive has reserved before that stays unknown."""
CLOSE_SECONDS = 5.0


class PostgresLedger:
    """A SpendGuard whose sums stand in PostgreSQL. For one event loop.

    ``key_fingerprint`` names the API key without revealing it; all processes with the same one share their
    sums. ``worker_id`` is this process's in ``llm_workers``: while its heart beats, its reservations are
    taken for requests on their way. ``clock`` counts seconds, from anywhere. ``availability`` is what other
    parts know of the same PostgreSQL, by the same clock; without it the ledger keeps its own.

    With budgets, ``reserve`` is one round trip, and while PostgreSQL is away nothing is sent, for nobody
    could say whether there is room. Without budgets it never waits: the entries are written afterwards.
    ``settle`` only takes a note; ``run`` writes the notes down and must be running.
    """

    def __init__(
        self,
        connections: Connections,
        budgets: Iterable[Budget] = (),
        prices: PriceList | None = None,
        *,
        key_fingerprint: str,
        worker_id: str,
        queue_size: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
        availability: Availability | None = None,
    ) -> None:
        self._connections = connections
        self._rules = rules_of(budgets)
        self._prices = prices or NoPrices()
        self._key = key_fingerprint
        self._worker_id = worker_id
        self._clock = clock
        self._known: tuple[datetime, float] | None = None
        self._spends: dict[str, Spend] = {}
        self._spends_at: datetime | None = None
        self._refreshed: float | None = None
        self._availability = availability or Availability(clock)
        self._watch = Watch(self._rules, logger)
        self._queue = SettleQueue(
            connections, key_fingerprint, worker_id,
            size=queue_size, clock=clock, availability=self._availability,
        )  # fmt: skip
        self._closed = False
        self.crashes = 0

    # Asking for money

    async def reserve(self, request: SpendRequest) -> Grant:
        """Put the highest possible cost aside. Raises BudgetExceededError when a budget has no room, or
        when there are budgets and PostgreSQL cannot be asked.
        """
        if self._closed:
            raise BudgetExceededError("the ledger is closed, nothing more is sent")
        if not self._rules:
            return self._free(request)
        if not self._availability.worth_asking_for("budgets"):
            raise self._cannot_ask("PostgreSQL did not answer a moment ago")
        try:
            grant = await self._reserve(request)
        except DatabaseError as error:
            if error.retryable:
                self._availability.failed(error, "budgets")
            raise self._cannot_ask(str(error)) from error
        except BudgetExceededError:
            self._availability.over("budgets")  # it was asked before anything was refused
            raise
        self._availability.over("budgets")
        return grant

    def _cannot_ask(self, why: str) -> BudgetExceededError:
        return BudgetExceededError(
            f"budgets cannot be checked, so nothing is sent: {why}", retry_after=AWAY_SECONDS
        )

    def _free(self, request: SpendRequest) -> Grant:
        cost = highest_cost(self._prices.price(request.model), request)
        grant = Grant(str(uuid.uuid4()), request.model, cost.usd)
        self._queue.put(Change.of(grant, request, cost.tokens, self._clock()))
        return grant

    async def _reserve(self, request: SpendRequest) -> Grant:
        """Decide on what is known, let PostgreSQL check it; if that knows better, decide once more."""
        now = self._now() or await self._learn()
        decision = decide(self._rules, self._present(now), request, now, self._prices)
        if isinstance(decision, Refuse):  # it takes more than memory to refuse
            await self._learn()
            now = self._now() or now
            decision = decide(self._rules, self._present(now), request, now, self._prices)
        for _ in range(2 * len(self._rules) + 3):
            if isinstance(decision, Refuse):
                self._say(decision, request, now)
                raise BudgetExceededError(decision.reason, retry_after=decision.retry_after)
            grant = await self._try(decision, request, now)
            if grant is not None:
                self._say(decision, request, self._now() or now)
                return grant
            now = self._now() or now
            decision = decide(self._rules, self._present(now), request, now, self._prices)
        raise BudgetExceededError("budgets are contended, nothing was sent", retry_after=1.0)

    async def _try(self, decision: Allowed | Downgrade, request: SpendRequest, now: datetime) -> Grant | None:
        """The grant, or None with fresh sums. A reservation whose answer is lost is given back."""
        grant = Grant(str(uuid.uuid4()), decision.model, decision.cost.usd)
        change = Change.of(grant, request, decision.cost.tokens, self._clock())
        try:
            (row,) = await self._connections.fetch(
                "reserving money", queries.RESERVE,
                self._key, uuid.UUID(grant.grant_id), change.model, change.symbols, grant.reserved_usd,
                change.reserved_tokens, self._worker_id, self._wanted(now),
            )  # fmt: skip
        except BaseException:  # cancellation too
            self._queue.put(change.ended("returned"))
            raise
        self._heard(row)
        if row["outcome"] == "granted":
            self._queue.open(change)
            return grant
        return None

    # Saying what it cost

    def settle(
        self,
        grant: Grant,
        *,
        sent: bool,
        cost_usd: Decimal | None = None,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
    ) -> None:
        """Note what was billed, to be written by ``run``. What cannot be noted keeps its reservation."""
        change = self._queue.opened(grant.grant_id)
        if change is None:
            return
        billed, tokens = known_cost(cost_usd), known_tokens(prompt_tokens, completion_tokens)
        if sent:
            self._watch.billed(grant.model, grant.reserved_usd, billed)
        state = "returned" if not sent else "unknown" if billed is None else "billed"
        self._queue.put(
            change.ended(state, billed, tokens, prompt_tokens, completion_tokens)
            if sent
            else change.ended(state)
        )

    async def run(self) -> None:
        """Write what is noted, and keep ``state`` fresh, until ``close``. Outages are sat out."""
        while not self._closed:
            try:
                wrote = await self._queue.flush()
                await self._refresh(sums=wrote > 0)
            except Exception:  # with this task the reservations of all further requests would stay for ever
                self.crashes += 1
                logger.exception("the writing of the ledger crashed; it goes on in %.0f s", AWAY_SECONDS)
                await self._queue.rest(AWAY_SECONDS)
            await self._queue.wait(REFRESH_SECONDS)

    async def _refresh(self, *, sums: bool) -> None:
        """Once a minute look at everything; after writing look at the sums."""
        due = self._refreshed is None or self._clock() - self._refreshed >= REFRESH_SECONDS
        try:
            if self._rules and (sums or due):
                await self._learn()
            if due:
                await self._connections.fetch(
                    "marking abandoned requests", queries.ABANDONED, self._key, ABANDONED_AFTER
                )
                self._refreshed = self._clock()
        except DatabaseError as error:
            logger.debug("the ledger could not be read: %s", error)

    async def close(self, timeout: float = CLOSE_SECONDS) -> int:
        """Write what is noted, within ``timeout`` seconds; how many requests stay unsettled.

        Their reservations stay, and so do those of requests that are still on their way.
        """
        self._closed = True
        self._availability.withdraw("budgets")
        return await self._queue.close(timeout)

    # What is known

    def state(self) -> list[BudgetState]:
        """How the budgets stand as far as this process knows; empty before it could ask."""
        now = self._now()
        return [] if now is None else self._watch.states(self._present(now), now)

    def statistics(self) -> dict[str, int]:
        """Notes that wait or were dropped, requests billed with more than their reservation, and crashes."""
        return {
            "waiting": self._queue.waiting,
            "dropped": self._queue.dropped,
            "overbilled": self._watch.overbilled,
            "crashes": self.crashes,
        }

    async def _learn(self) -> datetime:
        """Ask for the time and the sums; the time."""
        now = self._now()
        if now is None:
            (row,) = await self._connections.fetch("reading the clock", queries.CLOCK)
            now = self._tick(row)
        for _ in range(3):  # a window may end in between
            wanted = self._wanted(now)
            (row,) = await self._connections.fetch("reading budgets", queries.STATE, self._key, wanted)
            known = all(now in rule.window(row["at"]) for rule in self._rules)
            now = self._heard(row) if known else self._tick(row)
            if known:
                break
        return now

    def _heard(self, row: Row) -> datetime:
        now = self._tick(row)
        if row["totals"] is not None:
            self._spends = {scope: _spend(values) for scope, values in row["totals"].items()}
            self._spends_at = now
            self._watch.sums(self._spends, now)
        return now

    def _tick(self, row: Row) -> datetime:
        at: datetime = row["at"]
        self._known = at, self._clock()
        return at

    def _now(self) -> datetime | None:
        """The database's time, never ahead of it; None before it was heard."""
        if self._known is None:
            return None
        at, heard = self._known
        return at + timedelta(seconds=self._clock() - heard)

    def _present(self, now: datetime) -> dict[str, Spend]:
        """The sums, without those of windows that are over."""
        then = self._spends_at
        if then is None:
            return {}
        over = {rule.scope for rule in self._rules if then not in rule.window(now)}
        return {scope: spend for scope, spend in self._spends.items() if scope not in over}

    def _wanted(self, now: datetime) -> list[dict[str, str | None]]:
        return [_window(rule, now) for rule in self._rules]

    def _say(self, decision: Decision, request: SpendRequest, now: datetime) -> None:
        self._watch.decided(decision, request, self._present(now), now)


def _window(rule: Rule, now: datetime) -> dict[str, str | None]:
    """The rule's present window with its bounds by now, as the SQL takes it."""
    window = rule.window(now)
    usd = rule.available_usd(now) if rule.binding else None
    tokens = rule.available_tokens(now) if rule.binding else None
    return {
        "scope": rule.scope,
        "start": window.start.isoformat(),
        "end": window.end.isoformat(),
        "model_like": None if rule.model is None else like_pattern(rule.model),
        "symbol_like": None if rule.symbol is None else like_pattern(rule.symbol),
        "usd": None if usd is None else str(usd),
        "tokens": None if tokens is None else str(tokens),
    }


def _spend(values: list[str]) -> Spend:
    spent_usd, reserved_usd, spent_tokens, reserved_tokens = map(Decimal, values)
    return Spend(spent_usd, reserved_usd, int(spent_tokens), int(reserved_tokens))
