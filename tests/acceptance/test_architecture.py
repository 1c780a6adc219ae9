"""ARCHITECTURE.md shows the code that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.acceptance.walk import MARKED, PAGE, ROOT, filled, walk

ATTEMPTS = 3
"""A PostgreSQL that answers late, on a busy machine, has a signal go another way: by the outbox."""
LIBRARY = ROOT / "llm_integration"


def named(page: str) -> tuple[set[str], set[str]]:
    """The paths that the page names: in backticks and links, and in its drawing."""
    words = re.findall(r"`([^`\s]+)`", page) + re.findall(r"\]\(([^)#\s]+)\)", page)
    drawing = re.search(r"```text\n(.*?)```", page, re.S)
    assert drawing
    drawn = set(re.findall(r"[\w/]+(?:\.py|/)(?=[\s,])", drawing[1]))
    return {word for word in words if re.fullmatch(r"[\w./-]+(\.(py|md|sql|toml)|/)", word)}, drawn


def test_every_path_on_the_page_exists() -> None:
    """No file or folder that it names was moved or removed; the drawing names the library's without it."""
    page = PAGE.read_text(encoding="utf-8")
    text, drawn = named(MARKED.sub("", page))
    assert len(text) > 40
    assert len(drawn) > 8
    assert {path for path in text if not (ROOT / path).exists()} == set()
    assert {path for path in drawn if not ((ROOT / path).exists() or (LIBRARY / path).exists())} == set()


@pytest.mark.postgres
async def test_the_walk_on_the_page_is_the_one_a_signal_takes(database_url: str, tmp_path: Path) -> None:
    """Its list of files is what a signal passes; `python -m tests.acceptance.walk` writes it anew."""
    page = PAGE.read_text(encoding="utf-8")
    for attempt in range(ATTEMPTS):
        (folder := tmp_path / str(attempt)).mkdir()
        seen = filled(page, (await walk(database_url, folder)).files)
        if seen == page:
            break
    assert seen == page
