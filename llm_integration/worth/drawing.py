"""Pictures of the report as SVG: numbers in, text out, nothing else. Pure.

Colours are classes of the page's style, so that one picture serves light and dark. Every text that is drawn
goes through ``escaped``.
"""

from __future__ import annotations

import html
import math
import unicodedata
from calendar import monthrange
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Final

from llm_integration.worth.rater import Bin
from llm_integration.worth.sections import Day, PolicyRow, RankIC, RatingRow

__all__ = ["by_rating", "curve", "effect", "escaped", "month", "policy", "ratings", "reliability"]

WIDTH: Final = 420
HEIGHT: Final = 250
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 16, 34
MOST_TEXT: Final = 2_000
Scale = Callable[[float], float]


def escaped(text: object, limit: int = MOST_TEXT) -> str:
    """Text from outside as text of a page: one line, bounded, nothing invisible, no markup."""
    seen = "".join(
        char if char == " " or unicodedata.category(char)[0] not in "CZ" else " "
        for char in str(text)[: limit + 1]
    )
    cut = seen if len(seen) <= limit else seen[: limit - 1] + "…"
    return html.escape(cut, quote=True)


def _scale(low: float, high: float, begin: float, end: float) -> Scale:
    span = high - low or 1.0
    return lambda value: begin + (min(max(value, low), high) - low) / span * (end - begin)


def _picture(label: str, parts: Iterable[str], width: int = WIDTH, height: int = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escaped(label)}">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, words: object, kind: str = "tick", anchor: str = "middle") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _dot(x: float, y: float, radius: float, kind: str, told: str) -> str:
    place = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"'
    return f'<circle class="{kind}" {place}><title>{escaped(told)}</title></circle>'


def _shape(points: Sequence[tuple[float, float]], kind: str, *, closed: bool) -> str:
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<{"polygon" if closed else "polyline"} class="{kind}" points="{drawn}"/>'


def _steps(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from low to high."""
    raw = max(high - low, 1e-9) / most
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * times for times in (1, 2, 2.5, 5, 10) if size * times >= raw)
    begin = math.ceil(low / step - 1e-9)
    return [(begin + at) * step for at in range(int((high - begin * step) / step + 1e-9) + 1)]


def _frame(values: Iterable[float | None], unit: str, *, pad: float = 0.08) -> tuple[Scale, list[str]]:
    """A vertical scale that holds ``values`` and 0, with its lines and numbers."""
    known = [0.0, *(value for value in values if value is not None and math.isfinite(value))]
    low, high = min(known), max(known)
    room = (high - low or 1.0) * pad
    low, high = low - (room if low < 0 else 0), high + room
    scale = _scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [_text(LEFT, TOP - 5, unit, "tick", "start")]
    for step in _steps(low, high):
        parts.append(
            _line(LEFT, scale(step), WIDTH - RIGHT, scale(step), "zero" if abs(step) < 1e-9 else "rule")
        )
        parts.append(_text(LEFT - 6, scale(step) + 4, f"{step:g}", "tick", "end"))
    return scale, parts


def _columns(count: int) -> list[float]:
    width = (WIDTH - LEFT - RIGHT) / count
    return [LEFT + width * (at + 0.5) for at in range(count)]


def effect(test: RankIC) -> str:
    """The rank correlation with its interval, on top of what could not have been seen."""
    width, height, middle = WIDTH, 112, 50
    reach = max(0.3, *(abs(value or 0) * 1.15 for value in (test.low, test.high, test.minimum_detectable)))
    x = _scale(-reach, reach, 16, width - 16)
    parts = []
    if test.minimum_detectable is not None:
        left, right = x(-test.minimum_detectable), x(test.minimum_detectable)
        parts.append(
            f'<rect class="blind" x="{left:.1f}" y="18" width="{right - left:.1f}" height="64" rx="6"/>'
        )
        parts.append(_text(x(0), 13, "too small to be seen", "tick"))
    parts += [
        _line(16, middle, width - 16, middle, "rule"),
        _line(x(0), 18, x(0), 82, "zero"),
        *(_text(x(step), 104, f"{step:+.1f}" if step else "0") for step in _steps(-reach, reach, 6)),
    ]
    if test.value is not None:
        if test.low is not None and test.high is not None:
            parts.append(_line(x(test.low), middle, x(test.high), middle, "whisker wide"))
        parts.append(_dot(x(test.value), middle, 8, "mark", f"{test.value:.3f}"))
    return _picture("rank correlation of rating and net R with its 95% interval", parts, width, height)


def by_rating(rows: Sequence[RatingRow], fit: Sequence[float | None]) -> str:
    """Mean R by rating, with intervals, the number of signals, and the best rising fit."""
    y, parts = _frame([v for row in rows for v in (row.low, row.high, row.mean_r)], "mean R, net")
    places = _columns(len(rows))
    fitted = [(x, y(value)) for x, value in zip(places, fit, strict=True) if value is not None]
    if len(fitted) > 1:
        parts.append(_shape(fitted, "fit", closed=False))
    for x, row in zip(places, rows, strict=True):
        grey = "" if row.enough else " few"
        parts.append(_text(x, HEIGHT - 18, row.rating, "axis"))
        parts.append(_text(x, HEIGHT - 3, f"n {row.n:,}"))
        if row.mean_r is None:
            continue
        if row.low is not None and row.high is not None:
            parts.append(_line(x, y(row.low), x, y(row.high), f"whisker{grey}"))
            parts += [_line(x - 6, y(end), x + 6, y(end), f"whisker{grey}") for end in (row.low, row.high)]
        told = f"rating {row.rating}: {row.mean_r:+.2f} R over {row.n}"
        parts.append(_dot(x, y(row.mean_r), 4 + 9 * math.sqrt(row.share), f"mark{grey}", told))
    return _picture("mean net R by rating with 95% intervals", parts)


def policy(rows: Sequence[PolicyRow]) -> str:
    """Mean R of what is kept, beside the band of shifted ratings."""
    values = [
        v for row in rows for v in (row.mean_r, row.band_low, row.band_high, row.naive_low, row.naive_high)
    ]
    y, parts = _frame(values, "mean R of what is kept")
    places = _columns(len(rows))
    band = [
        (x, row.band_low, row.band_high)
        for x, row in zip(places, rows, strict=True)
        if row.band_low is not None and row.band_high is not None
    ]
    start = [(places[0], rows[0].mean_r, rows[0].mean_r)] if rows[0].mean_r is not None else []
    band = [*start, *band] if band and band[0][0] > places[0] else band
    if len(band) > 1:
        around = [(x, y(low)) for x, low, _ in band] + [(x, y(high)) for x, _, high in reversed(band)]
        parts.append(_shape(around, "band", closed=True))
    for edge in ("naive_low", "naive_high"):
        points = [
            (x, y(getattr(row, edge)))
            for x, row in zip(places, rows, strict=True)
            if getattr(row, edge) is not None
        ]
        if len(points) > 1:
            parts.append(_shape(points, "naive", closed=False))
    kept = [(x, row) for x, row in zip(places, rows, strict=True) if row.mean_r is not None]
    parts.append(_shape([(x, y(row.mean_r or 0)) for x, row in kept], "curve", closed=False))
    for x, row in kept:
        told = f"ratings from {row.min_rating}: {row.mean_r:+.2f} R over {row.n}"
        parts.append(_dot(x, y(row.mean_r or 0), 6, "mark" if row.enough else "mark few", told))
    for x, row in zip(places, rows, strict=True):
        parts.append(_text(x, HEIGHT - 18, f"≥ {row.min_rating}", "axis"))
        parts.append(_text(x, HEIGHT - 3, f"n {row.n:,}"))
    return _picture("mean net R when ratings from k upwards are kept, with the band of chance", parts)


def reliability(bins: Sequence[Bin]) -> str:
    """The chance that was told against the share that won."""
    x, y = _scale(0, 1, LEFT, WIDTH - RIGHT), _scale(0, 1, HEIGHT - BOTTOM, TOP)
    parts = [_text(LEFT, TOP - 5, "reached the target", "tick", "start")]
    for step in (0, 0.25, 0.5, 0.75, 1):
        parts += [
            _line(LEFT, y(step), WIDTH - RIGHT, y(step), "rule"),
            _text(LEFT - 6, y(step) + 4, f"{step:.0%}", "tick", "end"),
            _text(x(step), HEIGHT - 18, f"{step:.0%}", "tick", "end" if step == 1 else "middle"),
        ]
    parts.append(_line(x(0), y(0), x(1), y(1), "naive"))
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 3, "chance that the rating told"))
    for one in bins:
        told = f"{one.n} trades: told {one.predicted:.0%}, won {one.won:.0%}"
        parts.append(_line(x(one.predicted), y(one.low), x(one.predicted), y(one.high), "whisker"))
        parts.append(_dot(x(one.predicted), y(one.won), 6, "mark", told))
    return _picture("reliability of the chances that ratings tell", parts)


def ratings(rows: Sequence[RatingRow]) -> str:
    """How often each rating was given, and how often its signals won beside a fair game."""
    y, parts = _frame([1.0], "share of decided trades that won", pad=0.0)
    for x, row in zip(_columns(len(rows)), rows, strict=True):
        height = y(0) - y(row.share)
        parts.append(
            f'<rect class="bar" x="{x - 22:.1f}" y="{y(row.share):.1f}" width="44" height="{height:.1f}"'
            ' rx="3">'
            f"<title>{row.share:.0%} of the ratings</title></rect>"
        )
        parts.append(_text(x, HEIGHT - 18, row.rating, "axis"))
        parts.append(_text(x, HEIGHT - 3, f"{row.share:.0%}"))
        if row.win_rate is None or row.win_low is None or row.win_high is None:
            continue
        grey = "" if row.enough else " few"
        parts.append(_line(x, y(row.win_low), x, y(row.win_high), f"whisker{grey}"))
        parts.append(_dot(x, y(row.win_rate), 6, f"mark{grey}", f"{row.win_rate:.0%} of {row.decided} won"))
        if row.null_win_rate is not None:
            parts.append(_line(x - 16, y(row.null_win_rate), x + 16, y(row.null_win_rate), "fair"))
    return _picture("win rate by rating with 95% intervals beside that of a fair game", parts)


def curve(days: Sequence[Day]) -> str:
    """The sum of R over the days on which trades ended."""
    width, height = WIDTH, HEIGHT
    total, points = 0.0, [0.0]
    for day in days:
        total += day.total_r
        points.append(total)
    low, high = min(points), max(points)
    room = (high - low or 1.0) * 0.08
    y = _scale(low - room, high + room, height - 24, 18)
    x = _scale(0, max(len(points) - 1, 1), 44, width - 12)
    parts = [_text(44, 12, "R, added up over all resolved signals", "tick", "start")]
    for step in _steps(low - room, high + room, 4):
        parts.append(_line(44, y(step), width - 12, y(step), "zero" if abs(step) < 1e-9 else "rule"))
        parts.append(_text(38, y(step) + 4, f"{step:g}", "tick", "end"))
    drawn = [(x(at), y(value)) for at, value in enumerate(points)]
    parts.append(_shape([*drawn, (drawn[-1][0], y(0)), (drawn[0][0], y(0))], "under", closed=True))
    parts.append(_shape(drawn, "curve", closed=False))
    parts.append(_dot(*drawn[-1], 4, "mark", f"{total:+.1f} R"))
    if days:
        parts.append(_text(44, height - 6, days[0].date, "tick", "start"))
        parts.append(_text(width - 12, height - 6, days[-1].date, "tick", "end"))
    return _picture("sum of net R over time", parts, width, height)


def month(year: int, number: int, days: dict[int, Day], largest: float) -> str:
    """One month: a square for each day, the more colour the more R."""
    cell = 16
    begins, count = monthrange(year, number)
    parts = [_text(0, 12, f"{date(year, number, 1):%b %Y}", "axis", "start")]
    for day in range(1, count + 1):
        row, column = divmod(begins + day - 1, 7)
        found = days.get(day)
        kind, strength, told = "none", 1.0, f"{year}-{number:02}-{day:02}: no trade ended"
        if found is not None:
            kind = "gain" if found.total_r > 0 else "loss"
            strength = 0.25 + 0.75 * min(1.0, abs(found.total_r) / largest)
            told = f"{found.date}: {found.total_r:+.2f} R, {found.n} trades"
        parts.append(
            f'<rect class="{kind}" x="{column * cell}" y="{20 + row * cell}" width="{cell - 3}"'
            f' height="{cell - 3}" rx="3" fill-opacity="{strength:.2f}"><title>{escaped(told)}</title></rect>'
        )
    return _picture(f"net R by day in {year}-{number:02}", parts, 7 * cell, 20 + 6 * cell)
