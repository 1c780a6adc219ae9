"""What every feed must do: the bundled ones, and the feed of the documentation."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from llm_integration.domain import Bar
from llm_integration.ports import Feed
from tests.unit.test_csv_rows import a_bar
from trading.feed import CsvFeed, read_bars
from trading.settings import DEMO_BARS_PER_SECOND, SAMPLE_BARS
from trading.stopping import Stop

ROOT = Path(__file__).resolve().parents[2]
BARS = [a_bar(at) for at in range(40)]
HEADER = "timestamp,open,high,low,close,volume\n"
BOUND = 20.0


def line_of(bar: Bar) -> str:
    """A bar as it stands in a CSV file."""
    return f"{bar.timestamp.isoformat()},{bar.open},{bar.high},{bar.low},{bar.close},{bar.volume}\n"


class Case:
    """A feed, the bars that it is to hand out, and what lets further ones come."""

    def __init__(
        self, feed: Feed, bars: list[Bar], *, ends: bool, more: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.feed, self.bars, self.ends, self.more = feed, bars, ends, more


@asynccontextmanager
async def replay(folder: Path) -> AsyncIterator[Case]:
    """A file of bars, without waiting."""
    file = folder / "bars.csv"
    file.write_text(HEADER + "".join(map(line_of, BARS)))
    yield Case(CsvFeed(file), BARS, ends=True)


@asynccontextmanager
async def growing(folder: Path) -> AsyncIterator[Case]:
    """A file to which bars are added, with half of them there at the start."""
    file = folder / "live.csv"
    file.write_text(HEADER + "".join(map(line_of, BARS[:20])))

    async def more() -> None:
        with file.open("a") as opened:
            opened.write("".join(map(line_of, BARS[20:])))

    yield Case(CsvFeed(file, follow=True, poll_seconds=0.01), BARS, ends=False, more=more)


@asynccontextmanager
async def demo(_folder: Path) -> AsyncIterator[Case]:
    """The bars of the demo, at its speed."""
    bars = list(read_bars(SAMPLE_BARS))
    yield Case(CsvFeed(SAMPLE_BARS, speed=DEMO_BARS_PER_SECOND), bars, ends=True)


@asynccontextmanager
async def documented(_folder: Path) -> AsyncIterator[Case]:
    """The feed that the documentation shows, with a server that has half of the bars at first."""
    served: list[asyncio.StreamWriter] = []
    lines = [(json.dumps([bar.timestamp.isoformat(), *bar[1:]]) + "\n").encode() for bar in BARS]

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer)
        writer.writelines(lines[:20])
        await writer.drain()

    async def more() -> None:
        served[-1].writelines(lines[20:])

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    loader = importlib.util.spec_from_file_location("socket_feed", ROOT / "examples/socket_feed.py")
    assert loader is not None
    assert loader.loader is not None
    module = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(module)
    try:
        feed: Feed = module.SocketFeed("127.0.0.1", server.sockets[0].getsockname()[1])
        yield Case(feed, BARS, ends=False, more=more)
    finally:
        server.close()
        for writer in served:
            writer.close()
        await server.wait_closed()


FEEDS = {
    "csv replay": replay, "csv that grows": growing, "demo": demo, "socket of the documentation": documented
}  # fmt: skip


@pytest.fixture(params=list(FEEDS))
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Case]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(FEEDS[request.param](tmp_path))


def generator(bars: AsyncIterator[Bar]) -> AsyncGenerator[Bar, None]:
    """A feed's iterator, which every feed here makes as a generator."""
    return cast("AsyncGenerator[Bar, None]", bars)


async def taken(case: Case, count: int, known_until: int | None = None) -> list[Bar]:
    """The first ``count`` bars of a run that goes on after bar number ``known_until``, or of a new one."""
    found: list[Bar] = []
    moment = None if known_until is None else case.bars[known_until].timestamp
    async with asyncio.timeout(BOUND), aclosing(generator(case.feed.bars(moment))) as bars:
        async for bar in bars:
            found.append(bar)
            if len(found) == count:
                break
            if bar == case.bars[19] and case.more is not None:
                await case.more()
    return found


async def test_every_bar_comes_once_in_its_order(case: Case) -> None:
    """As many as open() said, if it said so; each with an aware time, and as it was given."""
    count = await case.feed.open()
    assert count in (len(case.bars), None)
    assert (count is not None) is case.ends
    assert case.feed.source
    found = await taken(case, 40)
    assert found == case.bars[:40]
    assert all(type(bar) is Bar and bar.timestamp.utcoffset() == timedelta(0) for bar in found)


async def test_a_run_that_goes_on_gets_every_bar_behind_the_last_one_that_it_knows(case: Case) -> None:
    """Those before come first, all of them from the first, or not at all."""
    await case.feed.open()
    found = await taken(case, 25, known_until=14)
    behind = [bar for bar in found if bar.timestamp > case.bars[14].timestamp]
    known = found[: len(found) - len(behind)]
    assert known in (case.bars[:15], [])
    assert behind == case.bars[15 : 15 + len(behind)]
    assert len(behind) >= 10


async def test_the_reader_may_leave_while_the_feed_waits(case: Case) -> None:
    """A run that is asked to end does not wait for the next bar, and no task of the feed is left behind."""
    before = asyncio.all_tasks()
    await case.feed.open()
    stop, found = Stop(), 0
    loop = asyncio.get_running_loop()
    async with aclosing(stop.cuts(case.feed.bars())) as bars:
        async for _bar in bars:
            found += 1
            if found == 20:  # of those that end not, no further one is there yet
                loop.call_later(0.05, stop.request)
    assert 20 <= found < len(case.bars) or case.ends
    async with asyncio.timeout(BOUND):
        while asyncio.all_tasks() - before:  # noqa: ASYNC110  those that end do so in the next turns
            await asyncio.sleep(0)
