"""Text from outside in a message: bounded, on one line, and readable where it is harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.one_line import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("no answer in time", "no answer in time"),
        ("prix épuisé, 値段 🙂", "prix épuisé, 値段 🙂"),
        ("two\nlines\r\n", "two?lines??"),
        ("\x1b[31mred\x07", "?[31mred?"),
        ("a\u2028b\u2029c\x85d", "a?b?c?d"),
        ("\u202egnp.exe", "?gnp.exe"),
        ("zero\u200bwidth\ufeff", "zero?width?"),
        ("half \ud800 of a pair", "half ? of a pair"),
        ("la relation «\xa0x\xa0» n'existe pas", "la relation « x » n'existe pas"),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 99 + "…"),
        ("\n" * 1_000, "?" * 99 + "…"),
    ],
)
def test_what_somebody_else_said_fits_into_a_line(text: str, shown: str) -> None:
    """Letters of all scripts stay; what would begin a line or command a terminal is a question mark."""
    assert one_line(text) == shown


@given(st.text(st.characters(), max_size=40), st.integers(2, 30))
def test_whatever_it_is_it_is_printable_and_no_longer_than_asked(text: str, limit: int) -> None:
    """Any text is shown within the limit, and shown again it stays as it is."""
    shown = one_line(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    assert one_line(shown, limit) == shown
