"""The program on bars as platforms export them: what it says of them, what it stores, what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.test_program import fetch, rows, run

pytestmark = pytest.mark.postgres


def tradingview(folder: Path, count: int = 90) -> Path:
    """Hourly bars of New York's local time, without a volume, that rise and fall enough for signals."""
    file = folder / "ES.csv"
    lines = ["time,open,high,low,close"]
    for number in range(count):
        at = datetime(2024, 1, 2) + timedelta(hours=number)  # noqa: DTZ001  local times are the subject
        price = 4_800 + 40 * ((number // 20) % 2) + number % 20
        lines.append(f"{at:%Y-%m-%d %H:%M},{price},{price + 2},{price - 2},{price + 1}")
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.slow
async def test_local_times_and_a_missing_volume_are_stored_as_they_are(
    database_url: str, tmp_path: Path
) -> None:
    """One line says how the file is read; times are stored in UTC, a missing volume as NULL."""
    done = run(
        "--data", str(tradingview(tmp_path)), "--symbol", "ES", "--timezone", "America/New_York",
        "--database-url", database_url, "--output", str(tmp_path / "out"), "--no-dashboard",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ES.csv: UTF-8; separator comma" in done.stderr
    assert "zone America/New_York" in done.stderr
    assert "no volume" in done.stderr
    stored = await fetch(
        database_url, 'SELECT "timestamp", volume FROM market_data WHERE symbol = \'ES\' ORDER BY "timestamp"'
    )
    assert len(stored) == 90
    assert stored[0]["timestamp"] == datetime(2024, 1, 2, 5, tzinfo=UTC)
    assert {row["volume"] for row in stored} == {None}
    written = rows(tmp_path / "out" / "llm_strategy_results.csv")
    assert (written[0]["timestamp"], written[0]["volume"]) == ("2024-01-02T05:00:00+00:00", "")


@pytest.mark.parametrize(
    ("arguments", "lines", "problem"),
    [
        (
            ["--timezone", "Mars/Olympus"],
            ["2024-01-02,1,1,1,1"],
            "--timezone: 'Mars/Olympus' is no time zone",
        ),
        ([], ["01/02/2024,1,1,1,1"], "bars.csv:2: time can be read in two ways, such as '01/02/2024'"),
        ([], ["2024-01-02,1,1,1,2"], "bars.csv:2: close 2.0 lies outside low 1.0 to high 1.0"),
    ],
)
def test_bars_that_cannot_be_used_end_the_program_before_it_trades(
    tmp_path: Path, arguments: list[str], lines: list[str], problem: str
) -> None:
    """Exit status 2 and one line that names the problem."""
    file = tmp_path / "bars.csv"
    file.write_text("\n".join(["time,open,high,low,close", *lines]) + "\n")
    done = run("--data", str(file), "--no-dashboard", "--log-level", "ERROR", *arguments)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
