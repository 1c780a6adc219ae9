"""A sink: every finished analysis as one line of JSON, written by a thread of its own."""

import json
import queue
import threading
from dataclasses import asdict
from pathlib import Path

from llm_integration import Bar, LLMAnalysis, Signal


class JsonLinesSink:
    def __init__(self, path: Path) -> None:
        self._waiting: queue.Queue[tuple[Signal, LLMAnalysis] | None] = queue.Queue(10_000)
        self._thread = threading.Thread(target=self._write, args=(path,), name="json lines", daemon=True)

    def start(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def write_analysis(self, signal: Signal, analysis: LLMAnalysis) -> None:
        self._waiting.put_nowait((signal, analysis))  # on the event loop: never wait here

    def record_bar(self, session_id: str | None, symbol: str, bar: Bar, signal: Signal | None = None) -> None:
        """Bars are not kept here."""

    def close(self, timeout: float = 10.0) -> None:
        if self._thread.is_alive():
            self._waiting.put(None, timeout=timeout)
            self._thread.join(timeout)

    def _write(self, path: Path) -> None:
        with path.open("a", encoding="utf-8", buffering=1) as file:
            for signal, analysis in iter(self._waiting.get, None):
                file.write(json.dumps({"symbol": signal.symbol, **asdict(analysis)}, default=str) + "\n")
