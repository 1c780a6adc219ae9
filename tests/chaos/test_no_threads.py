"""Where no thread can be started: trading goes on, what waits is counted and said once, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from llm_integration.csv_exporter import SIGNAL_FILE
from llm_integration.simulator import OpenRouterSimulator
from tests.chaos.program import Program, outbox_entries, rows, whole_lines
from tests.chaos.test_endings import LATENCY_SECONDS
from tests.chaos.truth import compare, end_state, expected_signals, slice_of_bars
from tests.unit.test_readme import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PARTS = """
import asyncio, json, logging, sys, time
from collections import Counter
from pathlib import Path
from database.db_manager import DatabaseManager
from llm_integration.record.outbox.thread import Outbox
from llm_integration import LLMConfig, LLMCSVExporter, LLMWorker, SignalMemoryStore
from tests.chaos import no_threads
from tests.unit.worker_parts import ScriptedProcessor, signal_mapping

SIGNALS = 40
LIFTED = {lifted}
folder, port = Path(sys.argv[1]), sys.argv[2]
said, heard, longest = Counter(), [], 0.0

class Said(logging.Handler):
    def emit(self, record):
        if record.levelno >= logging.WARNING:
            said[record.getMessage().partition(":")[0]] += 1

async def trading(store):
    global longest
    for number in range(SIGNALS):
        began = time.perf_counter()
        store.add_signal(signal_mapping(f"s{{number}}"))
        longest = max(longest, time.perf_counter() - began)
        await asyncio.sleep(0.01)

async def main():
    config = LLMConfig(base_url="http://127.0.0.1:9/v1", csv_output_directory=str(folder / "out"))
    store, exporter = SignalMemoryStore(), LLMCSVExporter(config)
    database = DatabaseManager(f"postgresql://nobody@127.0.0.1:{{port}}/nowhere")
    outbox = Outbox(folder / "outbox")
    worker = LLMWorker(config, store, database, exporter, outbox=outbox, processor=ScriptedProcessor())
    worker.subscribe(lambda analysis: heard.append(analysis.signal_id))
    running = asyncio.create_task(worker.run())
    await trading(store)
    await asyncio.sleep(1.0)
    before = worker.get_statistics()
    if LIFTED:
        no_threads.lift()
        await asyncio.sleep(1.2)
        store.add_signal(signal_mapping("one more"))
        await asyncio.sleep(1.5)
    await worker.stop(1.0)
    await running
    complete = exporter.close(2.0)
    outbox.close()
    await database.close()
    after = worker.get_statistics()
    print(json.dumps({{
        "waiting": before["callback_waiting"], "heard": heard, "dropped": after["callback_dropped"],
        "complete": complete, "said": said, "longest": longest, "crashes": after["crashes"],
    }}))

logging.getLogger().addHandler(Said())
no_threads.forbid()
asyncio.run(main())
"""


@pytest.mark.parametrize("lifted", [False, True], ids=["for ever", "for a while"])
def test_the_parts_of_a_host_live_without_threads(lifted: bool, tmp_path: Path) -> None:
    """Plain callbacks wait and are counted, files and outbox are complete after close; each says it once."""
    script = tmp_path / "mine.py"
    script.write_text(PARTS.format(lifted=lifted), encoding="utf-8")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", str(script), str(tmp_path), str(port)],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    names = [f"s{number}" for number in range(40)] + (["one more"] if lifted else [])
    assert found["waiting"] == 40
    in_file = [row["signal_id"] for row in rows(tmp_path / "out" / SIGNAL_FILE)]  # as they were read
    assert sorted(in_file) == sorted(names)
    assert found["heard"] == (in_file if lifted else [])
    assert found["dropped"] == (0 if lifted else 40)
    assert found["complete"] is True
    assert found["crashes"] == {}
    assert found["longest"] < 0.05
    assert {key for kind, key, _ in outbox_entries(tmp_path / "outbox") if kind == "outcome"} == set(names)
    assert found["said"]["outbox"] == found["said"]["llm-csv-exporter"] == (2 if lifted else 1)


class Threadless(Program):
    """The program in a process that can start no thread."""

    def _command(self) -> list[str]:
        python, *rest = super()._command()
        return [python, "-m", "tests.chaos.no_threads", *rest]


@pytest.mark.postgres
@pytest.mark.parametrize("follow", [False, True], ids=["a file", "a growing file"])
async def test_the_program_trades_and_stores_without_threads(
    follow: bool, database_url: str, tmp_path: Path
) -> None:
    """To the end of the feed: every bar, signal and rating once in tables and files, exit status 0."""
    async with OpenRouterSimulator(latency_seconds=LATENCY_SECONDS) as simulator:
        program = Threadless(
            tmp_path, database_url, simulator.base_url, slice_of_bars(tmp_path, 0, 300), speed=200.0,
            resume=False, follow=follow,
        )  # fmt: skip
        await program.start()
        try:
            if follow:
                await program.until(lambda: "bars 300 until" in program.log)
                program.send(signal.SIGTERM)
            await program.finish()
        finally:
            await program.close()
    assert "Traceback" not in program.log
    assert program.log.count("no thread can be started") <= 3
    state = await end_state(database_url, program.out)
    if not follow:
        assert compare(program, state, None).problems == []
    assert len(state.signals) == len(expected_signals(program.bars)) == program.answers_written()
    assert program.bars_written() == 300


@pytest.mark.postgres
async def test_trading_goes_on_without_threads_while_postgresql_is_away(
    database_url: str, tmp_path: Path
) -> None:
    """The outbox has no thread when it is needed: bars go on to the end, and its file is whole afterwards."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"postgresql://nobody@127.0.0.1:{nobody.getsockname()[1]}/nowhere"
    async with OpenRouterSimulator(latency_seconds=LATENCY_SECONDS) as simulator:
        program = Threadless(
            tmp_path, url, simulator.base_url, slice_of_bars(tmp_path, 0, 300), speed=200.0, resume=False,
            database={"required": False}, llm={"drain_timeout_seconds": 3.0},
        )  # fmt: skip
        await program.start()
        try:
            await program.finish()
        finally:
            await program.close()
    assert "Traceback" not in program.log
    signals = len(expected_signals(program.bars))
    assert whole_lines(program.out / SIGNAL_FILE) - 1 == signals
    entries = await asyncio.to_thread(outbox_entries, program.outbox)
    assert sum(kind == "outcome" for kind, _, _ in entries) == signals


LOOK_UP = """
import asyncio
from llm_integration import LLMConfig, LLMProcessor
from llm_integration.errors import TransportError
from tests.chaos import no_threads

async def main():
    processor = LLMProcessor(LLMConfig(base_url="http://localhost:9/v1", max_retries=0))
    no_threads.forbid()
    try:
        await processor.complete("x")
    except TransportError as error:
        print(error)
    no_threads.lift()
    await processor.close()

asyncio.run(main())
"""


def test_a_host_name_that_cannot_be_looked_up_is_a_failed_connection(tmp_path: Path) -> None:
    """The look-up needs a thread: without one the call fails for a passing reason, and the signal waits."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK_UP],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "can't start new thread" in done.stdout
