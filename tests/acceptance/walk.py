"""Which files one signal passes on its way through the library, found by watching it go.

python -m tests.acceptance.walk writes the list into ARCHITECTURE.md.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import SecretStr

from database import DatabaseManager, EmbeddedPostgres, Outbox
from llm_integration import LLMConfig, LLMCSVExporter, LLMProcessor, LLMWorker, Signal, SignalMemoryStore
from llm_integration.domain import Claim
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "ARCHITECTURE.md"
MARKED = re.compile(r"(<!-- walk: [\w. -]+ -->\n).*?(<!-- end of walk -->)", re.S)
OURS = ("llm_integration/",)
NOT_THE_WALK = "llm_integration/simulator/"
QUIET_SECONDS = 3600.0
"""Nothing periodic happens in between: no look for waiting tasks, no heartbeat."""


class Watch:
    """Notes each function of ours that is called, in any thread, while ``on``."""

    def __init__(self) -> None:
        self.on = False
        self.calls: list[tuple[str, str, str]] = []

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        if self.on and event == "call":
            code = frame.f_code
            if code.co_filename.startswith(f"{ROOT}/"):
                name = code.co_filename[len(f"{ROOT}/") :]
                if name.startswith(OURS) and not name.startswith(NOT_THE_WALK):
                    self.calls.append((threading.current_thread().name, name, code.co_qualname))

    @property
    def files(self) -> list[str]:
        """The files of ours, in the order of their first call."""
        return list(dict.fromkeys(name for _, name, _ in self.calls))


def signal(name: str) -> dict[str, object]:
    """A signal of three bars and two indicators."""
    bars = [(f"2026-01-05T0{hour}:00:00Z", 1.1, 1.102, 1.099, 1.1012, 1200.0) for hour in range(7, 10)]
    return {
        "signal_id": name,
        "signal_data": {
            "timestamp": "2026-01-05T10:00:00Z", "symbol": "EURUSD", "signal_type": "BUY",
            "entry_price": 1.1012, "stop_loss": 1.0991, "target_price": 1.1054,
            "indicators": {"rsi": 58.2, "atr": 0.0011}, "bars": bars,
        },
    }  # fmt: skip


class FirstLook(DatabaseManager):
    """Tells when the worker has looked for waiting tasks, which it does once at its start."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.looked = asyncio.Event()

    async def claim_waiting(self, **how: Any) -> list[tuple[Claim, Signal]]:
        """See TaskStore."""
        found = await super().claim_waiting(**how)
        self.looked.set()
        return found


async def walk(url: str, folder: Path) -> Watch:
    """Rate one signal to warm up and watch the second, from ``add_signal`` until all have its analysis."""
    watch = Watch()
    threading.setprofile(watch)
    async with OpenRouterSimulator(seed=1) as simulator, FirstLook(url) as manager:
        config = LLMConfig(
            base_url=simulator.base_url, csv_output_directory=str(folder),
            poll_interval=QUIET_SECONDS, lease_seconds=QUIET_SECONDS,
        )  # fmt: skip
        store, exporter = SignalMemoryStore(), LLMCSVExporter(config)
        outbox = Outbox(folder / "outbox", target=manager.address)
        client = LLMProcessor(config, api_key=SecretStr(SIMULATED_KEY))
        worker = LLMWorker(config, store, manager, exporter, outbox=outbox, processor=client)
        worker.subscribe(lambda _analysis: None)
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(30):
            await manager.looked.wait()
        store.add_signal(signal(f"first {folder.name}"))
        assert await worker.drain(30)
        sys.setprofile(watch)
        watch.on = True
        store.add_signal(signal(f"watched {folder.name}"))
        assert await worker.drain(30)
        await asyncio.to_thread(exporter.flush, 10.0)
        watch.on = False
        sys.setprofile(None)
        threading.setprofile(None)
        await worker.stop(5)
        await running
        await asyncio.to_thread(exporter.close)
        await asyncio.to_thread(outbox.close)
    return watch


def block(files: list[str]) -> str:
    """The files by folder, as ARCHITECTURE.md has them."""
    folders: dict[str, list[str]] = {}
    for file in sorted(files):
        folder, _, name = file.rpartition("/")
        folders.setdefault(folder, []).append(name)
    rows = [
        f"| `{folder}/` | {len(names)} | {', '.join(f'`{name}`' for name in names)} |"
        for folder, names in folders.items()
    ]
    head = f"{len(files)} files, from `add_signal` to the rows in PostgreSQL and CSV and to the callback."
    return "\n".join([head, "", "| folder | files | |", "|---|---|---|", *rows])


def filled(page: str, files: list[str]) -> str:
    """``page`` with the list between its markers."""
    return MARKED.sub(lambda at: f"{at[1]}\n{block(files)}\n\n{at[2]}", page)


async def watched() -> list[str]:
    """The files, seen with a PostgreSQL of its own."""
    with tempfile.TemporaryDirectory() as made:
        async with EmbeddedPostgres() as server:
            return (await walk(server.dsn, Path(made))).files


if __name__ == "__main__":
    seen = asyncio.run(watched())
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), seen), encoding="utf-8")
