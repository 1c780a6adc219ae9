"""The boundary that makes values storable in PostgreSQL."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.record.storable import LONGEST_KEY, clean_key, clean_text, json_text

# Any code point, lone surrogates and NUL among them, which st.text() leaves out by default.
HOSTILE = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | HOSTILE | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HOSTILE, inner, max_size=4),
    max_leaves=12,
)


def storable(text: str) -> bool:
    """True when PostgreSQL takes ``text``."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


@given(HOSTILE, st.integers(0, 80))
def test_any_text_becomes_storable_within_its_limit(text: str, limit: int) -> None:
    """Whatever comes in, what comes out can be stored and is not longer than allowed."""
    cleaned = clean_text(text, limit)
    assert cleaned is not None
    assert storable(cleaned)
    assert len(cleaned) <= limit


@given(HOSTILE)
def test_storable_text_is_not_changed(text: str) -> None:
    """Cleaning changes only what has to be changed, and cleaning twice is cleaning once."""
    cleaned = clean_text(text)
    assert clean_text(cleaned) == cleaned
    assert not storable(text) or cleaned == text


def test_a_surrogate_pair_becomes_its_character() -> None:
    """Two surrogates that belong together are one character, a lone one is replaced."""
    assert clean_text("\ud83d\ude00 \ud83d") == "😀 �"


def test_text_that_is_cut_says_how_long_it_was() -> None:
    """Nobody takes a cut text for the whole one."""
    assert clean_text("x" * 100, 40) == "x" * 17 + "… [cut: 100 characters]"
    assert clean_text(None) is None


@given(HOSTILE | HOSTILE.map(lambda text: text * 40))
def test_any_key_becomes_a_short_storable_one(key: str) -> None:
    """An id fits into an index, and an id read back from the table is still the same id."""
    cleaned = clean_key(key)
    assert storable(cleaned)
    assert len(cleaned.encode()) <= LONGEST_KEY
    assert clean_key(cleaned) == cleaned


@pytest.mark.parametrize(
    ("one", "other"), [("a\0", "a\ufffd"), ("a\ud800", "a\ud801"), ("x" * 600, "x" * 601)]
)
def test_different_keys_stay_different(one: str, other: str) -> None:
    """Two signals never become one because of characters that cannot be stored."""
    assert clean_key(one) != clean_key(other)


def test_an_ordinary_key_stays_as_it_is() -> None:
    """The ids that hosts really use are stored literally."""
    for key in ("test123", "7f1b9c9e-0a0e-4b8c-9b8e-3f0e0f0e0f0e", "ES|2024-03-01T12:00|crossé", "a" * 512):
        assert clean_key(key) == key


@given(JSON)
def test_any_value_becomes_json_that_jsonb_takes(value: Any) -> None:
    """NaN, NUL, surrogates, huge integers and foreign objects all end as valid JSON."""
    text = json_text(value)
    assert storable(text)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads(text, parse_constant=refuse)
    assert "\\u0000" not in text.replace("\\\\", "")


def test_json_keeps_what_it_can() -> None:
    """Numbers, names and times come through; a missing number is null."""
    value = {
        "a": 1.5,
        "b": float("nan"),
        "c\0": [float("inf"), "x\0"],
        "d": 2**80,
        "t": datetime(2024, 1, 2, tzinfo=UTC),
    }
    assert json.loads(json_text(value)) == {
        "a": 1.5, "b": None, "c�": [None, "x�"], "d": float(2**80), "t": "2024-01-02T00:00:00+00:00",
    }  # fmt: skip


def test_endless_and_failing_objects_end_as_text() -> None:
    """A value that contains itself or cannot be shown does not raise."""

    class Rude:
        def __str__(self) -> str:
            raise RuntimeError

    endless: list[Any] = []
    endless.append(endless)
    assert "[...]" in json_text(endless)
    assert json_text({"x": Rude()}) == '{"x":"Rude"}'
