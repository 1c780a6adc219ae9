"""The conditions of routing rules, made once from the settings and held against each signal. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from fnmatch import translate
from operator import attrgetter, ge, le

from llm_integration.config.routes import WEEKDAYS, When, time_span, zone_of
from llm_integration.domain import Signal

__all__ = ["Case", "Condition", "Test", "tests_of"]

MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule, held against one signal: ``text`` says both, ``holds`` the outcome."""

    text: str
    holds: bool


class Case:
    """What rules look at, worked out once for all. ``moment`` is what conditions on time are about."""

    __slots__ = ("_local", "backlog", "moment", "ratio", "signal", "symbol", "type")

    def __init__(self, signal: Signal, backlog: int, now: datetime | None) -> None:
        self.signal, self.backlog = signal, backlog
        self.moment = signal.timestamp if now is None else now
        self.symbol, self.type = signal.symbol.casefold(), signal.signal_type.casefold()
        ratio = signal.risk_reward_ratio
        self.ratio = None if ratio is None else round(ratio, 6)  # 1.10, 1.09 and 1.13 are three R, not 2.99…
        self._local: dict[tzinfo, datetime] = {}

    def local(self, zone: tzinfo) -> datetime | None:
        """The moment in ``zone``."""
        if self.moment is None:
            return None
        found = self._local.get(zone)
        if found is None:
            found = self._local[zone] = self.moment.astimezone(zone)
        return found


Reader = Callable[[Case], str]


_SAID = {
    "match": ("matches", "does not match"),
    "be": ("is", "is not"),
    "lie": ("lies", "does not lie"),
}


@dataclass(frozen=True, slots=True)
class Test:
    """One condition: whether it holds, and the value that it looks at, None for a missing one."""

    name: str
    wanted: str
    holds: Callable[[Case], bool]
    value: Callable[[Case], float | str | None]

    def told(self, case: Case) -> Condition:
        """The condition in words."""
        value, holds = self.value(case), self.holds(case)
        shown = MISSING if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        verb, rest = self.wanted.split(" ", 1)
        said = _SAID[verb][0] if holds else _SAID[verb][1]
        return Condition(f"{self.name} {shown[:60]} {said} {rest}", holds)


def tests_of(when: When) -> tuple[Test, ...]:
    tests: list[Test] = []
    if when.symbol is not None:
        tests.append(_pattern("symbol", when.symbol, attrgetter("symbol"), attrgetter("signal.symbol")))
    if when.signal_type is not None:
        tests.append(
            _pattern("signal_type", when.signal_type, attrgetter("type"), attrgetter("signal.signal_type"))
        )
    tests += _bounds("risk_reward", when.risk_reward_min, when.risk_reward_max, attrgetter("ratio"))
    for name, bounds in when.indicator.items():
        tests += _bounds(f"indicator {name}", bounds.min, bounds.max, _indicator(name))
    tests += _bounds("backlog", when.backlog_min, when.backlog_max, attrgetter("backlog"))
    return (*tests, *_time_tests(when))


def _pattern(name: str, pattern: str, folded: Reader, shown: Reader) -> Test:
    match = re.compile(translate(pattern.strip().casefold())).match

    def holds(case: Case) -> bool:
        value = folded(case)
        return bool(value) and match(value) is not None

    return Test(name, f"match {pattern!r}", holds, lambda case: shown(case) or None)


def _indicator(name: str) -> Callable[[Case], float | None]:
    return lambda case: case.signal.indicators.get(name)


def _bounds(
    name: str, low: float | None, high: float | None, read: Callable[[Case], float | None]
) -> list[Test]:
    tests = []
    if low is not None:
        tests.append(_bound(name, "at least", low, ge, read))
    if high is not None:
        tests.append(_bound(name, "at most", high, le, read))
    return tests


def _bound(
    name: str,
    words: str,
    limit: float,
    compare: Callable[[float, float], bool],
    read: Callable[[Case], float | None],
) -> Test:
    def holds(case: Case) -> bool:
        value = read(case)
        return value is not None and compare(value, limit)

    return Test(name, f"be {words} {limit:g}", holds, read)


def _time_tests(when: When) -> list[Test]:
    zone = zone_of(when.timezone)
    tests: list[Test] = []
    if when.time is not None:
        tests.append(_time_of_day(when.time, zone))
    if when.weekday:
        tests.append(_weekday(frozenset(when.weekday), zone))
    return tests


def _time_of_day(text: str, zone: tzinfo) -> Test:
    start, end = time_span(text)

    def holds(case: Case) -> bool:
        local = case.local(zone)
        if local is None:
            return False
        clock = local.time()
        return start <= clock < end if start < end else clock >= start or clock < end

    def value(case: Case) -> str | None:
        local = case.local(zone)
        return None if local is None else f"{local:%H:%M} {zone}"

    return Test("time", f"lie in {text}", holds, value)


def _weekday(days: frozenset[str], zone: tzinfo) -> Test:
    def day(case: Case) -> str | None:
        local = case.local(zone)
        return None if local is None else WEEKDAYS[local.weekday()]

    wanted = ", ".join(each for each in WEEKDAYS if each in days)
    return Test("weekday", f"be {wanted}", lambda case: day(case) in days, day)
