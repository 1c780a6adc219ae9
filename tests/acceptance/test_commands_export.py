"""``export`` beside the program: the files it rebuilds are the files the live run wrote."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_program import PROGRAM, ROOT, bars_file, environment, run

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

FILES = ("llm_signals.csv", "llm_strategy_results.csv")
QUICK = {"LLM_LEASE_SECONDS": "2", "LLM_POLL_INTERVAL": "0.2"}


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """``python -m llm_integration ...`` as a process."""
    return subprocess.run(
        [sys.executable, "-m", "llm_integration", *arguments],
        capture_output=True, text=True, timeout=60, env=environment(**variables), cwd=ROOT, check=False,
    )  # fmt: skip


def export(url: str, folder: Path, *more: str) -> dict[str, Any]:
    """The report of a successful export."""
    done = command("export", "--database-url", url, "--output", str(folder), "--json", *more)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def lines(folder: Path) -> list[list[bytes]]:
    """The header of each file, and its rows sorted: rows of signals come in another order than live."""
    found = []
    for name in FILES:
        first, *rows = (folder / name).read_bytes().splitlines(keepends=True)
        found.append([first, *sorted(rows)])
    return found


def start(arguments: list[str], speed: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments, "--speed", speed],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(**QUICK),
    )  # fmt: skip


def wait_for_rows(file: Path, count: int) -> None:
    deadline = time.monotonic() + 30
    while not file.exists() or file.read_bytes().count(b"\n") <= count:
        assert time.monotonic() < deadline, "the run wrote nothing"
        time.sleep(0.02)


def demo(folder: Path, url: str, bars: int) -> list[str]:
    return [
        "--demo", "--data", str(bars_file(folder, bars)), "--database-url", url,
        "--output", str(folder / "live"), "--no-dashboard",
    ]  # fmt: skip


def test_deleted_files_come_back_row_for_row(database_url: str, tmp_path: Path) -> None:
    """After a demo run one file, the other or both are deleted: the same rows, byte for byte, return."""
    done = run(*demo(tmp_path, database_url, 1500), "--speed", "0")
    assert done.returncode == 0, done.stderr
    live = tmp_path / "live"
    before, bars = lines(live), (live / FILES[1]).read_bytes()
    for deleted in ((), FILES[:1], FILES[1:], FILES):
        for name in deleted:
            (live / name).unlink()
        report = export(database_url, live)
        assert lines(live) == before
        assert (live / FILES[1]).read_bytes() == bars
    assert (report["bar_rows"], report["kept_bar_rows"]) == (1500, 0)
    assert report["signal_rows"] == len(before[0]) - 1 > 10
    assert sorted(entry.name for entry in live.iterdir()) == sorted(
        [*FILES, "llm_outcomes.csv", "llm_processing_summary.json", "worth.html"]
    )


def test_an_export_after_a_kill_leaves_room_for_the_resumed_run(database_url: str, tmp_path: Path) -> None:
    """Nothing of the killed run's files is lost, and the resumed run ends with the rows of an export."""
    arguments, live = demo(tmp_path, database_url, 1200), tmp_path / "live"
    with start(arguments, "300") as process:
        wait_for_rows(live / FILES[1], 500)
        process.kill()
    before = [set(rows[:-1]) for rows in ((live / n).read_bytes().splitlines(keepends=True) for n in FILES)]
    (live / FILES[0]).unlink()
    report = export(database_url, live)
    assert report["sessions"][0]["status"] == "running"
    after = [set((live / name).read_bytes().splitlines(keepends=True)) for name in FILES]
    assert before[0] <= after[0]
    assert before[1] <= after[1]
    done = run(*arguments, "--speed", "0", "--resume", variables=QUICK)
    assert done.returncode == 0, done.stderr
    assert len(lines(live)[1]) == 1201
    export(database_url, tmp_path / "again")
    assert lines(tmp_path / "again") == lines(live)


def test_exports_while_a_run_is_writing_lose_and_double_nothing(database_url: str, tmp_path: Path) -> None:
    """Files replaced again and again under a running program end as if nobody had touched them."""
    arguments, live = demo(tmp_path, database_url, 1000), tmp_path / "live"
    with start(arguments, "250") as process:
        wait_for_rows(live / FILES[1], 100)
        exports = 0
        while process.poll() is None:
            export(database_url, live)
            exports += 1
        assert process.returncode == 0
    assert exports > 1
    assert len(lines(live)[1]) == 1001
    export(database_url, tmp_path / "again")
    assert lines(tmp_path / "again") == lines(live)


def test_an_interrupted_export_changes_nothing(database_url: str, tmp_path: Path) -> None:
    """SIGTERM in the middle leaves the files as they were and no draft beside them."""
    done = run(*demo(tmp_path, database_url, 300), "--speed", "0")
    assert done.returncode == 0, done.stderr
    live = tmp_path / "live"
    before = {file.name: file.read_bytes() for file in live.iterdir()}
    holder = subprocess.Popen(
        [sys.executable, "-c",
         "import fcntl, sys; f = open(sys.argv[1], 'rb'); fcntl.flock(f, fcntl.LOCK_EX);"
         "print('locked', flush=True); sys.stdin.read()", str(live / FILES[0])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        arguments = ["export", "--database-url", database_url, "--output", str(live)]
        with subprocess.Popen(
            [sys.executable, "-m", "llm_integration", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), cwd=ROOT,
        ) as process:  # fmt: skip
            while not list(live.glob(".*.tmp")) and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
        holder.terminate()
    assert process.returncode == 1
    assert errors == "export: interrupted\n"
    assert {file.name: file.read_bytes() for file in live.iterdir()} == before
