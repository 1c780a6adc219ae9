"""Rows that travel as one JSON text arrive in PostgreSQL exactly as they were."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from asyncpg import Record

from database.__main__ import _query
from llm_integration.record.errors import BadRowError
from llm_integration.record.queries import rows_of
from llm_integration.record.storable import clean_text, json_rows, one_array
from tests.integration.database_helpers import plain

COLUMNS = {
    "text": "text", "float": "float8", "money": "numeric", "time": "timestamptz", "id": "uuid", "big": "int8",
    "small": "int2", "yes": "bool", "bytes": "bytea", "json": "text",
}  # fmt: skip
EDGES: list[tuple[Any, ...]] = [
    (None,) * len(COLUMNS),
    (
        'quote " backslash \\ \\u0000 newline \n tab \t \u2028 \x7f \x01 é 😀', 5e-324, Decimal("1E-7"),
        datetime(1, 1, 1, tzinfo=UTC), uuid.UUID(int=0), 2**63 - 1, 2**15 - 1, True, b"", '{"a": "\\u2028"}',
    ),
    (
        "", 1.7976931348623157e308, Decimal("123456789012345678901234567890.123456789012"),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), uuid.UUID(int=2**128 - 1), -(2**63),
        -(2**15), False, bytes(range(256)), "[]",
    ),
    ("x" * 300_000, -0.0, Decimal(0), None, None, 0, 0, None, b"\\x", None),
]  # fmt: skip


def some_row(rng: random.Random) -> tuple[Any, ...]:
    """Values of every kind, drawn from all over their ranges."""
    text = "".join(chr(rng.choice((rng.randrange(128), rng.randrange(0x110000)))) for _ in range(20))
    return (
        clean_text(text),
        rng.uniform(-1, 1) * 10.0 ** rng.randint(-300, 300),
        Decimal(rng.randint(-(10**18), 10**18)).scaleb(-rng.randint(0, 15)),
        datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=rng.randint(-(10**15), 10**15)),
        uuid.UUID(int=rng.getrandbits(128)),
        rng.randint(-(2**63), 2**63 - 1),
        rng.randint(-(2**15), 2**15 - 1),
        rng.random() < 0.5,
        rng.randbytes(rng.randint(0, 40)),
        '{"quoted": "\\"\\\\"}',
    )


async def test_every_value_arrives_as_it_was(database_url: str) -> None:
    """Text, floats, money, times, ids and bytes: at the ends of their ranges and at random."""
    rng = random.Random(20261123)
    rows = [*EDGES, *(some_row(rng) for _ in range(500))]
    named = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    arrays = [json_rows(named[at : at + 100]) for at in range(0, len(named), 100)]
    async with plain(database_url) as connection:
        stored: list[Record] = await connection.fetch(rows_of(COLUMNS, "t"), one_array(arrays))
    assert [tuple(record.values()) for record in stored] == rows


@pytest.mark.parametrize("value", [2**64, object(), 1j])
def test_what_has_no_column_is_refused_and_not_turned_into_something_else(value: object) -> None:
    """A wrong value is better refused than stored as its name."""
    with pytest.raises(BadRowError):
        json_rows([{"a": value}])


async def test_the_query_of_a_shell_shows_json_as_it_is_stored(database_url: str) -> None:
    """``python -m database`` prints what psql would."""
    assert '{"a": null}' in await _query(database_url, """SELECT '{"a": null}'::jsonb AS found""")
