"""What the dashboard and the lines of progress show, and that showing it harms nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import io
import logging
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from trading.dashboard import (
    Dashboard,
    DashboardState,
    PlainProgress,
    RatedSignal,
    RecentMessages,
    dashboard_view,
    export_svg,
    progress_line,
    restore_terminal,
    terminal_available,
)
from trading.dashboard.state import count, duration, money
from trading.text import clean, shown

ROOT = Path(__file__).parents[2]
BOUND = 20.0
MOMENT = datetime(2017, 7, 20, 14, tzinfo=UTC)
HOSTILE = (
    "ok\x1b[31m \x1b]0;title\x07\x9b2J\u202e\u2066\u200bevil\x00\x7f [bold red]markup[/] [/nope]\n\r\tnext"
)


def rated(
    rating: int | None = 4, text: str = "Trend and momentum agree.", status: str = "completed"
) -> RatedSignal:
    return RatedSignal(MOMENT, "EURUSD", "BUY", rating, "no", "json", status, text)


FULL = DashboardState(
    symbol="EURUSD",
    strategy="sma_cross_20_50",
    session_id="3f2a9b1c-0000",
    simulated=True,
    elapsed_seconds=83,
    bars=3_412,
    total_bars=6_225,
    bars_per_second=400.0,
    last_bar_at=MOMENT,
    last_close=1.15234,
    longest_bar_ms=0.42,
    signals=84,
    llm_on=True,
    model="google/gemini-3.5-flash-lite",
    queued=12,
    in_flight=3,
    rated=60,
    unrated=2,
    failed=5,
    expired=7,
    requests_this_minute=11,
    requests_limit=14,
    tokens_this_minute=14_200,
    tokens_limit=950_000,
    cost_usd=Decimal("0.01234"),
    database="connected",
    recent=(
        rated(1, "first"),
        rated(None, "reply names no rating"),
        rated(None, "429 for too long", "failed"),
        rated(2, "choppy range"),
        rated(3, "so so"),
        rated(5, "強い上昇トレンド " * 20),
    ),
    messages=("PostgreSQL took 1.2 s",),
)


def picture(state: DashboardState, width: int = 100, height: int | None = 30) -> list[str]:
    console = Console(
        file=io.StringIO(), record=True, width=width, height=height, force_terminal=True, _environ={}
    )
    console.print(dashboard_view(state, console, height=height))
    return console.export_text().rstrip("\n").split("\n")


def test_everything_that_was_asked_for_is_shown() -> None:
    """One picture holds bars, signals, the LLM, its limits and cost, the database and the ratings."""
    shown_text = "\n".join(picture(FULL))
    for fact in (
        "EURUSD", "sma_cross_20_50", "SIMULATED", "3f2a9b1c", "00:01:23", "3,412 / 6,225  55%", "84",
        "2017-07-20 14:00  1.15234", "400 bars/s · 00:00:07 left", "0.4 ms at most", "LLM       on",
        "google/gemini-3.5-flash-lite", "12 waiting · 3 in flight", "11 / 14 this minute",
        "14,200 / 950,000", "$0.012340", "connected", "60 rated", "2 unrated", "5 failed", "7 expired",
        "3 ●●●○○", "so so", "json", "unrated", "reply names no rating", "429 for too long",
        "PostgreSQL took 1.2 s",
    ):  # fmt: skip
        assert fact in shown_text, fact


def test_last_five_ratings_newest_first() -> None:
    """Of six answers the oldest is gone and the newest is on top."""
    shown_text = "\n".join(picture(FULL))
    assert "first" not in shown_text
    order = [
        shown_text.index(text) for text in ("強い上昇", "so so", "choppy range", "429 for", "reply names")
    ]
    assert order == sorted(order)


def test_llm_that_is_off_says_why() -> None:
    """Without a key the reason stands beside the OFF."""
    off = replace(FULL, llm_on=False, llm_note="no OPENROUTER_API_KEY")
    assert "OFF  no OPENROUTER_API_KEY" in "\n".join(picture(off))
    waiting = replace(FULL, llm_note="circuit open")
    assert "on  circuit open" in "\n".join(picture(waiting))


NOTE = (
    "model google/gemini-2.5-flash-preview-05-20 is no longer served; change llm.model to"
    " google/gemini-3.5-flash-lite, which is served"
)


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("height", [26, 30, 50, None])
def test_a_note_too_long_for_its_place_is_shown_whole(width: int, height: int | None) -> None:
    """What the trader has to change can be read, not just its beginning."""
    lines = picture(replace(FULL, llm_note=NOTE), width, height)
    together = " ".join(line.strip("│╭╮╰╯─ ") for line in lines)
    for part in ("llm.model", "gemini-3.5-flash-lite,"):
        assert part in together
    assert height is None or len(lines) <= height


def test_follow_mode_has_no_end_to_show() -> None:
    """When nobody knows how many bars will come there is no share and no time left."""
    shown_text = "\n".join(picture(replace(FULL, following=True, total_bars=None)))
    assert "following the file" in shown_text
    assert "%" not in shown_text
    assert "left" not in shown_text


@pytest.mark.parametrize("height", [24, 30, 50, None])
@pytest.mark.parametrize("width", [40, 60, 76, 80, 100, 120, 200])
@pytest.mark.parametrize(
    "state", [FULL, DashboardState(), replace(FULL, llm_note=NOTE * 5)], ids=["full", "empty", "note"]
)
def test_no_line_wraps_and_no_screen_overflows(state: DashboardState, width: int, height: int | None) -> None:
    """At every usual size all lines fit, frames close at the right edge, and the screen is not overrun."""
    lines = picture(state, width, height)
    assert max(cell_len(line) for line in lines) <= width
    assert all(cell_len(line) == width for line in lines if line.startswith(("╭", "│", "╰")))
    assert sum(line.startswith("╭") for line in lines) == sum(line.startswith("╰") for line in lines)
    assert height is None or len(lines) <= height


@given(text=st.text(max_size=60), width=st.integers(20, 130), height=st.integers(10, 60))
def test_no_text_breaks_the_picture(text: str, width: int, height: int) -> None:
    """Whatever stands in the texts, every line fits and holds printable characters only."""
    state = replace(
        FULL, symbol=text, strategy=text, session_id=text, model=text, llm_note=text, database=text,
        messages=(text,), recent=(RatedSignal(None, text, text, 9, text, text, text, text),),
    )  # fmt: skip
    for line in picture(state, width, height):
        assert cell_len(line) <= width
        assert line.isprintable()


def test_hostile_text_is_shown_as_text() -> None:
    """Terminal commands are gone, markup is shown as it was written."""
    lines = picture(replace(FULL, recent=(rated(5, HOSTILE),), messages=(HOSTILE,)), 120, 40)
    assert all(line.isprintable() for line in lines)
    assert sum("ok evil [bold red]markup[/] [/nope] next" in line for line in lines) == 2


@given(st.text(), st.integers(2, 50))
def test_clean_text_is_short_and_printable(text: str, limit: int) -> None:
    """Cleaned text has one line, no more than the limit, and nothing a terminal acts upon."""
    cleaned = clean(text, limit)
    assert len(cleaned) <= limit
    assert all(char.isprintable() for char in cleaned)
    assert clean(cleaned, limit) == cleaned


def test_cleaning_a_megabyte_looks_at_its_beginning_only() -> None:
    """A huge text costs no more than a short one, and is marked as cut."""
    assert clean("\x1b]" * 500_000 + "x", 10) == "]]]]]]]]]…"
    assert clean(" " * 1_000 + "x", 10) == "…"
    assert shown("\x1b" * 100, 5) == r"'\x1b\x1b\x1b\x1b…'"


def test_numbers_are_written_for_people() -> None:
    """Counts, amounts and durations have the digits that matter."""
    assert [count(0), count(6_225), count(12_345_678)] == ["0", "6,225", "12.3M"]
    assert [money(None), money(0), money(Decimal("0.0000123")), money(12.5)] == [
        "unknown", "$0.00", "$0.000012", "$12.50",
    ]  # fmt: skip
    assert [duration(59.9), duration(3_661), duration(90_000)] == ["00:00:59", "01:01:01", "1d 01:00:00"]


def test_svg_is_complete_and_self_contained(tmp_path: Path) -> None:
    """The picture is well-formed, readable by others, names nothing to be fetched and leaves no draft."""
    path = tmp_path / "docs" / "dashboard.svg"
    export_svg(replace(FULL, recent=(rated(5, "a <b> & @font-face { } " + HOSTILE),)), path)
    export_svg(FULL, path.with_name("second.svg"))
    text = path.read_text(encoding="utf-8")
    shown_text = "".join(ET.fromstring(text).itertext()).replace("\xa0", " ")
    assert "a <b> & @font-face { }" in shown_text
    assert "url(http" not in text
    assert "src:" not in text
    assert path.stat().st_mode & 0o777 == 0o666 & ~current_umask()
    assert sorted(file.name for file in path.parent.iterdir()) == ["dashboard.svg", "second.svg"]


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_terminal_without_utf8_gets_plain_characters() -> None:
    """On a terminal that knows ASCII only, frames and ratings are drawn with it."""
    output = io.BytesIO()
    file = io.TextIOWrapper(output, encoding="ascii", errors="replace")
    console = Console(file=file, width=80, height=24, color_system=None, _environ={})
    console.print(dashboard_view(replace(FULL, model="a/b", recent=(rated(4),)), console, height=24))
    file.flush()
    text = output.getvalue().decode("ascii")
    assert "BUY  4 ****. clean  Trend and momentum agree." in text
    assert "12 waiting - 3 in flight" in text
    assert "?" not in text


def test_progress_line_says_it_all() -> None:
    """One line holds the bars, the answers, the requests and the cost."""
    assert progress_line(FULL) == (
        "bars 3,412/6,225 (55%) until 2017-07-20 14:00, signals 84, rated 60, unrated 2, failed 5, "
        "expired 7, queued 12, in flight 3, requests 11/14 this minute, cost $0.012340"
    )


def test_progress_line_names_trouble() -> None:
    """Why the LLM is off and what ails the database stand in the line, on one line."""
    line = progress_line(
        DashboardState(bars=10, llm_note=f"no key {HOSTILE}", database="away\nfor 5 s", database_ok=False)
    )
    assert line.startswith("bars 10, signals 0, LLM off (no key ok evil")
    assert line.endswith("database away for 5 s")
    assert line.isprintable()


async def test_progress_is_logged_while_the_loop_runs(caplog: pytest.LogCaptureFixture) -> None:
    """Lines come at the interval, unchanged ones are left out, and the last one stands at the end."""
    caplog.set_level(logging.INFO, "trading.dashboard.progress")
    bars, asked, enough = 0, 0, asyncio.Event()

    def state() -> DashboardState:
        nonlocal bars, asked
        asked += 1
        bars = min(asked, 3)
        if asked == 6:
            enough.set()
        return DashboardState(bars=bars)

    with PlainProgress(state, interval_seconds=0.001):
        async with asyncio.timeout(BOUND):
            await enough.wait()
    assert [record.getMessage().split(",")[0] for record in caplog.records] == ["bars 1", "bars 2", "bars 3"]


async def test_failing_state_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A caller's mistake in making the state does not reach the trading loop."""
    calls, enough = 0, asyncio.Event()

    def broken() -> DashboardState:
        nonlocal calls
        calls += 1
        if calls == 3:
            enough.set()
        raise KeyError("queued")

    with PlainProgress(broken, interval_seconds=0.001):
        async with asyncio.timeout(BOUND):
            await enough.wait()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_recent_messages_keeps_the_last_safe_lines() -> None:
    """The handler keeps the newest warnings on one line each, without control characters."""
    handler, log = RecentMessages(kept=2), logging.getLogger("host.test")
    log.propagate = False
    log.addHandler(handler)
    log.info("not worth a line")
    for number in range(3):
        log.warning("message %d %s", number, HOSTILE)
    assert handler.lines == tuple(
        f"message {number} ok evil [bold red]markup[/] [/nope] next" for number in (1, 2)
    )
    log.removeHandler(handler)


class Drawn(io.StringIO):
    """A terminal's output that tells when something was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = threading.Semaphore(0)

    def flush(self) -> None:
        super().flush()
        self.frames.release()


def terminal_console(file: io.StringIO) -> Console:
    return Console(file=file, width=80, height=24, force_terminal=True, _environ={})


async def test_dashboard_draws_in_its_own_thread_and_leaves_the_terminal_clean() -> None:
    """Frames follow the state; at the end the screen is left, the cursor back and the last frame printed."""
    file, bars = Drawn(), 1_111

    def state() -> DashboardState:
        assert threading.current_thread() is threading.main_thread()
        return DashboardState(bars=bars, symbol="EURUSD")

    before = sys.getswitchinterval()
    with Dashboard(state, refreshes_per_second=200, console=terminal_console(file)) as dashboard:
        while "1,111" not in file.getvalue():
            assert await asyncio.to_thread(file.frames.acquire, timeout=BOUND)
        bars = 2_222
        while "2,222" not in file.getvalue():
            assert await asyncio.to_thread(file.frames.acquire, timeout=BOUND)
        bars = 3_333
    assert dashboard.state.bars == 3_333
    screen, _, after = file.getvalue().rpartition("\x1b[?1049l")
    assert screen.startswith("\x1b[?1049h")
    assert "\x1b[?25h" in screen + after.partition("TRADENT")[0]
    assert "3,333" in after
    assert sys.getswitchinterval() == before


async def test_failure_of_the_host_gives_the_terminal_back() -> None:
    """An exception in the trading loop passes through, after the terminal was restored."""
    file = Drawn()

    async def trade() -> None:
        with Dashboard(DashboardState, console=terminal_console(file)):
            assert await asyncio.to_thread(file.frames.acquire, timeout=BOUND)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await trade()
    assert "\x1b[?1049l" in file.getvalue()
    assert "\x1b[?25h" in file.getvalue()


async def test_terminal_that_fails_ends_the_drawing_only(caplog: pytest.LogCaptureFixture) -> None:
    """A terminal that goes away is logged once; the loop and the way out are not disturbed."""
    tried = threading.Event()

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            tried.set()
            raise OSError(errno.EIO, "Input/output error")

    with Dashboard(DashboardState, refreshes_per_second=100, console=terminal_console(Gone())):
        assert await asyncio.to_thread(tried.wait, BOUND)
    assert ["cannot be drawn" in record.getMessage() for record in caplog.records] == [True]


async def test_stopped_terminal_does_not_hold_the_end_up() -> None:
    """When the terminal takes no more output, leaving the dashboard still returns, after a second."""
    blocked, freed = threading.Event(), threading.Event()

    class Stopped(io.StringIO):
        def write(self, text: str) -> int:
            blocked.set()
            freed.wait(BOUND)
            return super().write(text)

    loop = asyncio.get_running_loop()
    with Dashboard(DashboardState, console=terminal_console(Stopped())):
        assert await asyncio.to_thread(blocked.wait, BOUND)
        began = loop.time()
    assert loop.time() - began < 2
    freed.set()


PROGRAM = """
import asyncio, sys
from trading.dashboard import Dashboard, DashboardState, terminal_available
async def main():
    assert terminal_available()
    with Dashboard(lambda: DashboardState(bars=4_321), refreshes_per_second=10):
        if "crash" in sys.argv:
            raise RuntimeError("the host broke")
asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["", "crash"])
def test_real_terminal_is_given_back(how: str) -> None:
    """On a real terminal the program, ending well or not, leaves the other screen and shows the cursor."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how],
        cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(slave)
    output = b""
    with contextlib.suppress(OSError):  # Linux reports the end of a terminal as an error
        while piece := os.read(master, 65_536):
            output += piece
    os.close(master)
    assert process.wait(BOUND) == (1 if how else 0)
    text = output.decode()
    entered, left = text.index("\x1b[?1049h"), text.index("\x1b[?1049l")
    assert entered < text.index("4,321") < left
    assert text.rindex("\x1b[?25h") > text.index("\x1b[?25l")
    assert "4,321" in text[left:]
    assert ("the host broke" in text[left:]) == bool(how)


def test_pipe_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe, and a terminal that cannot move its cursor, get lines instead; a pipe gets no commands."""
    pipe = io.StringIO()
    restore_terminal(pipe)
    assert pipe.getvalue() == ""
    assert not terminal_available(pipe)
    monkeypatch.setattr(pipe, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal_available(pipe)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal_available(pipe)
    restore_terminal(pipe)
    assert "\x1b[?1049l\x1b[?25h" in pipe.getvalue()
