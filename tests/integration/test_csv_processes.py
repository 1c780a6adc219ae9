"""Real processes: killed at any moment, two in one folder, one on a disk that fills up."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from pathlib import Path

from llm_integration.csv_exporter import RESULT_COLUMNS, RESULT_FILE, SIGNAL_COLUMNS, SIGNAL_FILE

SESSION = """
import sys
from llm_integration.config import LLMConfig
from llm_integration.csv_exporter import LLMCSVExporter
from tests.unit.test_csv_rows import a_bar, a_signal, an_answer
folder, session, count, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
exporter = LLMCSVExporter(LLMConfig(csv_queue_size=1_000_000), output_directory=folder)
exporter.start()
if pause < 0:
    print("ready", flush=True)
    sys.stdin.readline()
for at in range(count):
    signal = None
    if at % 5 == 0:
        name = f"shared-{at}" if at % 10 == 0 else f"{session}-{at}"
        signal = a_signal(name, at, session_id=session)
    exporter.record_bar(session, "EURUSD", a_bar(at), signal)
    if signal is not None:
        exporter.write_analysis(signal, an_answer(signal.signal_id, analysis="text, " * (at % 200)))
    if pause >= 0 and at % 100 == 99:
        exporter.flush()
        print(at, flush=True)
assert exporter.close(30.0)
print("done", flush=True)
"""


def session(folder: Path, name: str, bars: int, *, together: bool = False) -> subprocess.Popen[str]:
    """A process that feeds one session from its beginning; ``together`` waits for a line on stdin."""
    arguments = [str(folder), name, str(bars), "-1" if together else "0"]
    return subprocess.Popen(
        [sys.executable, "-c", SESSION, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], said: str = "") -> list[str]:
    """Let the process end well; its output."""
    out, _ = process.communicate(said, timeout=60)
    assert process.returncode == 0
    return out.split()


def records(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The records of a file; fails on a torn line, a second header or a missing last line end."""
    data = path.read_text(encoding="utf-8")
    assert data.endswith("\n")
    lines = list(csv.reader(data.splitlines(), strict=True))
    assert all(len(cells) == len(columns) for cells in lines)
    assert [cells for cells in lines if cells == list(columns)] == lines[:1]
    return [dict(zip(columns, cells, strict=True)) for cells in lines[1:]]


def test_kill_9_at_any_moment_leaves_the_files_of_an_undisturbed_run(tmp_path: Path) -> None:
    """Killed again and again and fed from the beginning each time: every row once, in order, none torn."""
    seed = random.Random(20_240_601)
    bars = 1_500
    finish(session(tmp_path / "calm", "run", bars))
    folder = tmp_path / "killed"
    killed = 0
    for _ in range(6):
        process = session(folder, "run", bars)
        assert process.stdout is not None
        for _ in range(seed.randint(1, 12)):
            process.stdout.readline()
        process.kill()
        process.communicate()
        killed += process.returncode == -9
    assert killed >= 3
    finish(session(folder, "run", bars))
    assert (folder / RESULT_FILE).read_bytes() == (tmp_path / "calm" / RESULT_FILE).read_bytes()
    assert (folder / SIGNAL_FILE).read_bytes() == (tmp_path / "calm" / SIGNAL_FILE).read_bytes()


def test_two_processes_in_one_folder_mix_and_lose_nothing(tmp_path: Path) -> None:
    """One header, whole rows, each session's bars in order, a signal that both have stands there once."""
    bars = 1_500
    both = [session(tmp_path, name, bars, together=True) for name in ("one", "two")]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        assert finish(process) == ["done"]

    results = records(tmp_path / RESULT_FILE, RESULT_COLUMNS)
    for name in ("one", "two"):
        volumes = [row["volume"] for row in results if row["session_id"] == name]
        assert volumes == [f"{100.0 + at}" for at in range(bars)]
    signals = [row["signal_id"] for row in records(tmp_path / SIGNAL_FILE, SIGNAL_COLUMNS)]
    expected = {f"shared-{at}" for at in range(0, bars, 10)}
    expected |= {f"{name}-{at}" for at in range(5, bars, 10) for name in ("one", "two")}
    assert len(signals) == len(set(signals))
    assert set(signals) == expected


FULL_DISK = """
import json, resource, sys, threading
from pathlib import Path
from llm_integration.csv_exporter import LLMCSVExporter, RESULT_FILE
from llm_integration.csv_exporter import health
from tests.unit.test_csv_rows import a_bar
warned = threading.Event()
health.logger.warning = lambda *values: (said.append(values[0] % values[1:]), warned.set())
said = []
folder = Path(sys.argv[1])
exporter = LLMCSVExporter(output_directory=folder)
exporter.start()
exporter.record_bar("run", "EURUSD", a_bar(0))
assert exporter.flush()
limit = (folder / RESULT_FILE).stat().st_size + 2_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
for at in range(1, 200):
    exporter.record_bar("run", "EURUSD", a_bar(at))
assert warned.wait(10)
full = [exporter.flush(0.2), (folder / RESULT_FILE).read_text(), exporter.get_statistics()]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
closed = exporter.close()
print(json.dumps([said, full, closed, (folder / RESULT_FILE).read_text(), exporter.get_statistics()]))
"""


def test_rows_wait_while_the_disk_is_full(tmp_path: Path) -> None:
    """Whole rows up to the last free byte, one warning with the cause, the rest when there is room again."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    said, (flushed, text, statistics), closed, after, last = json.loads(done.stdout)
    assert said == [f"{tmp_path / RESULT_FILE}: File too large; rows wait in memory and are tried again"]
    assert not flushed
    assert text.endswith("\n")
    written = statistics["files"][RESULT_FILE]["rows_written"]
    assert written == text.count("\n") - 1 < 199
    assert statistics["rows_waiting"] == 200 - written
    assert closed
    assert [line.split(",")[7] for line in after.splitlines()[1:]] == [f"{100.0 + at}" for at in range(200)]
    assert last["files"][RESULT_FILE]["rows_written"] == 200
    assert last["files"][RESULT_FILE]["rows_already_there"] == 0
