"""Line charts as SVG, drawn by hand: the same file from the same numbers, and nothing to install."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from html import escape

from benchmarks.figures import compact
from benchmarks.outcome import Chart

__all__ = ["svg"]

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 180, 34, 44
COLOURS = ("#1f6feb", "#d1242f", "#9a6700", "#1a7f37", "#8250df", "#57606a")

Scale = Callable[[float], float]


def svg(chart: Chart) -> str:
    """The chart as an SVG document; its background is white, so that it can be read in a dark page."""
    points = [point for line in chart.series.values() for point in line]
    xs = _Axis([x for x, _ in points], LEFT, WIDTH - RIGHT, log=chart.log_x)
    ys = _Axis([y for _, y in points], HEIGHT - BOTTOM, TOP, log=chart.log_y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 20, chart.title, weight="bold"),
        *_grid(chart, xs, ys),
    ]
    for number, (name, line) in enumerate(chart.series.items()):
        parts += _line(number, name, [(xs.at(x), ys.at(y)) for x, y in line if xs.shows(x) and ys.shows(y)])
    return "\n".join([*parts, "</svg>", ""])


class _Axis:
    """From values to pixels."""

    def __init__(self, values: Iterable[float], start: float, end: float, *, log: bool) -> None:
        known = [value for value in values if not log or value > 0] or [1.0]
        self._log = log
        self._start, self._end = start, end
        low, high = min(known), max(known)
        if not log:
            low, high = min(0.0, low), high or 1.0
        self.low = self._value(low)
        self.high = max(self._value(high), self.low + 1e-9)

    def _value(self, number: float) -> float:
        return math.log10(number) if self._log else number

    def shows(self, number: float) -> bool:
        """False for what a logarithmic axis has no place for."""
        return number > 0 or not self._log

    def at(self, number: float) -> float:
        """The pixel of a value."""
        share = (self._value(number) - self.low) / (self.high - self.low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> list[float]:
        """Round values inside the axis."""
        if self._log:
            low, high = math.floor(self.low), math.ceil(self.high)
            steps: tuple[float, ...] = (1,) if high - low > 2 else (1, 2, 5)
            found = [base * 10.0**power for power in range(low, high + 1) for base in steps]
            return [value for value in found if self.low - 1e-9 <= math.log10(value) <= self.high + 1e-9]
        step = 10.0 ** math.floor(math.log10(self.high - self.low))
        step = next(s for s in (step / 5, step / 2, step, step * 2) if (self.high - self.low) / s <= 7)
        first = math.ceil(self.low / step)
        return [number * step for number in range(first, int(self.high / step + 1e-9) + 1)]


def _grid(chart: Chart, xs: _Axis, ys: _Axis) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for value in ys.ticks():
        y = ys.at(value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#d0d7de"/>')
        parts.append(_text(LEFT - 6, y + 4, compact(value), anchor="end"))
    for value in xs.ticks():
        x = xs.at(value)
        parts.append(f'<path d="M{x:.1f} {bottom}v4" stroke="#57606a"/>')
        parts.append(_text(x, bottom + 17, compact(value), anchor="middle"))
    parts.append(f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#57606a"/>')
    parts.append(_text((LEFT + right) / 2, HEIGHT - 8, chart.x, anchor="middle"))
    parts.append(
        f'<text transform="translate(14 {(TOP + bottom) / 2:.0f}) rotate(-90)" text-anchor="middle" '
        f'fill="#24292f">{escape(chart.y)}</text>'
    )
    return parts


def _line(number: int, name: str, points: list[tuple[float, float]]) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    y = TOP + 12 + number * 20
    x = WIDTH - RIGHT + 12
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="2.5" fill="{colour}"/>' for cx, cy in points),
        f'<path d="M{x} {y - 4}h14" stroke="{colour}" stroke-width="3"/>',
        _text(x + 18, y, name),
    ]


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="#24292f">'
        f"{escape(text)}</text>"
    )
