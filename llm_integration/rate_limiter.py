"""Requests and tokens per minute, first come first served, exact in every window.

``RateLimiter`` is the rule, synchronous and driven by a clock that is passed in. ``AsyncRateLimiter``
lets coroutines wait for it and keeps one timer for all of them.

A bucket that starts full and refills steadily lets almost twice its limit through in its first minute.
Here each permit comes back one window after the request was *sent*: a permit that was granted but not
yet sent (a slow connection) stays taken, however long that lasts. ``guard`` seconds are added because
the server counts arrivals, and the network may delay an early request more than a later one.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from llm_integration.errors import OversizeRequestError

__all__ = ["AsyncRateLimiter", "LimiterUsage", "Permit", "RateLimiter", "SteadyClock"]

Clock = Callable[[], float]

SHORTEST_LOOK = 0.05
"""Seconds after which to look again when only a request that is about to be sent can make room."""


class SteadyClock:
    """A clock that never runs backwards: a step back of the one below counts as no time passed."""

    __slots__ = ("_clock", "_last", "_shift")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shift = 0.0
        self._last = clock()

    def __call__(self) -> float:
        now = self._clock() + self._shift
        if now < self._last:
            self._shift += self._last - now
            now = self._last
        self._last = now
        return now

    def translate(self, moment: float) -> float:
        """A moment of the clock below, as this clock counts it."""
        return moment - self._clock() + self()


class _State(Enum):
    WAITING = auto()
    HELD = auto()
    SENT = auto()
    OVER = auto()


@dataclass(slots=True, eq=False)
class Permit:
    """The right to send one request. Made by ``RateLimiter.join``; only the limiter changes it."""

    tokens: int
    _state: _State = field(default=_State.WAITING, repr=False)
    _returns_at: float = field(default=0.0, repr=False)

    @property
    def granted(self) -> bool:
        """True once the request may be sent, or has been."""
        return self._state in (_State.HELD, _State.SENT)


@dataclass(frozen=True, slots=True)
class LimiterUsage:
    """What is taken at this moment. ``frozen_for`` is in seconds, 0 when the limiter runs."""

    requests: int
    request_limit: int
    tokens: int
    token_limit: int
    waiting: int
    frozen_for: float


class RateLimiter:
    """At most ``requests_per_minute`` requests and ``tokens_per_minute`` tokens in any ``window`` seconds.

    The order of use for one request: ``join``, then ``grant`` until the permit is granted, ``sent`` when
    its bytes leave, ``settle`` when the tokens it really took are known; ``release`` at any time gives
    back what was not sent. Both resources count from the moment of sending. A request waits behind
    all that joined before it, also when it is smaller.
    """

    def __init__(
        self,
        requests_per_minute: int = 14,
        tokens_per_minute: int = 950_000,
        *,
        clock: Clock = time.monotonic,
        window: float = 60.0,
        guard: float = 0.25,
    ) -> None:
        if requests_per_minute < 1 or tokens_per_minute < 1:
            raise ValueError("the limits must be at least 1")
        self.request_limit = requests_per_minute
        self.token_limit = tokens_per_minute
        self._now = SteadyClock(clock)
        self._hold = window + guard
        self._waiting: OrderedDict[Permit, None] = OrderedDict()
        self._sent: deque[Permit] = deque()
        self._requests = 0
        self._tokens = 0
        self._frozen_until = self._now()

    def join(self, tokens: int) -> Permit:
        """Stand in line for one request of ``tokens`` tokens, estimated with the reply.

        Raises OversizeRequestError if that is more than a whole window's limit.
        """
        if tokens > self.token_limit:
            raise OversizeRequestError(
                f"one request of about {tokens} tokens is more than tokens_per_minute={self.token_limit};"
                " raise that limit or lower max_tokens or lookback_periods"
            )
        permit = Permit(max(0, tokens))
        self._waiting[permit] = None
        return permit

    def take(self, tokens: int) -> Permit | None:
        """A permit at once, when nobody waits and the limits have room; None when one has to ``join``."""
        if self._waiting:
            return None
        now = self._advance()
        tokens = max(0, tokens)
        if (
            now < self._frozen_until
            or self._requests >= self.request_limit
            or self._tokens + tokens > self.token_limit
        ):
            return None
        self._requests += 1
        self._tokens += tokens
        return Permit(tokens, _State.HELD)

    def grant(self) -> list[Permit]:
        """Grant from the head of the line what the limits allow now, in order."""
        now = self._advance()
        granted: list[Permit] = []
        while self._waiting and now >= self._frozen_until:
            head = next(iter(self._waiting))
            if self._requests >= self.request_limit or self._tokens + head.tokens > self.token_limit:
                break
            del self._waiting[head]
            head._state = _State.HELD
            self._requests += 1
            self._tokens += head.tokens
            granted.append(head)
        return granted

    def wait_seconds(self) -> float | None:
        """Seconds until ``grant`` is worth another call.

        None when nobody waits, or when everything is held by requests not sent yet, so that only
        ``sent`` or ``release`` can change anything.
        """
        if not self._waiting:
            return None
        now = self._advance()
        if now < self._frozen_until:
            return self._frozen_until - now
        return self._sent[0]._returns_at - now if self._sent else None

    def sent(self, permit: Permit) -> None:
        """The request leaves now: its permit comes back one window later."""
        if permit._state is _State.HELD:
            permit._state = _State.SENT
            permit._returns_at = self._advance() + self._hold
            self._sent.append(permit)

    def settle(self, permit: Permit, tokens: int) -> None:
        """Replace the estimate by the ``tokens`` the request took, more or fewer."""
        if permit._state is _State.HELD:
            self.sent(permit)
        if permit._state is _State.SENT:  # one whose time is over, unnoticed yet, gives back what it then has
            tokens = max(0, tokens)
            self._tokens += tokens - permit.tokens
            permit.tokens = tokens

    def release(self, permit: Permit) -> None:
        """Leave the line, or give back a permit that was granted and not used. A sent one stays taken."""
        if permit._state is _State.WAITING:
            del self._waiting[permit]
        elif permit._state is _State.HELD:
            self._give_back(permit)
        else:
            return
        permit._state = _State.OVER

    def freeze(self, until: float) -> None:
        """Grant nothing before ``until`` on the clock that was passed in; an earlier end changes nothing."""
        self._frozen_until = max(self._frozen_until, self._now.translate(until))

    def usage(self) -> LimiterUsage:
        """What the current window holds, requests granted and not sent yet included."""
        now = self._advance()
        return LimiterUsage(
            self._requests,
            self.request_limit,
            self._tokens,
            self.token_limit,
            len(self._waiting),
            max(0.0, self._frozen_until - now),
        )

    def room(self) -> tuple[int, float]:
        """How many further requests would be granted at once, and if none, the seconds until one may be.

        Counts requests; whether the tokens suffice depends on the request.
        """
        now = self._advance()
        if now < self._frozen_until:
            return 0, self._frozen_until - now
        free = self.request_limit - self._requests - len(self._waiting)
        if free > 0 and self._tokens < self.token_limit:
            return free, 0.0
        return 0, max(self._sent[0]._returns_at - now, SHORTEST_LOOK) if self._sent else SHORTEST_LOOK

    def _advance(self) -> float:
        now = self._now()
        while self._sent and self._sent[0]._returns_at <= now:
            permit = self._sent.popleft()
            permit._state = _State.OVER
            self._give_back(permit)
        return now

    def _give_back(self, permit: Permit) -> None:
        self._requests -= 1
        self._tokens -= permit.tokens


class _Timer(Protocol):
    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], _Timer]


def _on_running_loop(delay: float, callback: Callable[[], None]) -> _Timer:
    return asyncio.get_running_loop().call_later(delay, callback)


class AsyncRateLimiter:
    """Coroutines waiting for a ``RateLimiter``; for one event loop, shared by all who use one key."""

    def __init__(self, core: RateLimiter, *, call_later: CallLater = _on_running_loop) -> None:
        self.core = core
        self._call_later = call_later
        self._futures: dict[Permit, asyncio.Future[None]] = {}
        self._timer: _Timer | None = None

    async def acquire(self, tokens: int, *, timeout: float | None = None) -> Permit:
        """Wait in line for a permit.

        Raises OversizeRequestError, or TimeoutError when ``timeout`` seconds are not enough (at once if a
        freeze already outlasts them). Cancellation leaves the line and gives a granted permit back.
        """
        permit = self.core.take(tokens)
        if permit is None:
            permit = self.core.join(tokens)
            self._pump()
            if not permit.granted:
                await self._wait_for(permit, timeout)
        return permit

    def take(self, tokens: int) -> Permit | None:
        """See ``RateLimiter.take``; what ``acquire`` would give without waiting."""
        return self.core.take(tokens)

    async def _wait_for(self, permit: Permit, timeout: float | None) -> None:
        hopeless = timeout is not None and self.core.usage().frozen_for > timeout
        self._futures[permit] = future = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(0 if hopeless else timeout):
                await future
        except BaseException:
            self._futures.pop(permit, None)
            self.release(permit)
            raise

    def sent(self, permit: Permit) -> None:
        """See ``RateLimiter.sent``."""
        self.core.sent(permit)
        if self._futures:
            self._pump()

    def settle(self, permit: Permit, tokens: int) -> None:
        """See ``RateLimiter.settle``."""
        self.core.settle(permit, tokens)
        if self._futures:
            self._pump()

    def release(self, permit: Permit) -> None:
        """See ``RateLimiter.release``."""
        self.core.release(permit)
        if self._futures or self._timer is not None:
            self._pump()

    def freeze(self, until: float) -> None:
        """See ``RateLimiter.freeze``."""
        self.core.freeze(until)
        self._pump()

    def usage(self) -> LimiterUsage:
        """See ``RateLimiter.usage``."""
        return self.core.usage()

    def room(self) -> tuple[int, float]:
        """See ``RateLimiter.room``."""
        return self.core.room()

    def _pump(self) -> None:
        """Wake those whose turn has come and set the one timer for the next."""
        for permit in self.core.grant():
            future = self._futures.pop(permit, None)
            if future is not None and not future.done():
                future.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        delay = self.core.wait_seconds()
        if delay is not None:
            self._timer = self._call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._pump()
