"""The speed at which bars are handed out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.errors import BarDataError
from trading.feed import Pacer, bars, open_bars

SAMPLE = Path(__file__).parents[2] / "data" / "EURUSD_1h.csv"


class Time:
    """A clock that moves only when somebody waits, and a little more than asked, as clocks do."""

    def __init__(self, late: float = 0.0) -> None:
        self.now = 1_000.0
        self.late = late
        self.pauses = 0

    def clock(self) -> float:
        return self.now

    async def pause(self, stop: asyncio.Event, seconds: float) -> None:
        self.pauses += 1
        self.now += seconds + self.late
        await asyncio.sleep(0)


def small_file(tmp_path: Path, count: int) -> Path:
    lines = SAMPLE.read_text().splitlines(keepends=True)[: count + 1]
    path = tmp_path / "bars.csv"
    path.write_text("".join(lines))
    return path


async def test_speed_holds_without_drift(tmp_path: Path) -> None:
    """Every wait ends 3 ms late, yet after 100 bars at 10 a second 9.9 seconds have passed, not 10.2."""
    time = Time(late=0.003)
    feed = bars(small_file(tmp_path, 100), speed=10, clock=time.clock, pause=time.pause)
    stamps = [time.now async for _ in feed]
    assert len(stamps) == 100
    assert stamps[-1] - stamps[0] == pytest.approx(9.9, abs=0.004)
    assert stamps[50] - stamps[0] == pytest.approx(5.0, abs=0.004)


async def test_speed_zero_waits_for_nothing(tmp_path: Path) -> None:
    """With speed 0 no time passes between bars."""
    time = Time()
    async for _ in bars(small_file(tmp_path, 50), speed=0, clock=time.clock, pause=time.pause):
        pass
    assert time.pauses == 0


async def test_every_bar_gives_the_loop_a_turn(tmp_path: Path) -> None:
    """Without waiting, another task still runs at least once for each bar."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    source = open_bars(small_file(tmp_path, 200))
    task = asyncio.create_task(other())
    count = 0
    async for _ in bars(source):
        count += 1
        assert turns >= count
    task.cancel()
    assert count == 200


async def test_long_delay_moves_the_schedule(tmp_path: Path) -> None:
    """After a minute's standstill the bars go on at the same speed instead of all at once."""
    time = Time()
    pacer = Pacer(10, time.clock)
    assert pacer.delay() == 0
    time.now += 60
    assert pacer.delay() == 0
    assert pacer.delay() == pytest.approx(0.1)


async def test_short_delay_is_made_up_for() -> None:
    """A bar that took 0.25 s to handle at 10 a second makes the next two come at once."""
    time = Time()
    pacer = Pacer(10, time.clock)
    pacer.delay()
    time.now += 0.25
    assert [pacer.delay() > 0 for _ in range(3)] == [False, False, True]


@given(
    speed=st.floats(0.01, 10_000),
    work=st.lists(st.floats(0, 0.9), min_size=1, max_size=50),
)
def test_no_bar_is_early(speed: float, work: list[float]) -> None:
    """However long bars take to handle, number n never comes before n intervals have passed."""
    time = Time()
    pacer = Pacer(speed, time.clock)
    for number, seconds in enumerate(work):
        time.now += max(0.0, pacer.delay())
        assert time.now - 1_000 >= number / speed - 1e-6
        time.now += seconds


@pytest.mark.parametrize("speed", [-1.0, float("nan"), float("inf")])
def test_speed_must_make_sense(speed: float) -> None:
    """A speed that is negative or no number is refused."""
    with pytest.raises(ValueError, match="bars per second"):
        Pacer(speed)


async def test_stop_ends_a_long_wait(tmp_path: Path) -> None:
    """A feed waiting an hour for its next bar ends as soon as stop is set."""
    stop = asyncio.Event()
    feed = bars(small_file(tmp_path, 10), speed=1 / 3600, stop=stop)
    await anext(feed)
    asyncio.get_running_loop().call_soon(stop.set)
    async with asyncio.timeout(5):
        with pytest.raises(StopAsyncIteration):
            await anext(feed)


async def test_stop_before_the_start_gives_no_bar(tmp_path: Path) -> None:
    """A feed that was stopped before it began ends without a bar."""
    stop = asyncio.Event()
    stop.set()
    assert [bar async for bar in bars(small_file(tmp_path, 10), stop=stop)] == []


async def test_nothing_is_traded_before_the_whole_file_is_checked(tmp_path: Path) -> None:
    """A fault in the last line is raised instead of the first bar."""
    path = small_file(tmp_path, 100)
    with path.open("a") as file:
        file.write("rubbish\n")
    with pytest.raises(BarDataError, match=":102: 1 fields"):
        await anext(bars(path))


async def test_start_leaves_out_earlier_bars(tmp_path: Path) -> None:
    """A resumed session goes on where it is told to."""
    source = open_bars(small_file(tmp_path, 10))
    assert [bar async for bar in bars(source, start=7)] == source.bars[7:]


async def test_opened_file_and_feed_must_agree(tmp_path: Path) -> None:
    """A file opened as finished cannot be followed: its last line may have been half of one."""
    with pytest.raises(ValueError, match="follow"):
        await anext(bars(open_bars(small_file(tmp_path, 3)), follow=True))
