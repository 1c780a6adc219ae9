"""What each key has used up (credit, free requests) and which generations were paid for. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from llm_integration.simulator.catalogue import Model
from llm_integration.simulator.error_bodies import PER_DAY, PER_MINUTE, plain_error, quota_error
from llm_integration.simulator.exchange import SimulatedAnswer, estimate_tokens
from llm_integration.simulator.validation import Ask, RefusedError

__all__ = ["Account", "Ledger", "Quota"]

MINUTE_SECONDS = 60.0
DAY_SECONDS = 86_400
MAX_ACCOUNTS = 10_000
MAX_GENERATIONS = 1_000
GENERATION_DELAY_SECONDS = 0.5
"""How long after its completion a generation cannot be looked up yet, as on the real service."""


@dataclass(frozen=True, slots=True)
class Quota:
    """A free-tier limit that is used up until ``reset_ms`` (epoch milliseconds)."""

    per_day: bool
    limit: int
    reset_ms: int


@dataclass(slots=True)
class Account:
    """The use of one key. Refused requests do not count."""

    free_per_minute: int
    free_per_day: int
    spent: Decimal = Decimal(0)
    day: int = -1
    used_today: int = 0
    _recent: deque[float] = field(default_factory=deque)

    def take_free(self, now: float) -> Quota | None:
        """Count one free request at epoch second ``now``; the limit that forbids it, if one does.

        The minute slides; the day is the UTC day.
        """
        self._roll(now)
        if self.used_today >= self.free_per_day:
            return Quota(True, self.free_per_day, (self.day + 1) * DAY_SECONDS * 1000)
        if len(self._recent) >= self.free_per_minute:
            # with a limit of 0 there is no earlier request whose minute could end
            start = self._recent[0] if self._recent else now
            return Quota(False, self.free_per_minute, int((start + MINUTE_SECONDS) * 1000) + 1)
        self._recent.append(now)
        self.used_today += 1
        return None

    def free_used(self, now: float) -> int:
        """Free requests of this UTC day."""
        self._roll(now)
        return self.used_today

    def _roll(self, now: float) -> None:
        today = int(now // DAY_SECONDS)
        if today != self.day:
            self.day, self.used_today = today, 0
        # a clock that was set back must not lock the key for longer than a minute
        while self._recent and not 0 <= now - self._recent[0] < MINUTE_SECONDS:
            self._recent.popleft()


class Ledger:
    """The accounts of all keys. ``credit`` is each key's balance at the start, in USD."""

    def __init__(
        self, credit: Decimal, free_per_minute: int, free_per_day: int, clock: Callable[[], float]
    ) -> None:
        self.credit = credit
        self._free_limits = (free_per_minute, free_per_day)
        self._clock = clock
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._generations: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()

    def account(self, key: str) -> Account:
        """The account of ``key``, opened when it is new."""
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = Account(*self._free_limits)
            if len(self._accounts) > MAX_ACCOUNTS:
                self._accounts.popitem(last=False)
        return account

    def admit(self, account: Account, ask: Ask) -> None:
        """Raise RefusedError: 402 beyond the credit, 429 beyond the free limits.

        A request counts with the highest cost it could have, prompt and ``max_tokens``.
        """
        balance = self.credit - account.spent
        tokens_out = ask.max_tokens or ask.model.max_completion_tokens
        prompt_cost, completion_cost = ask.model.cost(estimate_tokens(ask.prompt), tokens_out)
        if balance < 0 or balance < prompt_cost + completion_cost:
            raise RefusedError(_unaffordable(balance - prompt_cost, tokens_out, ask.model))
        quota = account.take_free(self._clock()) if ask.model.free else None
        if quota is not None:
            text = PER_DAY if quota.per_day else PER_MINUTE
            raise RefusedError(quota_error(text, quota.limit, quota.reset_ms))

    def book(self, account: Account, completion: Any) -> None:
        """Charge what ``completion`` cost and remember it, if it is a completion with a price."""
        usage = completion.get("usage") if isinstance(completion, dict) else None
        if not usage or not completion.get("choices"):
            return
        account.spent += Decimal(str(usage.get("cost") or 0))
        self._generations[completion["id"]] = (self._clock(), completion)
        if len(self._generations) > MAX_GENERATIONS:
            self._generations.popitem(last=False)

    def generation(self, generation_id: str) -> dict[str, Any] | None:
        """The completion of this id, None when unknown or still too young to be found."""
        made_at, completion = self._generations.get(generation_id, (0.0, None))
        return None if self._clock() - made_at < GENERATION_DELAY_SECONDS else completion


def _unaffordable(balance: Decimal, tokens_out: int, model: Model) -> SimulatedAnswer:
    price = Decimal(model.completion_price)
    affordable = int(balance / price) if price else 0
    if affordable <= 0:
        return plain_error(402, "Insufficient credits. Add more using https://openrouter.ai/credits")
    return plain_error(
        402,
        f"This request requires more credits, or fewer max_tokens. You requested up to {tokens_out} tokens,"
        f" but can only afford {affordable}. To increase, visit https://openrouter.ai/settings/credits",
        metadata={"provider_name": None},
    )
