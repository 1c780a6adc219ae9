"""What the program writes to a terminal: no text from outside commands it or forges a line."""

from __future__ import annotations

import logging

from trading.log_lines import OneLine

HOSTILE = "\x1b]0;owned\x07\n2026-01-01 00:00:00 INFO forged"


def formatted(message: str, error: Exception | None = None) -> str:
    info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("name", logging.ERROR, "file", 1, message, (), info)
    return OneLine("%(asctime)s %(levelname)-7s %(name)s: %(message)s").format(record)


def test_a_message_is_one_line_without_control_characters() -> None:
    """Escape sequences and line breaks are shown as question marks."""
    text = formatted(HOSTILE)
    assert "\n" not in text
    assert all(char.isprintable() for char in text)


def test_a_traceback_commands_no_terminal_and_forges_no_line() -> None:
    """The text of an exception is cleaned like a message, and every line of it is indented."""
    text = formatted("crashed", ValueError(HOSTILE))
    first, *rest = text.split("\n")
    assert first.endswith("crashed")
    assert all(line.startswith("    ") for line in rest)
    assert "\x1b" not in text
    assert "\x07" not in text
