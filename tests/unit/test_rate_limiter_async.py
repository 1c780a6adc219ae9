"""Coroutines waiting for the limiter: one timer, order, cancellation at every point."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from llm_integration.errors import OversizeRequestError
from llm_integration.rate_limiter import AsyncRateLimiter, Permit, RateLimiter


class World:
    """A clock and a timer that move together, when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[_Timer] = []

    def clock(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(self.now + delay, callback)
        self.timers.append(timer)
        return timer

    @property
    def armed(self) -> list[_Timer]:
        return [timer for timer in self.timers if timer.live]

    async def settle(self) -> None:
        """Let every task run until it waits for something."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted((t for t in self.armed if t.at <= end), key=lambda timer: timer.at):
            self.now = max(self.now, due[0].at)
            due[0].live = False
            due[0].callback()
            await self.settle()
        self.now = end


class _Timer:
    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at, self.callback, self.live = at, callback, True

    def cancel(self) -> None:
        self.live = False


def build(world: World, requests: int = 2, tokens: int = 100) -> AsyncRateLimiter:
    core = RateLimiter(requests, tokens, clock=world.clock, guard=0.0)
    return AsyncRateLimiter(core, call_later=world.call_later)


async def use(gate: AsyncRateLimiter, log: list[int], number: int, tokens: int = 1) -> Permit:
    permit = await gate.acquire(tokens)
    log.append(number)
    gate.sent(permit)
    return permit


async def test_a_free_permit_costs_no_timer_and_no_turn_of_the_loop() -> None:
    """With room, acquire returns without ever giving up control."""
    world = World()
    coroutine = build(world).acquire(1)
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    assert stop.value.value.granted
    assert world.timers == []


async def test_waiters_are_served_in_order_with_one_timer() -> None:
    """Ten waiters behind a limit of two share one timer and go two per minute, first come first served."""
    world, log = World(), list[int]()
    gate = build(world)
    tasks = [asyncio.create_task(use(gate, log, number)) for number in range(10)]
    await world.settle()
    assert log == [0, 1]
    assert len(world.armed) == 1
    await world.advance(60)
    assert log == [0, 1, 2, 3]
    await world.advance(180)
    assert log == list(range(10))
    await asyncio.gather(*tasks)
    assert world.armed == []


async def test_cancelling_a_waiter_leaves_its_place_to_the_next() -> None:
    """A cancelled waiter takes no permit, and with the last one the timer goes too."""
    world, log = World(), list[int]()
    gate = build(world, requests=1)
    tasks = [asyncio.create_task(use(gate, log, number)) for number in range(3)]
    await world.settle()
    tasks[1].cancel()
    await world.settle()
    await world.advance(60)
    assert log == [0, 2]
    late = asyncio.create_task(use(gate, log, 9))
    await world.settle()
    late.cancel()
    await world.settle()
    assert world.armed == []
    assert gate.usage().waiting == 0


async def test_a_permit_granted_in_the_moment_of_cancellation_is_not_lost() -> None:
    """Granted, but cancelled before it could run: the permit goes to the next in line."""
    world, log = World(), list[int]()
    gate = build(world, requests=1)
    first = await gate.acquire(1)
    unlucky = asyncio.create_task(use(gate, log, 1))
    lucky = asyncio.create_task(use(gate, log, 2))
    await world.settle()
    gate.release(first)  # grants to the first waiter, whose task has not run yet
    unlucky.cancel()
    await world.settle()
    assert log == [2]
    assert unlucky.cancelled()
    await lucky
    assert gate.usage().requests == 1


async def test_a_refund_wakes_the_next_waiter_without_a_timer() -> None:
    """When everything is held by requests not sent yet, giving one back is what moves the line."""
    world, log = World(), list[int]()
    gate = build(world, requests=1)
    held = await gate.acquire(1)
    task = asyncio.create_task(use(gate, log, 1))
    await world.settle()
    assert world.armed == []
    gate.release(held)
    await world.settle()
    assert log == [1]
    await task


async def test_sending_arms_the_timer_for_those_who_wait() -> None:
    """A request that leaves late starts the wait of the others from that moment."""
    world, log = World(), list[int]()
    gate = build(world, requests=1)
    held = await gate.acquire(1)
    task = asyncio.create_task(use(gate, log, 1))
    await world.settle()
    world.now = 30.0
    gate.sent(held)
    assert [timer.at for timer in world.armed] == [90.0]
    await world.advance(60)
    assert log == [1]
    await task


async def test_settling_fewer_tokens_wakes_a_waiter() -> None:
    """Tokens that were reserved and not used go to the next in line at once."""
    world, log = World(), list[int]()
    gate = build(world)
    first = await use(gate, log, 0, tokens=100)
    task = asyncio.create_task(use(gate, log, 1, tokens=50))
    await world.settle()
    gate.settle(first, 20)
    await world.settle()
    assert log == [0, 1]
    await task


async def test_a_freeze_delays_those_who_wait_already() -> None:
    """A Retry-After that arrives in the meantime moves the timer."""
    world, log = World(), list[int]()
    gate = build(world, requests=1)
    await use(gate, log, 0)
    task = asyncio.create_task(use(gate, log, 1))
    await world.settle()
    gate.freeze(100.0)
    await world.advance(99)
    assert log == [0]
    await world.advance(1)
    assert log == [0, 1]
    await task


async def test_a_freeze_beyond_the_timeout_fails_at_once() -> None:
    """Nobody waits for what cannot come in time, and the line is left clean."""
    world = World()
    gate = build(world)
    gate.freeze(100.0)
    with pytest.raises(TimeoutError):
        await gate.acquire(1, timeout=50.0)
    assert gate.usage().waiting == 0
    assert world.armed == []


async def test_an_oversize_request_raises_and_leaves_the_line_alone() -> None:
    """The error comes from acquire itself; others are not affected."""
    gate = build(World())
    with pytest.raises(OversizeRequestError):
        await gate.acquire(101)
    assert (await gate.acquire(100)).granted


async def test_the_real_loop_timer_serves_a_waiter() -> None:
    """With the loop's own timer and the real clock a waiter gets its permit after the window."""
    core = RateLimiter(1, 100, window=0.02, guard=0.0)
    gate = AsyncRateLimiter(core)
    gate.sent(await gate.acquire(1))
    permit = await asyncio.wait_for(gate.acquire(1), 5)
    assert permit.granted


@pytest.mark.parametrize("seed", range(25))
async def test_random_cancellations_lose_no_permit_and_keep_the_order(seed: int) -> None:
    """Whatever is cancelled whenever, the rest is served in order and every permit comes back."""
    world, log = World(), list[int]()
    gate, rng = build(world, requests=3), random.Random(seed)
    tasks = [asyncio.create_task(use(gate, log, number, rng.randint(0, 60))) for number in range(25)]
    for _ in range(40):
        if rng.random() < 0.4:
            rng.choice(tasks).cancel()
        if rng.random() < 0.5:
            await world.advance(rng.choice([1, 20, 60]))
        if rng.random() < 0.5:
            await asyncio.sleep(0)
    await world.advance(60 * 30)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert log == sorted(log)
    assert len(log) >= sum(isinstance(result, Permit) for result in results)
    await world.advance(60)
    assert (gate.usage().requests, gate.usage().tokens, gate.usage().waiting) == (0, 0, 0)
    assert world.armed == []
