"""A run that is asked to end cuts short what it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from trading.stopping import Stop

BOUND = 10.0


class Source:
    """Hands out 1 and 2 at once, and then what its ``then`` does; notes that it was closed."""

    def __init__(self, then: BaseException | None = None) -> None:
        self.then, self.waits, self.closed = then, asyncio.Event(), False

    async def items(self) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
            self.waits.set()
            if self.then is not None:
                raise self.then
            await asyncio.Event().wait()
        finally:
            self.closed = True


async def read(stop: Stop, source: Source, found: list[int]) -> None:
    async for item in stop.cuts(source.items()):
        found.append(item)


async def test_the_wait_for_the_next_item_is_cut_short_and_the_source_is_closed() -> None:
    """Asking twice changes nothing."""
    stop, source, found = Stop(), Source(), list[int]()
    async with asyncio.timeout(BOUND):
        reading = asyncio.create_task(read(stop, source, found))
        await source.waits.wait()
        stop.request()
        stop.request()
        await reading
    assert (found, source.closed, stop.requested) == ([1, 2], True, True)


async def test_no_item_comes_after_the_run_was_asked_to_end() -> None:
    """Also of those that would not have to be waited for."""
    stop, source, found = Stop(), Source(), list[int]()
    async for item in stop.cuts(source.items()):
        found.append(item)
        stop.request()
    assert (found, source.closed) == ([1], True)


@pytest.mark.parametrize("fault", [TimeoutError("of the source"), ConnectionError("gone")])
async def test_a_fault_of_the_source_reaches_the_reader(fault: Exception) -> None:
    """A source that has waited too long itself is not taken for the end of the run."""
    stop, source = Stop(), Source(fault)
    with pytest.raises(type(fault), match=str(fault)):
        await read(stop, source, [])
    assert source.closed


async def test_work_is_waited_for_until_its_time_is_up_or_the_run_is_asked_to_end() -> None:
    """The work itself goes on."""
    stop, work = Stop(), asyncio.create_task(asyncio.Event().wait())
    async with asyncio.timeout(BOUND):
        await stop.until(work, 0.01)
        asyncio.get_running_loop().call_later(0.01, stop.request)
        await stop.until(work)
    assert not work.done()
    work.cancel()
