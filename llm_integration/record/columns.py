"""The columns of results and opinions: one for each field, told by the field's type. Pure.

A field of ``LLMAnalysis`` or ``Opinion`` that is declared in the domain is a column of its table, of the
statements that write and read it, and a key of the outbox, without a line here: only a migration has to add
it to the table. What stands here is how each type of value is made storable, and the few fields that are
stored differently from others of their type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, cast, get_type_hints

from llm_integration.domain import Choppiness, LLMAnalysis, Opinion, ParseMethod, parse_time, to_price
from llm_integration.record.rows import Row
from llm_integration.record.storable import LONGEST_ANSWER, LONGEST_NAME, LONGEST_REPLY, clean_text, shown

__all__ = [
    "OPINION",
    "RESULT",
    "Column",
    "Table",
    "choppiness_of",
    "cost_of",
    "count_of",
    "method_of",
    "rating_of",
]

LARGEST_INT = 2**31 - 1
SMALLEST_COST = Decimal("1e-15")
LARGEST_COST = Decimal("1e12")
LARGEST_SPREAD = 4


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Column:
    """One field in its table.

    ``kind`` is the type that PostgreSQL reads the value as. ``store`` makes a field's value storable,
    ``load`` a field's value of what is stored, ``given`` one of what a caller's mapping has; none of them
    raises. ``missing`` is stored for None.
    """

    name: str
    kind: str
    store: Callable[[Any], object]
    load: Callable[[Any], Any] = _same
    given: Callable[[Any], Any] = _same
    missing: object = None


# What a value is where it stands in a table: what is none becomes None.


def rating_of(value: object) -> int | None:
    """An integer from 1 to 5."""
    return value if type(value) is int and 1 <= value <= 5 else None


def count_of(value: object) -> int | None:
    """A number of things that is not negative and fits its column."""
    return value if type(value) is int and 0 <= value <= LARGEST_INT else None


def cost_of(value: object) -> Decimal | None:
    """An amount of dollars; digits nobody bills are rounded away."""
    if not isinstance(value, Decimal) or not value.is_finite() or abs(value) >= LARGEST_COST:
        return None
    return value if cast("int", value.as_tuple().exponent) >= -15 else value.quantize(SMALLEST_COST)


def method_of(value: object) -> ParseMethod:
    """The layer of the parser, NONE for one that is not known."""
    return ParseMethod(value) if isinstance(value, str) and value in set(ParseMethod) else ParseMethod.NONE


def choppiness_of(value: object) -> Choppiness | None:
    """Yes, no or None."""
    return value if value in ("yes", "no") else None


def _amount(cost: object) -> str | None:
    """What ``cost_of`` says, in digits. Plain ones need only be looked at."""
    if type(cost) is Decimal and _PLAIN_AMOUNT(text := str(cost)):
        return text
    amount = cost_of(cost)
    return None if amount is None else str(amount)


_PLAIN_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,15})?").fullmatch


def _decimal(value: object) -> Decimal | None:
    try:
        return None if value is None or isinstance(value, bool) else Decimal(shown(value))
    except ArithmeticError:
        return None


def _text(value: object) -> str | None:
    return None if value is None else shown(value)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _spread(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= LARGEST_SPREAD else None


def _sent(value: object) -> int:
    return count_of(value) or 0


def _at_least_one(value: object) -> int:
    return max(1, count_of(value) or 1)


def _warnings(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(map(shown, value or ()))


def _texts(most: int) -> Column:
    return Column("", "text", lambda value: clean_text(value, most), given=_text)


BY_TYPE: Mapping[object, Column] = {
    str: _texts(LONGEST_NAME),
    str | None: _texts(LONGEST_NAME),
    int | None: Column("", "int8", count_of, given=count_of),
    float | None: Column("", "float8", to_price, given=to_price),
    Decimal | None: Column("", "numeric", _amount, given=_decimal),
    datetime | None: Column("", "timestamptz", parse_time, given=parse_time),
    ParseMethod: Column("", "text", str, load=method_of, given=method_of),
    Choppiness | None: Column("", "text", choppiness_of, load=choppiness_of, given=choppiness_of),
}
"""How a field is stored, by its type: names of up to 500 characters, counts, milliseconds, dollars, times."""

BY_NAME: Mapping[str, Column] = {
    "rating": Column("", "int2", rating_of, given=lambda value: rating_of(_whole(value))),
    "rating_spread": Column("", "int2", _spread, given=_spread),
    "analysis": _texts(LONGEST_ANSWER),
    "recommendations": _texts(LONGEST_ANSWER),
    "raw_reply": _texts(LONGEST_REPLY),
    "prompt_text": _texts(LONGEST_REPLY),
    "system_text": _texts(LONGEST_REPLY),
    "error": Column("", "text", clean_text, given=_text),
    "warnings": Column("", "jsonb", lambda value: [clean_text(text) for text in value], _warnings, _warnings),
    "attempts": Column("", "int4", _sent, _sent, _sent, 0),
    "batch_size": Column("", "int4", _at_least_one, _at_least_one, _at_least_one, 1),
    "role": Column(
        "",
        "text",
        lambda value: "ensemble" if value == "ensemble" else "shadow",
        lambda value: "ensemble" if value == "ensemble" else "shadow",
    ),
}
"""Fields that are stored differently from others of their type."""

OF_THE_TASK = frozenset({"signal_id", "status", "task_id", "opinions"})
"""Fields that are no columns of their table: they stand with the task, or in rows of their own."""


class Table:
    """A column for each field of ``record``. Raises TypeError for one that nobody knows how to store."""

    def __init__(self, record: type[LLMAnalysis | Opinion]) -> None:
        hints = get_type_hints(record)
        names = [field.name for field in fields(record) if field.name not in OF_THE_TASK]
        self.columns = tuple(_column(name, hints[name]) for name in names)
        self._get = attrgetter(*names)
        self._stores = [(column.name, column.store, column.missing) for column in self.columns]

    @property
    def kinds(self) -> dict[str, str]:
        """The columns' types by their names."""
        return {column.name: column.kind for column in self.columns}

    def stored(self, record: LLMAnalysis | Opinion) -> dict[str, Any]:
        """The record's values, storable, by their columns."""
        return {
            name: missing if value is None else store(value)
            for (name, store, missing), value in zip(self._stores, self._get(record), strict=True)
        }

    def loaded(self, row: Row) -> dict[str, Any]:
        """The fields' values by their names, from a row that has all columns."""
        return {column.name: column.load(row[column.name]) for column in self.columns}

    def given(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The fields' values by their names, from a caller's mapping that may lack any or hold anything."""
        return {column.name: column.given(values.get(column.name)) for column in self.columns}


def _column(name: str, hint: object) -> Column:
    found = BY_NAME.get(name) or BY_TYPE.get(hint)
    if found is None:
        raise TypeError(f"the field {name} has no column: add its type, {hint}, to {__name__}.BY_TYPE")
    return replace(found, name=name)


RESULT = Table(LLMAnalysis)
OPINION = Table(Opinion)
