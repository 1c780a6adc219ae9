"""A host tells where it was filled and how its trades ended; the rest is told from its bars.

OPENROUTER_API_KEY=sk-or-v1-... python examples/fills_and_outcomes.py
"""

import asyncio
from datetime import UTC, datetime, timedelta

from llm_integration import Bar, LLMConfig, Sidecar

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


async def main() -> None:
    config = LLMConfig(outcomes={"spread": 0.25, "horizon_bars": 30})
    async with Sidecar(config) as sidecar:
        for name in ("ES-bars", "ES-filled", "ES-closed"):
            sidecar.add_signal({"signal_id": name, "signal_data": {
                "timestamp": at(0), "symbol": "ES", "signal_type": "BUY",
                "entry_price": 6900.0, "stop_loss": 6890.0, "target_price": 6920.0,
            }})  # fmt: skip
        sidecar.add_bar(Bar(at(0), 6899.0, 6901.0, 6898.0, 6900.0, 900.0), symbol="ES")
        sidecar.report_fill("ES-filled", 6902.0, at(1))  # R is counted from here, not from the next open
        sidecar.report_fill("ES-closed", 6901.0, at(1))
        for minute in range(2, 12):
            price = 6900.0 + 2 * minute
            sidecar.add_bar(Bar(at(minute), price - 1, price + 1, price - 2, price, 900.0), symbol="ES")
        sidecar.report_outcome("ES-closed", 6907.5, at(5), exit="time", r_net=0.57)  # over what bars tell
        await sidecar.drain(config.drain_timeout_seconds)


asyncio.run(main())
