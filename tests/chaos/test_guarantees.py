"""The page of guarantees names tests that exist."""

from __future__ import annotations

import re

from tests.acceptance.test_program import ROOT


def test_every_test_named_in_the_guarantees_exists() -> None:
    """A promise whose test was renamed or removed is noticed."""
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[^`]+)`", text))
    assert len(named) >= 15
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert [row for row in rows if "tests/" not in row] == []
