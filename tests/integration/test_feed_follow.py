"""Following a CSV file that grows, on a real disk."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trading.errors import BarDataError
from trading.feed import Bar, BarTable, bars, open_bars

HEADER = "timestamp,open,high,low,close,volume\n"
START = datetime(2024, 1, 1, tzinfo=UTC)
BOUND = 20.0


def line(number: int) -> str:
    moment = START + timedelta(hours=number)
    return f"{moment.isoformat()},{number},{number}.5,{number},{number},1\n"


class Follower:
    """A feed being followed that looks at the file only when the test lets it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stop = asyncio.Event()
        self.polls = 0
        self._wanted = asyncio.Semaphore(0)
        self._idle = asyncio.Event()
        self.seen: list[Bar] = []
        self.task = asyncio.create_task(self._run())

    async def pause(self, stop: asyncio.Event, seconds: float) -> None:
        self.polls += 1
        self._idle.set()
        await self._wanted.acquire()

    async def _run(self) -> None:
        async for bar in bars(self.path, follow=True, stop=self.stop, pause=self.pause):
            self.seen.append(bar)

    async def settled(self) -> list[float]:
        """The closes so far, once the feed has read all there is and waits for more."""
        await self._until_idle()
        return [bar.close for bar in self.seen]

    async def poll(self) -> list[float]:
        """Let the feed look at the file again."""
        await self._until_idle()
        self._idle.clear()
        self._wanted.release()
        return await self.settled()

    async def _until_idle(self) -> None:
        idle = asyncio.create_task(self._idle.wait())
        await asyncio.wait({idle, self.task}, timeout=BOUND, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        if self.task.done():
            self.task.result()
        assert idle.done()

    async def close(self) -> None:
        self.stop.set()
        self._wanted.release()
        await asyncio.wait({self.task}, timeout=BOUND)


@pytest.fixture
async def follow() -> AsyncIterator[Callable[[Path], Follower]]:
    followers: list[Follower] = []

    def start(path: Path) -> Follower:
        followers.append(Follower(path))
        return followers[-1]

    yield start
    for follower in followers:
        await follower.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "live.csv"
    file.write_text(HEADER + line(1) + line(2))
    return file


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def rewrite(path: Path, text: str) -> None:
    path.write_text(text)


def remove(path: Path) -> None:
    path.unlink()


Follow = Callable[[Path], Follower]


async def test_added_bars_are_handed_out(follow: Follow, path: Path) -> None:
    """Bars that a platform appends come out after those that were there."""
    feed = follow(path)
    assert await feed.settled() == [1, 2]
    append(path, line(3) + line(4))
    assert await feed.poll() == [1, 2, 3, 4]


async def test_half_written_line_is_waited_for(follow: Follow, path: Path) -> None:
    """A line is read when its line break is there, even if the part before would have been a bar."""
    feed = follow(path)
    whole = line(3)
    append(path, whole[:-1])
    assert await feed.poll() == [1, 2]
    append(path, "5")
    assert await feed.poll() == [1, 2]
    append(path, "\n" + line(4)[:9])
    assert await feed.poll() == [1, 2, 3]
    assert feed.seen[-1].volume == 15
    append(path, line(4)[9:])
    assert await feed.poll() == [1, 2, 3, 4]


async def test_file_may_start_without_its_header(follow: Follow, tmp_path: Path) -> None:
    """A platform may create the file first and write to it later."""
    path = tmp_path / "new.csv"
    path.touch()
    feed = follow(path)
    assert await feed.settled() == []
    append(path, HEADER[:10])
    assert await feed.poll() == []
    append(path, HEADER[10:] + line(1))
    assert await feed.poll() == [1]


async def test_many_bars_at_once_are_read_in_bounded_pieces(follow: Follow, path: Path) -> None:
    """A large addition is read completely, without a wait between its pieces."""
    feed = follow(path)
    await feed.settled()
    append(path, "".join(line(number) for number in range(3, 3_000)))
    assert await feed.poll() == list(range(1, 3_000))
    assert feed.polls == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rubbish\n", r"live\.csv:4: 1 fields where the header has 6"),
        (line(2), r"live\.csv:4: the same time as the bar before"),
        (line(1), r"live\.csv:4: earlier than the bar before"),
        (line(3) + line(4).replace("4.5", "3.5"), r"live\.csv:5: high 3\.5 is below low 4\.0"),
    ],
)
async def test_bad_addition_is_left_out_with_a_warning(
    follow: Follow, path: Path, text: str, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An appended line that is no sound bar is named by file, line and problem, and the feed goes on."""
    feed = follow(path)
    await feed.settled()
    append(path, text + line(9))
    assert (await feed.poll())[-1] == 9
    (warning,) = [record.getMessage() for record in caplog.records]
    assert re.search(expected, warning)
    assert warning.endswith("the bar is left out")


async def test_a_bad_bar_at_the_start_is_an_error(path: Path) -> None:
    """What the file holds before trading begins must be sound, with follow too."""
    append(path, line(3).replace("3.5", "2.5"))
    with pytest.raises(BarDataError, match=r"live\.csv:4: high 2\.5 is below low 3\.0"):
        open_bars(path, follow=True)


async def test_an_added_byte_that_is_no_text_costs_one_bar(follow: Follow, path: Path) -> None:
    """A running host is not ended by a byte of another encoding."""
    feed = follow(path)
    await feed.settled()
    with path.open("ab") as file:
        file.write(b"2024-01-01T03:00:00+00:00,\xff,3,3,3,1\n" + line(4).encode())
    assert await feed.poll() == [1, 2, 4]


async def test_an_endless_line_costs_no_running_host(follow: Follow, path: Path) -> None:
    """What a platform wrote by mistake is left out, and not kept without bound."""
    feed = follow(path)
    await feed.settled()
    for _ in range(3):
        append(path, "x" * 40_000)
        await feed.poll()
    append(path, "\n" + line(9))
    assert await feed.poll() == [1, 2, 9]


async def test_a_feed_goes_on_for_days(follow: Follow, tmp_path: Path) -> None:
    """How far ahead a bar may lie is judged by the clock of the moment, not by that of the start."""
    path = tmp_path / "live.csv"
    path.write_text(HEADER + line(1))
    now = START + timedelta(hours=2)
    opened = open_bars(path, follow=True, clock=lambda: now)
    assert len(opened.bars) == 1
    append(path, line(48))
    added = BarTable()
    opened.reader.read_into(added)
    assert len(added) == 0
    now += timedelta(hours=47)
    append(path, line(49))
    opened.reader.read_into(added)
    assert [bar.close for bar in added] == [49]


async def test_bars_that_could_be_read_in_two_ways_wait(follow: Follow, tmp_path: Path) -> None:
    """Until a 13th shows whether the day or the month stands first, with one warning."""
    path = tmp_path / "live.csv"
    path.write_text("date,open,high,low,close\n" + "11/01/2024,1,1,1,1\n")
    feed = follow(path)
    assert await feed.settled() == []
    append(path, "12/01/2024,2,2,2,2\n")
    assert await feed.poll() == []
    append(path, "13/01/2024,3,3,3,3\n")
    assert await feed.poll() == [1, 2, 3]
    assert feed.seen[0].timestamp == datetime(2024, 1, 11, tzinfo=UTC)


async def test_shorter_file_is_an_error(follow: Follow, path: Path) -> None:
    """A truncated file is not read on from the wrong place."""
    feed = follow(path)
    await feed.settled()
    rewrite(path, HEADER + line(3))
    with pytest.raises(BarDataError, match="became shorter"):
        await feed.poll()


async def test_replaced_file_is_an_error(follow: Follow, path: Path) -> None:
    """A rotated file, new under the old name, is noticed."""
    feed = follow(path)
    await feed.settled()
    fresh = path.with_name("fresh.csv")
    fresh.write_text(HEADER + line(1) + line(2) + line(3))
    fresh.replace(path)
    with pytest.raises(BarDataError, match="was replaced"):
        await feed.poll()


async def test_rewritten_file_is_an_error(follow: Follow, path: Path) -> None:
    """The same file with other bars in it is noticed, even if it is longer than before."""
    feed = follow(path)
    await feed.settled()
    rewrite(path, HEADER + line(5) + line(6) + line(7))
    with pytest.raises(BarDataError, match="was rewritten"):
        await feed.poll()


async def test_vanished_file_is_an_error(follow: Follow, path: Path) -> None:
    """A file that was deleted does not look like a quiet market."""
    feed = follow(path)
    await feed.settled()
    remove(path)
    with pytest.raises(BarDataError, match="cannot be read: No such file"):
        await feed.poll()


async def test_opened_file_is_followed_from_where_it_was_read(path: Path) -> None:
    """Bars added between opening and following are neither lost nor repeated."""
    source = open_bars(path, follow=True)
    append(path, line(3))
    stop, closes = asyncio.Event(), []
    async with asyncio.timeout(BOUND):
        async for bar in bars(source, follow=True, stop=stop, start=1, poll_seconds=0.01):
            closes.append(bar.close)
            if bar.close == 3:
                stop.set()
    assert closes == [2, 3]


async def test_stop_ends_a_quiet_feed(path: Path) -> None:
    """A feed that waits for a file that does not grow ends as soon as stop is set."""
    stop = asyncio.Event()
    async with asyncio.timeout(BOUND):
        async for bar in bars(path, follow=True, stop=stop, poll_seconds=3_600):
            if bar.close == 2:
                asyncio.get_running_loop().call_soon(stop.set)


async def test_slow_writer_loses_nothing(path: Path) -> None:
    """Bars written a few bytes at a time from another thread all arrive, once and in order."""
    stop = asyncio.Event()

    def write() -> None:
        text = "".join(line(number) for number in range(3, 203))
        with path.open("a", buffering=1) as file:
            for start in range(0, len(text), 7):
                file.write(text[start : start + 7])
                file.flush()

    writer = threading.Thread(target=write)
    closes = []
    async with asyncio.timeout(BOUND):
        async for bar in bars(path, follow=True, stop=stop, poll_seconds=0.001):
            closes.append(bar.close)
            if bar.close == 2:
                writer.start()
            if bar.close == 202:
                stop.set()
    writer.join()
    assert closes == list(range(1, 203))
