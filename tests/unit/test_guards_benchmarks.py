"""The benchmarks' own arithmetic, and that their page shows the run it says it shows."""

from __future__ import annotations

import json
import random
import shutil
import xml.dom.minidom
from pathlib import Path

import pytest

from benchmarks import rate_limit, report
from benchmarks.charts import svg
from benchmarks.figures import percentiles, spread
from benchmarks.instant_server import GOOD_CONTENT, body, hostile_contents
from benchmarks.outcome import Chart, Outcome, Table, Verdict
from benchmarks.rate_limit import Judged, judge
from llm_integration import LLMResponseParser

HERE = Path(report.__file__).parent


def an_outcome() -> Outcome:
    """One of everything."""
    chart = Chart("a_chart", "A & B", "x", "y", {"<one>": [[1, 2], [10, 20]]}, log_x=True)
    return Outcome(
        "name", "Title", [Table("T", ["a", "b"], [["x|y", None]], "note")],
        [Verdict("speed", "<= 2", "3", met=False, note="why")], [chart], ["peer: skipped"], {"n": 1}, 2.5,
    )  # fmt: skip


def a_run(outcome: Outcome) -> dict[str, object]:
    """A run as the program keeps it."""
    machine = {
        "cpu": "C", "cores": 2, "memory_gib": 1, "system": "S", "python": "P", "packages": {},
        "load_before": [0],
    }  # fmt: skip
    return {
        "date": "2026-01-01", "quick": False, "seconds": 60, "machine": machine,
        "outcomes": [outcome.as_dict()],
    }  # fmt: skip


def test_percentiles_name_values_that_were_measured() -> None:
    """The least value that so many percent do not exceed."""
    assert percentiles([float(value) for value in range(1, 1001)]) == {
        "p50": 500, "p99": 990, "p99.9": 999, "max": 1000,
    }  # fmt: skip


def test_a_spread_is_the_median_and_the_range() -> None:
    """And nothing but a dash when nothing was measured."""
    assert spread([3.0, 1.0, 2.0]) == "2 (1-3)"
    assert spread([float("nan")]) == "-"


def sent_at(moments: list[float]) -> Judged:
    """What the servers say to requests that were sent at once when they came."""
    return judge(moments, moments, random.Random(1))


def test_the_rate_limit_server_refuses_what_is_too_much() -> None:
    """One over the limit is refused within any minute, and so is a second fill right after a full minute."""
    limit = rate_limit.LIMIT
    assert sent_at([10.0 + at for at in range(limit)]).refused_sliding == 0
    assert sent_at([10.0 + at for at in range(limit + 1)]).refused_sliding == 1
    around = [55.0] * limit + [61.0] * limit
    assert sent_at(around).refused_calendar == 0
    assert sent_at(around).refused_sliding == limit
    assert sent_at(around).most_in_a_window == 2 * limit


def test_a_server_that_answers_at_once_is_understood() -> None:
    """Its good reply is rated, its hostile ones cover the sizes they say."""
    reply = json.loads(body(GOOD_CONTENT))["choices"][0]["message"]["content"]
    assert LLMResponseParser().parse(reply).rating == 4
    assert {len(text) for text in hostile_contents(5_000).values()} <= set(range(4_990, 5_010))


def test_an_outcome_survives_its_file() -> None:
    """JSON and back."""
    outcome = an_outcome()
    assert Outcome.from_dict(json.loads(json.dumps(outcome.as_dict()))) == outcome


def test_a_chart_is_well_formed_and_shows_every_series() -> None:
    """Names from outside are escaped."""
    drawn = svg(an_outcome().charts[0])
    assert "&lt;one&gt;" in xml.dom.minidom.parseString(drawn).toxml()
    assert drawn.count("<polyline") == 1


def test_a_report_replaces_only_what_stands_between_the_markers(tmp_path: Path) -> None:
    """Twice the same run gives the same page; the words around the tables stay."""
    (tmp_path / "charts").mkdir()
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.rewrite(a_run(an_outcome()), tmp_path)
    first = readme.read_text()
    report.rewrite(a_run(an_outcome()), tmp_path)
    assert readme.read_text() == first
    assert first.startswith("before\n")
    assert first.endswith("\nafter\n")
    assert "old" not in first
    assert "| speed | <= 2 | 3 | **no** | why |" in first
    assert "| x/y |  |" in first
    assert (tmp_path / "charts" / "a_chart.svg").exists()


def test_the_page_shows_the_run_that_is_kept(tmp_path: Path) -> None:
    """README.md and the charts are what `python -m benchmarks report` makes of results/full.json."""
    kept = HERE / "results" / "full.json"
    if not kept.exists():
        pytest.skip("no full run is kept in this checkout")
    (tmp_path / "charts").mkdir()
    shutil.copy(HERE / "README.md", tmp_path)
    report.rewrite(report.load(kept), tmp_path)
    assert (tmp_path / "README.md").read_text() == (HERE / "README.md").read_text()
    for chart in (tmp_path / "charts").iterdir():
        assert chart.read_text() == (HERE / "charts" / chart.name).read_text()
