"""Times from outside, read in one way or not at all. Pure.

One cell of a column rarely says how the column is written: ``01/02/2024`` may be a day of January or of
February, and only a 13th further down decides. So a column is judged as a whole: it has one form, and a
cell that does not fit it is not used. A time counts only between 1980 and a day from now. Numbers tell
their unit by their size then: seconds, milliseconds, microseconds and nanoseconds since 1970 and dates
written as 20260105 never overlap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from llm_integration.fairness import CELLS_AT_ONCE, Steps, at_once

__all__ = [
    "EARLIEST",
    "TimeColumn",
    "TimeRules",
    "TimesRead",
    "is_missing",
    "parse_time",
    "shown_cell",
    "zone_named",
]

EARLIEST: Final = datetime(1980, 1, 1, tzinfo=UTC)
AHEAD: Final = timedelta(days=1)
"""How far beyond now a time may lie: clocks differ, and a bar may be stamped with its end."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
MOST_CHARS: Final = 64
MOST_ZONES: Final = 64
"""Zones named in texts that are looked for, which reads the disk: no market has more."""
MOST_SHOWN: Final = 40
DAYS_APART: Final = timedelta(days=4)
"""A session's date and its bars' times differ by less, over a weekend too."""

YEAR_FIRST: Final = "YYYY-MM-DD"
TYPED: Final = "dates and times"
MISSING: Final = "missing"
DAY_FIRST: Final = "day first"
MONTH_FIRST: Final = "month first"
UNITS: Final = (
    ("seconds since 1970", 1_000_000, 1),
    ("milliseconds since 1970", 1_000, 1),
    ("microseconds since 1970", 1, 1),
    ("nanoseconds since 1970", 1, 1_000),
)
"""Each unit's name, and the fraction that makes microseconds of it."""
EXCEL_DAYS: Final = range(29_221, 73_051)
"""1980 to 2099 as Excel counts days; which of its two calendars is meant, and whether these are not just
numbers of rows, nobody can tell."""

_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?"
)
_ZONE = r"(?:\s*(?P<zone>Z|z|(?:UTC|GMT)?[+-]\d\d(?::?\d\d)?|UTC|GMT|[A-Za-z]+(?:/[A-Za-z0-9_+-]+){1,2}))?"
_BEHIND = rf"(?:(?:\s*[T,;]\s*|\s+|\s+-\s+){_CLOCK}{_ZONE})?"
_WORD = r"(?P<word>[A-Za-z]{3,9})\.?"
_WEEKDAY = r"(?:[A-Za-z]{3,9},?\s+)?"
_PATTERNS: Final = tuple(
    (form, re.compile(pattern, re.ASCII))
    for form, pattern in (
        (
            YEAR_FIRST,
            rf"(?P<year>\d{{4}})(?P<mark>[-./])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}}){_BEHIND}",
        ),
        ("YYYYMMDD HH:MM", rf"(?P<year>\d{{4}})(?P<month>\d\d)(?P<day>\d\d)[T ;_-]\s*{_CLOCK}{_ZONE}"),
        (
            "YYYYMMDD HHMMSS",
            r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)[T ;_-]\s*"
            rf"(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?(?P<fraction>)(?P<half>){_ZONE}",
        ),
        ("DD.MM.YYYY", rf"(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?P<year>\d{{4}}){_BEHIND}"),
        ("DD Mon YYYY", rf"{_WEEKDAY}(?P<day>\d{{1,2}})[ .-]+{_WORD}[ ,-]+(?P<year>\d{{4}}){_BEHIND}"),
        ("Mon DD, YYYY", rf"{_WEEKDAY}{_WORD}\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}}){_BEHIND}"),
    )
)
_EITHER: Final = re.compile(
    rf"(?P<one>\d{{1,2}})(?P<mark>[-/])(?P<two>\d{{1,2}})(?P=mark)(?P<year>\d{{4}}){_BEHIND}", re.ASCII
)
_NUMBER: Final = re.compile(r"(\d{8,19})(?:\.(\d{1,12}))?", re.ASCII)
_OF_DAY: Final = re.compile(_CLOCK, re.ASCII)
_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "january"), ("feb", "february"), ("mar", "march"), ("apr", "april"), ("may",),
            ("jun", "june"), ("jul", "july"), ("aug", "august"), ("sep", "sept", "september"),
            ("oct", "october"), ("nov", "november"), ("dec", "december"),
        ),
        start=1,
    )
    for name in names
}  # fmt: skip

Candidate = tuple[str, datetime]
"""A form, and what a cell says in it; without a zone if the cell names none."""


@dataclass(frozen=True, slots=True)
class TimeRules:
    """The zone of times that name none, and the moment after which no time is believed."""

    zone: tzinfo
    latest: datetime

    @classmethod
    def at(cls, now: datetime | None = None, zone: tzinfo = UTC) -> TimeRules:
        """The rules at ``now`` (aware; None: the clock's)."""
        return cls(zone, (datetime.now(UTC) if now is None else now) + AHEAD)


@dataclass(frozen=True, slots=True)
class TimesRead:
    """What a column came to.

    ``moments`` are in UTC, None for a cell that cannot be used; ``problem`` says in words what is wrong
    with the column, or with some of its cells, and is empty when nothing is. ``kind`` names the problem
    without its examples. ``naive`` is true when cells named no zone.
    """

    moments: list[datetime | None]
    form: str
    problem: str = ""
    kind: str = ""
    naive: bool = False


def zone_named(name: str) -> tzinfo:
    """The zone of an IANA name; raises ValueError for any other text."""
    if name.strip().upper() in ("UTC", "Z", "GMT"):
        return UTC
    try:
        return ZoneInfo(name.strip())
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"{shown_cell(name)} is no time zone; name one such as Europe/Berlin or UTC"
        ) from None


def parse_time(value: object) -> datetime | None:
    """``value`` as an aware UTC datetime, None unless it can be read in one way.

    Accepts datetimes and periods (pandas' and numpy's too), dates, text and numbers; a time without a zone
    is UTC. Only numbers are held against the clock, whose unit shows by that: what was read and stored
    once is not refused later. ``TimeColumn`` is for what comes from outside.
    """
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    if type(value) is str and value[4:5] == "-" and value[5:6].isdigit():  # as everything of ours writes it
        try:
            return _in_utc(datetime.fromisoformat(value), UTC)
        except ValueError:
            pass  # perhaps one of the spellings that ISO 8601 does not know
    found = {_in_utc(moment, UTC) for _, moment in _candidates(value, None)}
    return found.pop() if len(found) == 1 else None


def is_missing(value: object) -> bool:
    """True for None, NaN, NaT and blank text."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value or value.isspace()
    try:
        return bool(value != value)  # noqa: PLR0124  pandas' NaT and NaN differ from themselves
    except Exception:  # whatever a foreign object's comparison raises; pandas' NA has no truth
        return True


def shown_cell(value: object) -> str:
    """A cell quoted for a message: one line, bounded, escapes visible."""
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:  # a foreign object that cannot be shown
        return f"a {type(value).__name__}"
    text = text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"
    return ascii(text) if not text.isprintable() else repr(text)


class TimeColumn:
    """Takes the cells of one column and judges them together.

    A cell is a tuple: the time, or a date and what stands in the column beside it, a time of day or a
    whole time.
    """

    def __init__(self, rules: TimeRules) -> None:
        self._rules = rules
        self._cells: list[Sequence[object]] = []
        self._found: list[tuple[Candidate, ...]] = []
        self._common: set[str] | None = None
        """The forms that every cell so far can have; None while none of them says anything."""
        self._first: Sequence[object] = ()
        self._mixed: Sequence[object] | None = None
        self._chosen = TYPED

    def add(self, cell: Sequence[object]) -> None:
        """Take the next cell."""
        found = self._read(cell)
        self._cells.append(cell)
        self._found.append(found)
        if not found or self._mixed is not None or found[0][0] == TYPED:
            return
        if self._common is None:
            self._common, self._first = set(map(_form, found)), cell
        elif len(found) != 1 or {found[0][0]} != self._common:
            both = self._common.intersection(map(_form, found))
            self._common, self._mixed = (both, None) if both else (self._common, cell)

    @property
    def zone(self) -> tzinfo:
        """That of times that name none."""
        return self._rules.zone

    @property
    def empty(self) -> bool:
        """True while no cell could be read in any way."""
        return not any(self._found)

    @property
    def naive(self) -> bool:
        """True when a cell named no zone."""
        return any(moment.tzinfo is None for found in self._found for _, moment in found)

    def extend(self, cells: Iterable[Sequence[object]]) -> None:
        """Take several cells."""
        for cell in cells:
            self.add(cell)

    def _read(self, cell: Sequence[object]) -> tuple[Candidate, ...]:
        latest = self._rules.latest
        if len(cell) == 1:
            return _candidates(cell[0], latest)
        whole = _candidates(cell[-1], latest)
        days = _candidates(cell[0], latest)
        if whole:
            return () if _apart(days, whole) else whole
        clocks = _of_day(cell[-1])
        return tuple(
            (f"{form}, {clock}", moment.replace(hour=0, minute=0, second=0, microsecond=0) + after)
            for form, moment in days
            for clock, after in (*clocks, *(_SAME_DAY if clocks and _numbers_day(cell[-1], moment) else ()))
        )

    def form(self, *, of_the_first: bool = False) -> tuple[str, str, str]:
        """The form of the column so far, a problem with it in words, and the problem's kind.

        ``of_the_first``: the form in which the first cells are written, if others have another one.
        """
        if self._mixed is not None and not of_the_first:
            both = f"{_shown(self._first)} and {_shown(self._mixed)}"
            return "", f"is written in several ways, such as {both}", "mixed"
        form, *others = sorted(self._common or {TYPED})
        for cell, found in zip(self._cells, self._found, strict=True) if others else ():
            ways = dict(found)
            if form in ways and any(ways[form] != ways[other] for other in others):
                return "", f"can be read in two ways, such as {_shown(cell)}{_ways(form)}", "two ways"
        return form, "", ""

    def choose(self, form: str, rules: TimeRules | None = None) -> None:
        """Read every further cell in this form, by newer rules if they are given."""
        self._chosen = form
        self._rules = rules or self._rules

    def moment(self, cell: Sequence[object]) -> datetime | None:
        """What one cell says in the form that was chosen."""
        if self._chosen == YEAR_FIRST and len(cell) == 1:  # the most usual, and the quickest
            text = cell[0]
            if type(text) is str and text[4:5] == "-" and text[5:6].isdigit():
                try:
                    return self._believed(datetime.fromisoformat(text))
                except ValueError:
                    pass  # perhaps one of the spellings that ISO 8601 does not know
        given = next((moment for form, moment in self._read(cell) if form in (self._chosen, TYPED)), None)
        return None if given is None else self._believed(given)

    def reason(self, cell: Sequence[object]) -> str:
        """Why ``moment`` gives none for this cell, as the end of a sentence about it."""
        given = next((moment for form, moment in self._read(cell) if form in (self._chosen, TYPED)), None)
        return self._reason(cell, given)

    def _believed(self, moment: datetime) -> datetime | None:
        found = _in_utc(moment, self._rules.zone)
        return found if found is not None and EARLIEST <= found <= self._rules.latest else None

    def finish(self) -> TimesRead:
        """The moments of all cells."""
        return at_once(self.in_pieces())

    def in_pieces(self) -> Steps[TimesRead]:
        """``finish`` for an event loop, with a pause wherever this yields."""
        form, problem, kind = self.form()
        if problem:
            return TimesRead([None] * len(self._cells), form, problem, kind)
        moments: list[datetime | None] = []
        naive = False
        wrong: dict[str, list[Sequence[object]]] = {}
        for cell, found in zip(self._cells, self._found, strict=True):
            given = next((moment for way, moment in found if way in (form, TYPED)), None)
            moment = None if given is None else self._believed(given)
            moments.append(moment)
            if moment is None:
                wrong.setdefault(self._reason(cell, given), []).append(cell)
            elif given is not None and given.tzinfo is None:
                naive = True
            if len(moments) % CELLS_AT_ONCE == 0:
                yield
        return TimesRead(moments, form, *_told(wrong, len(moments)), naive)

    def _reason(self, cell: Sequence[object], given: datetime | None) -> str:
        if given is not None:
            found = _in_utc(given, self._rules.zone)
            if found is None:
                return f"in an hour that a clock change skips or repeats in {self._rules.zone}"
            return "before 1980" if found < EARLIEST else "more than a day after now"
        if all(map(is_missing, cell)):
            return MISSING
        number = _plain_number(cell[-1])
        if number is not None and int(number) in EXCEL_DAYS:
            return "no time that can be read in one way (days as Excel counts them? write dates)"
        return "no time that can be read in one way"


def _ways(form: str) -> str:
    return " (is the day or the month first?)" if form.startswith((DAY_FIRST, MONTH_FIRST)) else ""


def _form(candidate: Candidate) -> str:
    return candidate[0]


def _told(wrong: dict[str, list[Sequence[object]]], count: int) -> tuple[str, str]:
    """What is wrong with some cells, in words and without the examples; the most frequent first."""
    reasons = sorted(wrong, key=lambda reason: -len(wrong[reason]))
    problems = [
        f"{reason} in {len(wrong[reason])} of {count}"
        + ("" if reason == MISSING else f", such as {_shown(wrong[reason][0])}")
        for reason in reasons
    ]
    return "; ".join(problems), ", ".join(reasons)


def _shown(cell: Sequence[object]) -> str:
    return " ".join(shown_cell(part) for part in cell)


def _apart(days: tuple[Candidate, ...], whole: tuple[Candidate, ...]) -> bool:
    """A column of times of day that a library took for today's stands beside dates of its own."""
    if len(days) != 1 or whole[0][0] != TYPED:
        return False
    return abs(days[0][1].replace(tzinfo=None) - whole[0][1].replace(tzinfo=None)) > DAYS_APART


def _in_utc(moment: datetime, zone: tzinfo) -> datetime | None:
    """None for an hour that the clocks of ``zone`` skip or repeat, and for one that UTC does not have."""
    try:
        if moment.tzinfo is None:
            if zone is UTC:
                return moment.replace(tzinfo=UTC)
            local = moment.replace(tzinfo=zone, fold=0)
            if local.utcoffset() != local.replace(fold=1).utcoffset():
                return None
            moment = local
        return moment if type(moment) is datetime and moment.tzinfo is UTC else moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _candidates(value: object, latest: datetime | None) -> tuple[Candidate, ...]:
    """Every way in which one cell can be read."""
    if type(value) is datetime:
        return ((TYPED, value),)
    try:
        return _foreign(value, latest)
    except Exception:  # whatever a foreign object's own conversion raises
        return ()


def _foreign(value: Any, latest: datetime | None) -> tuple[Candidate, ...]:
    if isinstance(value, str):
        return _written(value, latest)
    if value is None or isinstance(value, bool) or value != value:  # noqa: PLR0124  NaN and NaT
        return ()
    if hasattr(value, "to_timestamp"):  # pandas' Period, stamped with its beginning
        value = value.to_timestamp()
    if hasattr(value, "to_pydatetime"):  # pandas' Timestamp is a datetime, but not as quick as one
        value = value.to_pydatetime(warn=False)
    elif hasattr(value, "dtype"):
        value = (value.astype("datetime64[us]") if value.dtype.kind == "M" else value).item()
    if isinstance(value, datetime):
        return ((TYPED, value),)
    if isinstance(value, date):
        return ((TYPED, datetime(value.year, value.month, value.day)),)  # noqa: DTZ001  its zone comes later
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return _counted(value, latest)
    return ()


def _counted(value: float | Decimal, latest: datetime | None) -> tuple[Candidate, ...]:
    """A number: a moment since 1970 in one of four units, or a date in digits."""
    if not 1e7 <= value <= 1e19:
        return ()
    end = (TimeRules.at().latest if latest is None else latest).timestamp()
    whole = int(value)
    for name, times, parts in UNITS:
        per_second = 1_000_000 * parts // times
        if EARLIEST.timestamp() * per_second <= value <= end * per_second:
            microseconds = whole * times // parts + (round((value - whole) * times) if parts == 1 else 0)
            return ((name, EPOCH + timedelta(microseconds=microseconds)),)
    return _dated(str(whole)) if value == whole else ()


def _dated(digits: str) -> tuple[Candidate, ...]:
    """``20260105``, with hours and minutes, or seconds too."""
    form = {8: "YYYYMMDD", 12: "YYYYMMDDHHMM", 14: "YYYYMMDDHHMMSS"}.get(len(digits))
    if form is None:
        return ()
    rest = f"{digits[8:]:0<6}"
    try:
        moment = datetime(  # noqa: DTZ001  its zone comes later
            int(digits[:4]), int(digits[4:6]), int(digits[6:8]), int(rest[:2]), int(rest[2:4]), int(rest[4:])
        )
    except ValueError:
        return ()
    return ((form, moment),)


def _written(text: str, latest: datetime | None) -> tuple[Candidate, ...]:
    text = text.strip()
    if not 8 <= len(text) <= MOST_CHARS or not text.isascii():
        return ()
    if text[4] == "-" and text[:4].isdigit() and text[5].isdigit():
        try:
            return ((YEAR_FIRST, datetime.fromisoformat(text)),)
        except ValueError:
            pass  # perhaps one of the spellings that ISO 8601 does not know
    number = _NUMBER.fullmatch(text)
    if number:
        fraction = Decimal(f"0.{number[2]}") if number[2] else 0
        return _counted(int(number[1]) + fraction, latest)
    for form, pattern in _PATTERNS:
        match = pattern.fullmatch(text)
        if match and (moment := _matched(match.groupdict())) is not None:
            return ((form, moment),)
    return _either(text)


def _either(text: str) -> tuple[Candidate, ...]:
    """``01/02/2024``: what stands first is the day or the month."""
    match = _EITHER.fullmatch(text)
    if not match:
        return ()
    parts = match.groupdict()
    ways = ((DAY_FIRST, parts["one"], parts["two"]), (MONTH_FIRST, parts["two"], parts["one"]))
    found = [(form, _matched({**parts, "day": day, "month": month})) for form, day, month in ways]
    return tuple((form, moment) for form, moment in found if moment is not None)


def _matched(parts: dict[str, Any]) -> datetime | None:
    month = _MONTHS.get(parts["word"].casefold()) if parts.get("word") else int(parts["month"])
    clock = _clock_of(parts)
    if month is None or clock is None:
        return None
    try:
        day = datetime(int(parts["year"]), month, int(parts["day"]), tzinfo=_zone_of(parts.get("zone")))
    except ValueError:
        return None
    return day + clock


def _clock_of(parts: dict[str, Any]) -> timedelta | None:
    if not parts.get("hour"):
        return timedelta()
    hour, minute, second = int(parts["hour"]), int(parts["minute"]), int(parts["second"] or 0)
    half = (parts.get("half") or "").casefold()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    fraction = f"{parts.get('fraction') or '':0<6}"[:6]
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=int(fraction))


_zones: dict[str, tzinfo | None] = {}
"""Zones that texts have named, None for names of nothing: each is looked for on the disk once."""


def _named_in_text(name: str) -> tzinfo:
    """The zone of an IANA name in a cell; raises ValueError for no such zone, and for one too many."""
    if name not in _zones and len(_zones) < MOST_ZONES:
        try:
            _zones[name] = zone_named(name)
        except ValueError:
            _zones[name] = None
    zone = _zones.get(name)
    if zone is None:
        raise ValueError(f"{shown_cell(name)} is no time zone")
    return zone


def _zone_of(name: str | None) -> tzinfo | None:
    """The zone a text ends with; raises ValueError for one that nobody knows."""
    if not name:
        return None
    rest = name.upper().removeprefix("UTC").removeprefix("GMT").removeprefix("Z")
    if not rest:
        return UTC
    if "/" in name:
        return _named_in_text(name)
    digits = rest[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    return timezone(-offset if rest[0] == "-" else offset)


def _of_day(value: object) -> tuple[tuple[str, timedelta], ...]:
    """Every way in which a cell can be read as a time of day, as the span since midnight."""
    try:
        return _since_midnight(value)
    except Exception:  # whatever a foreign object's own conversion raises
        return ()


_SAME_DAY = (("the number of the day", timedelta(0)),)
_FIRST_DAYS = (date(1970, 1, 1), date(1899, 12, 30), date(1904, 1, 1))
"""Days are counted since these: by many programs, by spreadsheets, and by older ones of these."""


def _numbers_day(value: object, moment: datetime) -> bool:
    """Whether a number is that of the day beside it, and so perhaps no time of day at all."""
    number = _plain_number(value)
    return number is not None and number in [(moment.date() - first).days for first in _FIRST_DAYS]


def _since_midnight(value: Any) -> tuple[tuple[str, timedelta], ...]:
    if isinstance(value, time):
        whole = timedelta(
            hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond
        )
        return (("HH:MM", whole),) if value.tzinfo is None else ()
    if isinstance(value, timedelta):
        return (("HH:MM", timedelta(seconds=value.total_seconds())),) if 0 <= value.days < 1 else ()
    if isinstance(value, str):
        text = value.strip()
        match = _OF_DAY.fullmatch(text)
        if match:
            clock = _clock_of(match.groupdict())
            return () if clock is None else (("HH:MM", clock),)
        if text.isascii() and text.isdigit() and len(text) in (4, 6):
            return _clock_digits(text, "HHMM" if len(text) == 4 else "HHMMSS")
    number = _plain_number(value)
    if number is None or number != int(number) or not 0 <= number < 240_000:
        return ()
    minutes = _clock_digits(f"{int(number):04}", "HHMM") if number < 2_400 else ()
    seconds = (("seconds of the day", timedelta(seconds=int(number))),) if number < 86_400 else ()
    return (*minutes, *_clock_digits(f"{int(number):06}", "HHMMSS"), *seconds)


def _clock_digits(digits: str, form: str) -> tuple[tuple[str, timedelta], ...]:
    hour, minute, second = int(digits[:2]), int(digits[2:4]), int(digits[4:] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return ()
    return ((form, timedelta(hours=hour, minutes=minute, seconds=second)),)


def _plain_number(value: Any) -> float | None:
    try:
        if hasattr(value, "dtype"):
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, str)):
            return None
        number = float(value)
    except Exception:  # text that is no number, or a foreign object
        return None
    return number if abs(number) < 1e15 else None
