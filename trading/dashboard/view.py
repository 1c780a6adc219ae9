"""How a ``DashboardState`` looks. Pure: state and size in, something rich can print out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trading.dashboard.state import DashboardState, RatedSignal, bar_time, count, duration, money
from trading.text import clean

__all__ = ["dashboard_view"]

SIDE_BY_SIDE = 76
"""From this many columns on, two panels stand beside each other."""
MEDIUM_ROWS = 60
"""From this many columns on, a rating's row shows its time and choppiness too."""
FULL_ROWS = 96
"""From this many columns on, a rating's row shows its year and the parser's method too."""
COMPACT_BELOW = 38
"""With fewer lines than this, panels that do not fit beside each other become one short panel."""
SHOWN_RATINGS = 5
NOTICE_LINES = 3
RATING_STYLES = {1: "bold red", 2: "dark_orange", 3: "yellow", 4: "green", 5: "bold green"}
SIDE_STYLES = {"BUY": "green", "SELL": "red"}
FRAME = 2


class Glyphs:
    """Characters of a terminal that can do UTF-8, or of one that cannot."""

    def __init__(self, *, ascii_only: bool) -> None:
        self.dot, self.ring = ("*", ".") if ascii_only else ("●", "○")
        self.between = " - " if ascii_only else " · "
        self.none = "-" if ascii_only else "–"


def dashboard_view(state: DashboardState, console: Console, *, height: int | None) -> RenderableType:
    """The dashboard for ``console``'s width; ``height`` lines at most, None for as many as it takes."""
    glyphs = Glyphs(ascii_only=console.options.ascii_only)
    width = console.width
    parts = [_header(state, width, glyphs), _top(state, width, height, glyphs), _answers(state, width)]
    spare = None if height is None else height - sum(_height(part, console) for part in parts)
    if (notice := _notice(state, console, width, spare)) is not None:
        parts.insert(2, notice)
        spare = None if spare is None else spare - _height(notice, console)
    parts.append(_ratings(state, console, width, _lines_each(spare), glyphs))
    if spare is None or spare >= SHOWN_RATINGS + FRAME + 1 + FRAME:
        room = 3 if spare is None else min(3, spare - SHOWN_RATINGS - FRAME - FRAME)
        parts += _messages(state.messages[-room:])
    return Group(*parts)


def _height(part: RenderableType, console: Console) -> int:
    return len(console.render_lines(part, pad=False))


def _lines_each(spare: int | None) -> int:
    """Lines of text for each of the last ratings, messages having their five lines below."""
    return 2 if spare is None else max(1, min(3, (spare - FRAME - 5) // SHOWN_RATINGS))


def _notice(state: DashboardState, console: Console, width: int, spare: int | None) -> RenderableType | None:
    """What keeps the LLM waiting, whole, where it is too long to stand beside its state."""
    note, room = clean(state.llm_note, 1_000), width - FRAME - 2
    beside = (room - FRAME - 2) // 2 if width >= SIDE_BY_SIDE else room
    lines = NOTICE_LINES if spare is None else min(NOTICE_LINES, spare - SHOWN_RATINGS - FRAME - FRAME)
    if lines < 1 or len(note) <= beside - len("LLM        OFF  "):
        return None
    return _panel(_shortened(note, console, room, lines), "Note", _llm_style(state, calm="blue"))


def _top(state: DashboardState, width: int, height: int | None, glyphs: Glyphs) -> RenderableType:
    if width >= SIDE_BY_SIDE:
        grid = Table.grid(expand=True)
        grid.add_column(ratio=1)
        grid.add_column(ratio=1)
        grid.add_row(_trading(state, glyphs), _llm(state, glyphs))
        return grid
    if height is not None and height < COMPACT_BELOW:
        return _compact(state, glyphs)
    return Group(_trading(state, glyphs), _llm(state, glyphs))


def _header(state: DashboardState, width: int, glyphs: Glyphs) -> RenderableType:
    left = Text.assemble((" TRADENT ", "bold white on blue"), " ")
    if state.simulated:
        left.append("SIMULATED ", style="bold magenta")
    parts = [clean(state.symbol, 32), clean(state.strategy, 40)]
    left.append(glyphs.between.join(filter(None, parts)), style="bold")
    session = f"session {clean(state.session_id)[:8]}  " if state.session_id and width >= SIDE_BY_SIDE else ""
    right = Text(f"{session}{duration(state.elapsed_seconds)} ", style="dim", no_wrap=True)
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(left, right)
    return grid


def _panel(body: RenderableType, title: str, style: str = "blue") -> Panel:
    return Panel(
        body, title=Text(title, style="bold"), title_align="left", box=box.ROUNDED, border_style=style
    )


def _facts(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True, width=9)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for name, value in rows:
        grid.add_row(name, value)
    return grid


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _trading(state: DashboardState, glyphs: Glyphs) -> Panel:
    close = "" if state.last_close is None else f"{state.last_close:.10g}"
    slowest = glyphs.none if state.longest_bar_ms is None else f"{state.longest_bar_ms:,.1f} ms at most"
    rows: list[tuple[str, RenderableType]] = [
        ("Bars", _bars(state)),
        ("", _gauge(state.share_done, "cyan")),
        ("Last bar", _line(f"{bar_time(state.last_bar_at)}  {close}".strip() or glyphs.none)),
        ("Speed", _line(_speed(state, glyphs))),
        ("Per bar", _line(slowest)),
        ("Signals", _line(count(state.signals), "bold")),
        _database(state, glyphs),
    ]
    return _panel(_facts(rows), "Trading")


def _speed(state: DashboardState, glyphs: Glyphs) -> str:
    parts = [] if state.bars_per_second is None else [f"{count(state.bars_per_second)} bars/s"]
    if state.following:
        parts.append("following the file")
    elif state.seconds_left is not None:
        parts.append(f"{duration(state.seconds_left)} left")
    return glyphs.between.join(parts) or glyphs.none


def _database(state: DashboardState, glyphs: Glyphs) -> tuple[str, RenderableType]:
    return "Database", _line(
        clean(state.database, 80) or glyphs.none, "green" if state.database_ok else "bold red"
    )


def _bars(state: DashboardState) -> Text:
    text = _line(count(state.bars), "bold")
    share = state.share_done
    if share is not None:
        text.append(f" / {count(state.total_bars or 0)}  {share:.0%}", style="not bold")
    return text


def _llm(state: DashboardState, glyphs: Glyphs) -> Panel:
    rows: list[tuple[str, RenderableType]] = [
        ("LLM", _status(state)),
        ("Model", _line(clean(state.model, 120) or glyphs.none)),
        ("Queue", _queue(state, glyphs)),
        ("Requests", _line(f"{_usage(state.requests_this_minute, state.requests_limit)} this minute")),
        ("", _gauge(_share(state.requests_this_minute, state.requests_limit))),
        ("Tokens", _line(_usage(state.tokens_this_minute, state.tokens_limit))),
        ("Cost", _line(money(state.cost_usd), "bold")),
    ]
    return _panel(_facts(rows), "Second opinion", _llm_style(state, calm="blue"))


def _compact(state: DashboardState, glyphs: Glyphs) -> Panel:
    """What matters most of both panels, for a small terminal."""
    requests = f"{_usage(state.requests_this_minute, state.requests_limit)} this minute"
    rows: list[tuple[str, RenderableType]] = [
        ("Bars", _bars(state)),
        ("Signals", _line(count(state.signals), "bold")),
        ("LLM", _status(state)),
        ("Model", _line(clean(state.model, 120) or glyphs.none)),
        ("Queue", _queue(state, glyphs)),
        ("Requests", _line(requests)),
        ("Tokens", _line(_usage(state.tokens_this_minute, state.tokens_limit))),
        ("Cost", _line(money(state.cost_usd), "bold")),
        _database(state, glyphs),
    ]
    return _panel(_facts(rows), "Trading", _llm_style(state, calm="blue"))


def _llm_style(state: DashboardState, *, calm: str) -> str:
    if not state.llm_on:
        return "red"
    return "yellow" if state.llm_note else calm


def _status(state: DashboardState) -> Text:
    style = _llm_style(state, calm="green")
    status = _line("on" if state.llm_on else "OFF", f"bold {style}")
    return status.append(f"  {clean(state.llm_note, 160)}", style="not bold") if state.llm_note else status


def _queue(state: DashboardState, glyphs: Glyphs) -> Text:
    return _line(f"{count(state.queued)} waiting{glyphs.between}{count(state.in_flight)} in flight")


def _usage(used: int, limit: int | None) -> str:
    return f"{count(used)} / {count(limit)}" if limit else count(used)


def _share(used: int, limit: int | None) -> float | None:
    return min(1.0, used / limit) if limit else None


def _gauge(share: float | None, style: str | None = None) -> RenderableType:
    """A bar filled by ``share``; without a style it goes from green to red as the share nears 1."""
    if share is None:
        return ""
    shade = style or ("green" if share < 0.8 else "yellow" if share < 1 else "red")
    return ProgressBar(1.0, share, complete_style=shade, finished_style=shade, style="grey35")


def _answers(state: DashboardState, width: int) -> RenderableType:
    counts = (
        ("rated", state.rated, "bold green"),
        ("unrated", state.unrated, "bold yellow"),
        ("failed", state.failed, "bold red"),
        ("expired", state.expired, "bold red"),
    )
    grid = Table.grid(expand=True, padding=(0, 1))
    for _ in counts:
        grid.add_column(
            ratio=1, justify="left" if width >= MEDIUM_ROWS else "center", no_wrap=True, overflow="ellipsis"
        )
    grid.add_row(*(_counted(name, number, style) for name, number, style in counts))
    return _panel(grid, "Answers")


def _counted(name: str, number: int, style: str) -> Text:
    return Text.assemble((count(number), style if number else "dim"), (f" {name}", "" if number else "dim"))


def _ratings(
    state: DashboardState, console: Console, width: int, lines_each: int, glyphs: Glyphs
) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    widths = (16, 4, 7, 6, 13) if width >= FULL_ROWS else (11, 4, 7, 6) if width >= MEDIUM_ROWS else (4, 7)
    for column in widths:
        grid.add_column(width=column, no_wrap=True, overflow="ellipsis")
    grid.add_column(ratio=1)
    room = max(8, width - FRAME - 2 - sum(widths) - len(widths))
    shown = list(reversed(state.recent[-SHOWN_RATINGS:]))
    for item in shown:
        text = _shortened(clean(item.text, room * lines_each * 2), console, room, lines_each)
        grid.add_row(*_rating_cells(item, len(widths), glyphs), text)
    for _ in range(SHOWN_RATINGS - len(shown)):
        grid.add_row("")
    return _panel(grid, "Last ratings")


def _rating_cells(item: RatedSignal, columns: int, glyphs: Glyphs) -> list[RenderableType]:
    """The cells before the text: side and rating, more of them where there is room."""
    side = clean(item.signal_type, 12)
    cells: list[RenderableType] = [_line(side, SIDE_STYLES.get(side.upper(), "")), _stars(item, glyphs)]
    if columns > len(cells):
        moment = bar_time(item.timestamp) or glyphs.none
        cells.insert(0, _line(moment if columns > 4 else moment.partition("-")[2] or moment, "dim"))
        choppy = {"yes": "choppy", "no": "clean"}.get(item.choppiness or "", glyphs.none)
        cells.append(_line(choppy, "yellow" if choppy == "choppy" else "dim"))
    if columns > len(cells):
        cells.append(_line(clean(item.method, 20), "dim"))
    return cells


def _stars(item: RatedSignal, glyphs: Glyphs) -> Text:
    if item.rating is None:
        word = "unrated" if item.status == "completed" else clean(item.status, 8)
        return _line(word, "yellow" if item.status == "completed" else "red")
    filled = max(0, min(5, item.rating))
    stars = _line(f"{item.rating} ", RATING_STYLES.get(item.rating, ""))
    stars.append(glyphs.dot * filled).append(glyphs.ring * (5 - filled), style="dim")
    return stars


def _shortened(text: str, console: Console, width: int, lines: int) -> Text:
    """``text`` wrapped to ``width`` cells and cut to ``lines`` lines."""
    wrapped = Text(text).wrap(console, width)
    kept = list(wrapped[:lines])
    if len(wrapped) > lines:
        kept[-1].truncate(width - 1)
        kept[-1].rstrip()
        kept[-1].append("…")
    return Text("\n").join(kept)


def _messages(lines: Sequence[str]) -> list[RenderableType]:
    if not lines:
        return []
    texts = [_line(clean(line, 300)) for line in lines]
    return [_panel(Group(*texts), "Messages", "yellow")]
