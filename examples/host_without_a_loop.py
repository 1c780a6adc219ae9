"""A program without an event loop: a thread runs one for the sidecar; ratings are looked up in a dict.

OPENROUTER_API_KEY=sk-or-v1-... python examples/host_without_a_loop.py
"""

import asyncio
import threading
import time

from llm_integration import LLMAnalysis, LLMConfig, LLMWorker, SignalMemoryStore


class RatingThread:
    """``submit`` and ``verdicts`` may be used from any thread and never wait."""

    def __init__(self, config: LLMConfig) -> None:
        self.store = SignalMemoryStore()
        self.verdicts: dict[str, LLMAnalysis] = {}
        self._config, self._end = config, threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._rate()), name="sidecar")
        self._thread.start()

    def submit(self, signal_id: str, **signal_data: object) -> bool:
        return self.store.add_signal({"signal_id": signal_id, "signal_data": signal_data})

    def close(self) -> None:
        """Answers on their way have ten seconds to arrive."""
        self._end.set()
        self._thread.join(12)

    async def _rate(self) -> None:
        worker = LLMWorker(self._config, self.store)
        worker.subscribe(lambda analysis: self.verdicts.update({analysis.signal_id: analysis}))
        running = asyncio.create_task(worker.run())
        await asyncio.to_thread(self._end.wait)
        await worker.stop(10)
        await running


if __name__ == "__main__":
    rating = RatingThread(LLMConfig())
    try:
        rating.submit("ES-1", timestamp="2026-01-05T10:00:00Z", symbol="ES", signal_type="BUY",
                      entry_price=6900.0, stop_loss=6880.0, target_price=6940.0)  # fmt: skip
        give_up = time.monotonic() + 30  # your own loop goes here; it looks when it likes
        while "ES-1" not in rating.verdicts and time.monotonic() < give_up:
            time.sleep(0.05)
    finally:
        rating.close()
    verdict = rating.verdicts.get("ES-1")
    print("ES-1", verdict.rating if verdict else "no answer yet")
