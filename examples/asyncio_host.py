"""An asyncio program that trades: its loop goes on bar by bar while signals are rated.

OPENROUTER_API_KEY=sk-or-v1-... python examples/asyncio_host.py
"""

import asyncio
from datetime import UTC, datetime, timedelta

from llm_integration import Bar, LLMAnalysis, LLMConfig, Sidecar

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
ratings: dict[str, int | None] = {}


async def rated(analysis: LLMAnalysis) -> None:  # of every signal; one without a rating says why
    ratings[analysis.signal_id] = analysis.rating
    print(analysis.signal_id, analysis.rating or analysis.error, analysis.recommendations, flush=True)


async def trade(sidecar: Sidecar) -> None:
    """Stands for your loop: a bar now and then, and a signal on every fifth of them."""
    bars: list[Bar] = []
    for number in range(20):
        close = 6900.0 + number
        bars.append(Bar(START + timedelta(minutes=number), close, close + 2, close - 2, close, 1000.0))
        if number % 5 == 4:
            sidecar.add_signal({"signal_id": f"ES-{number}", "signal_data": {
                "timestamp": bars[-1].timestamp, "symbol": "ES", "signal_type": "BUY", "entry_price": close,
                "stop_loss": close - 20, "target_price": close + 40, "bars": tuple(bars),
            }})  # fmt: skip
        sidecar.add_bar(bars[-1], symbol="ES")  # for the file of all bars; behind its signals
        await asyncio.sleep(0.01)  # the next bar


async def main() -> None:
    config = LLMConfig()  # environment and .env; or Sidecar.from_config("config.json")
    async with Sidecar(config) as sidecar:
        sidecar.subscribe(rated)
        await trade(sidecar)
        await sidecar.drain(config.drain_timeout_seconds)
    print(f"{len(ratings)} signals, {sum(rating is not None for rating in ratings.values())} rated")


asyncio.run(main())
