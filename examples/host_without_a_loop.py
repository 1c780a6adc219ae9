"""A program without an event loop: the sidecar runs in a thread with a loop of its own.

OPENROUTER_API_KEY=sk-or-v1-... python examples/host_without_a_loop.py
"""

import time

from llm_integration import SidecarThread

sidecar = SidecarThread()  # settings from the environment and .env; or SidecarThread("config.json")
try:
    sidecar.submit({"signal_id": "ES-1", "signal_data": {
        "timestamp": "2026-01-05T10:00:00Z", "symbol": "ES", "signal_type": "BUY",
        "entry_price": 6900.0, "stop_loss": 6880.0, "target_price": 6940.0,
    }})  # fmt: skip
    give_up = time.monotonic() + 30  # your own loop goes here; it looks when it likes, and never waits
    while sidecar.verdict("ES-1").state == "pending" and time.monotonic() < give_up:
        time.sleep(0.05)
    print("ES-1", sidecar.verdict("ES-1").rating or sidecar.verdict("ES-1").reason or "no answer yet")
    if sidecar.allows("ES-1", min_rating=3, otherwise=True):
        print("it would be traded")
finally:
    sidecar.close(10)
