"""One timer for many bounded waits: what it ends, what it leaves alone, what it leaves behind."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest

from llm_integration.errors import NoCompletionError
from llm_integration.llm_processor.bounds import Bounds
from llm_integration.llm_processor.transport import MOST_REPLY_BYTES, UNPACKED_AT_A_TIME, _unpacked


async def forever() -> None:
    await asyncio.Event().wait()


async def soon(value: int) -> int:
    await asyncio.sleep(0)
    return value


def timers() -> list[asyncio.TimerHandle]:
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # only the loop knows
    return [timer for timer in scheduled if not timer.cancelled()]


async def test_what_takes_too_long_ends_with_a_timeout() -> None:
    """The work is cancelled, the task is not: it goes on as if nothing had been cancelled."""
    bounds = Bounds()
    with pytest.raises(TimeoutError):
        await bounds.within(0.001, forever())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert await bounds.within(1, soon(4)) == 4


async def test_each_ends_at_its_own_time() -> None:
    """Many waits share one timer; a short one ends at its time also among longer ones, before and after."""
    bounds = Bounds()
    hour = [asyncio.create_task(bounds.within(3600 + more, forever())) for more in range(3)]
    await asyncio.sleep(0)
    assert len(timers()) == 1
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await bounds.within(0.001, forever())
        assert len(timers()) == 1
    assert not any(task.done() for task in hour)
    for task in hour:
        task.cancel()
    await asyncio.wait(hour)
    assert all(task.cancelled() for task in hour)


async def test_work_in_time_is_not_touched_when_the_timer_comes() -> None:
    """The timer outlives the work it was set for, finds nobody, and is not set again."""
    bounds, later = Bounds(), asyncio.Event()
    assert await bounds.within(0.001, soon(1)) == 1
    asyncio.get_running_loop().call_later(0.002, later.set)
    await later.wait()
    assert timers() == []
    assert await bounds.within(5, soon(2)) == 2
    bounds.close()
    assert timers() == []


async def test_a_cancellation_from_outside_stays_one() -> None:
    """Who cancels the task gets a cancelled task, also when the time is over at the same moment."""
    bounds = Bounds()
    task = asyncio.create_task(bounds.within(5, forever()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    both = asyncio.create_task(bounds.within(0, forever()))
    asyncio.get_running_loop().call_soon(both.cancel)
    with pytest.raises(asyncio.CancelledError):
        await both


async def test_an_error_of_the_work_stays_one_when_the_time_is_over() -> None:
    """Work that answers its cancellation with another error, or with a result, is taken at its word."""
    bounds = Bounds()

    async def stubborn(error: Exception | None) -> str:
        try:
            await forever()
        except asyncio.CancelledError:
            if error is not None:
                raise error from None
        return "done all the same"

    with pytest.raises(OSError, match="reset"):
        await bounds.within(0, stubborn(OSError("reset")))
    assert await bounds.within(0, stubborn(None)) == "done all the same"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


def test_only_a_task_can_be_bounded() -> None:
    """Without a task there is nobody to cancel, which is said and not found out later."""
    work = forever()
    with pytest.raises(RuntimeError):
        Bounds().within(1, work).send(None)
    work.close()


# Decompressing in pieces, which is part of every wait's bound


@pytest.mark.parametrize(
    "size", [1, UNPACKED_AT_A_TIME - 1, UNPACKED_AT_A_TIME, UNPACKED_AT_A_TIME + 1, MOST_REPLY_BYTES]
)
@pytest.mark.parametrize("piece", [b"a", b"some text that repeats, "])
async def test_a_compressed_reply_comes_out_whole(size: int, piece: bytes) -> None:
    """However the pieces fall, nothing of the body is lost up to the cap."""
    plain = (piece * size)[:size]
    assert await _unpacked(gzip.compress(plain), " GZIP", 200) == plain
    assert await _unpacked(zlib.compress(plain), "deflate", 200) == plain


async def test_a_compressed_reply_lets_the_loop_turn() -> None:
    """Unpacking a megabyte takes many turns of the event loop, none of them long."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    with pytest.raises(NoCompletionError, match="longer than"):
        await _unpacked(gzip.compress(b" " * 20 * MOST_REPLY_BYTES), "gzip", 200)
    counting.cancel()
    assert turns >= MOST_REPLY_BYTES // UNPACKED_AT_A_TIME - 1
