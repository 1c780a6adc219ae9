"""Taking turns: little computing in each turn of the host's loop, and no paid reply is lost."""

from __future__ import annotations

import asyncio

import pytest

from llm_integration.fairness import Turns
from llm_integration.response_parser import LLMResponseParser, ParsedResponse

COST = 0.001


class Work:
    """Lanes that each compute for a millisecond of made-up time, and in which turn of the loop they did."""

    def __init__(self, share: float) -> None:
        self.now = 0.0
        self.turns = Turns(share, lambda: self.now)
        self.done: list[tuple[int, int]] = []
        self.turn = 0
        self._counting = True

    def count(self) -> None:
        """Count the turns of the loop until ``stop``."""
        self.turn += 1
        if self._counting:
            asyncio.get_running_loop().call_soon(self.count)

    async def lane(self, number: int) -> None:
        await self.turns.turn()
        self.now += COST
        self.done.append((self.turn, number))

    async def run(self, lanes: int) -> list[int]:
        """How many of them computed in each turn of the loop, turns without any left out."""
        self.count()
        await asyncio.gather(*(self.lane(number) for number in range(lanes)))
        self._counting = False
        turns = [turn for turn, _ in self.done]
        return [turns.count(turn) for turn in sorted(set(turns))]


async def test_who_fits_into_the_turn_does_not_wait() -> None:
    """Lanes that need less than their share go on in the same turn of the loop."""
    assert await Work(share=1.0).run(8) == [8]


async def test_beyond_the_share_there_is_one_in_each_turn() -> None:
    """Eight replies that come together take eight turns of the loop, in their order."""
    work = Work(share=COST / 2)
    assert await work.run(8) == [1] * 8
    assert [number for _, number in work.done] == list(range(8))


async def test_the_share_is_what_bounds_a_turn() -> None:
    """Two pieces fit into a share of two; those that had to wait go one at a time."""
    work = Work(share=COST * 1.5)
    turns = await work.run(6)
    assert turns[0] == 2
    assert max(turns) <= 2
    assert sum(turns) == 6


async def test_a_cancelled_lane_deals_with_the_reply_in_its_hand_first() -> None:
    """The cancellation comes at its next wait instead of before the reply is recorded."""
    work = Work(share=COST / 2)
    recorded: list[str] = []

    async def lane() -> None:
        await work.turns.turn_with_reply()
        recorded.append("reply")
        await asyncio.Event().wait()

    first = asyncio.create_task(work.lane(0))
    task = asyncio.create_task(lane())
    await asyncio.sleep(0)  # the first has used up the share of this turn, the other waits
    assert first.done()
    assert recorded == []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert recorded == ["reply"]


async def test_a_long_reply_is_read_to_its_end_though_its_lane_is_cancelled() -> None:
    """Cancelled between two pieces of it, however often, the lane records it before it ends."""
    turns, parser = Turns(share=0.0), LLMResponseParser()
    text = '{"a": ' * 10_000 + 'Rating: 4/5, with words around {"rating": 4,}'
    recorded: list[ParsedResponse] = []

    async def lane() -> None:
        recorded.append(await parser.parse_in_turns(text, turns.turn_with_reply))
        await asyncio.Event().wait()

    task = asyncio.create_task(lane())
    await asyncio.sleep(0)
    cancelled = 0
    while not task.done():
        if not recorded:
            task.cancel()
            cancelled += 1
        await asyncio.sleep(0)
    assert cancelled > 1
    assert task.cancelled()
    assert recorded == [parser.parse(text)]


async def test_a_cancelled_lane_without_a_reply_ends_at_once() -> None:
    """It asks nothing any more, and the others get their turns."""
    work = Work(share=COST / 2)
    first, second, third = (asyncio.create_task(work.lane(number)) for number in range(3))
    await asyncio.sleep(0)
    assert first.done()
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(second, 5)
    await asyncio.wait_for(third, 5)
    assert [number for _, number in work.done] == [0, 2]
