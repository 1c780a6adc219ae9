"""What the summary counts."""

from __future__ import annotations

import json
import math
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.csv_exporter.summary import (
    MAX_REASONS,
    OTHER,
    Latency,
    Summary,
    plain_json,
    remove_stale_drafts,
    replace_file,
)
from llm_integration.domain import ParseMethod, TaskStatus
from tests.unit.test_csv_rows import an_answer


def test_rated_unrated_failed_and_expired_are_counted_apart_with_reasons() -> None:
    """Each outcome counts once, under its kind, with why it has no rating."""
    summary = Summary()
    summary.add(an_answer("a", parse_method=ParseMethod.JSON, cost_usd=Decimal("0.00012"), prompt_tokens=100))
    summary.add(an_answer("a", parse_method=ParseMethod.JSON, cost_usd=Decimal("0.00012"), prompt_tokens=100))
    summary.add(an_answer("b", rating=None, error="two ratings", completion_tokens=7))
    summary.add(
        an_answer("c", status=TaskStatus.FAILED, rating=None, error="HTTP 500", cost_usd=Decimal("0.1"))
    )
    summary.add(an_answer("d", status=TaskStatus.EXPIRED, rating=None, error="too old"))
    counts = summary.as_dict()

    assert counts["signals"] == {
        "outcomes": 4,
        "answered": 2,
        "rated": 1,
        "unrated": 1,
        "failed": 1,
        "expired": 1,
    }
    assert counts["unrated_reasons"] == {"two ratings": 1}
    assert counts["failed_reasons"] == {"HTTP 500": 1}
    assert counts["expired_reasons"] == {"too old": 1}
    assert counts["ratings"] == {"1": 0, "2": 0, "3": 0, "4": 1, "5": 0}
    assert counts["parse_methods"] == {"json": 1, "none": 1}
    assert counts["models"] == {"served/model": 2}
    assert counts["cost_usd"] == "0.10012"
    assert counts["answers_of_unknown_cost"] == 1
    assert counts["tokens"] == {"prompt": 100, "completion": 7}
    assert counts["processing_time_ms"]["count"] == 2


def test_reasons_that_never_repeat_do_not_fill_the_memory() -> None:
    """Past the bound further wordings are counted together; none is lost."""
    summary = Summary()
    for number in range(MAX_REASONS + 20):
        summary.add(an_answer(str(number), status=TaskStatus.FAILED, error=f"odd {number}" + "x" * 9_999))
    reasons = summary.as_dict()["failed_reasons"]
    assert len(reasons) == MAX_REASONS + 1
    assert reasons[OTHER] == 20
    assert max(map(len, reasons)) <= 200


@given(st.lists(st.floats(0.02, 1e7), min_size=1), st.sampled_from([0.5, 0.95, 1.0]))
def test_percentiles_are_within_half_a_percent(values: list[float], share: float) -> None:
    """The histogram gives the exact rank's value, but for its step and the rounding to 0.1 ms."""
    latency = Latency()
    for value in values:
        latency.add(value)
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    assert latency.percentile(share) == pytest.approx(exact, rel=0.0051, abs=0.051)
    assert latency.as_dict()["mean"] == pytest.approx(sum(values) / len(values), abs=0.051)


def test_without_durations_there_are_no_percentiles() -> None:
    """Missing and non-finite durations are not counted."""
    latency = Latency()
    latency.add(None)
    latency.add(math.nan)
    assert latency.as_dict() == {"count": 0, "mean": None, "p50": None, "p95": None}


def test_a_hosts_statistics_cannot_spoil_the_file(tmp_path: Path) -> None:
    """Odd types, NaN, lone surrogates and endless nesting become plain JSON."""
    nested: list[object] = []
    nested.append(nested)
    data = {
        "nan": math.nan,
        "cost": Decimal("1.50"),
        "when": datetime(2024, 1, 1, tzinfo=UTC),
        "text": "a\ud800\x00b",
        5: {1, 2},
        "nested": nested,
    }
    file = tmp_path / "new" / "summary.json"
    replace_file(file, plain_json(data))
    read = json.loads(file.read_text(encoding="utf-8"))
    assert (read["nan"], read["cost"], read["text"]) == (None, "1.50", "ab")
    assert read["when"] == "2024-01-01T00:00:00+00:00"
    assert sorted(read["5"]) == [1, 2]
    assert [entry.name for entry in file.parent.iterdir()] == ["summary.json"]


def test_a_failed_replacement_keeps_the_old_file_and_leaves_no_draft(tmp_path: Path) -> None:
    """The old summary stays readable when the new one cannot take its place."""
    target = tmp_path / "summary.json"
    target.mkdir()
    with pytest.raises(OSError, match=r".+"):
        replace_file(target, {"a": 1})
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]


def test_drafts_of_killed_processes_are_removed_when_old(tmp_path: Path) -> None:
    """An hour-old draft goes; a young one may still be somebody's, and other files are not ours."""
    for name in (".llm_signals.csv.1.tmp", ".llm_signals.csv.2.tmp", ".other.tmp"):
        (tmp_path / name).touch()
    for name in (".llm_signals.csv.1.tmp", ".other.tmp"):
        os.utime(tmp_path / name, (1, 1))
    remove_stale_drafts(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".llm_signals.csv.2.tmp", ".other.tmp"]
    remove_stale_drafts(tmp_path / "missing")
