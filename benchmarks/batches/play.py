"""One run: the sample's signals through the real worker, at a limit, asked of the simulator's rule."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from benchmarks import samples
from benchmarks.batches.jumping import in_jumps
from benchmarks.figures import median
from llm_integration import Bar, LLMConfig, LLMWorker, SignalMemoryStore
from llm_integration.budget.prices import Price
from llm_integration.domain import LLMAnalysis, Signal
from llm_integration.llm_processor import Completion
from llm_integration.llm_processor.wire import estimate_tokens
from llm_integration.model_catalogue import ModelCatalogue
from llm_integration.prompts import estimated_tokens
from llm_integration.rate_limiter import AsyncRateLimiter, RateLimiter
from llm_integration.routing import CallPlan
from llm_integration.simulator import reading_of
from trading.config import TradingConfig
from trading.indicators import IndicatorSet
from trading.strategy import MovingAverageCross

__all__ = ["Arrivals", "Found", "arrivals_at", "play", "sample"]

LIMIT = 14
WINDOW = 60.25
"""Seconds after which the limiter gives a request back."""
MODEL = "google/gemini-3.5-flash-lite"
FIRST_TOKEN_SECONDS, TOKENS_PER_SECOND = 1.0, 200.0
"""How long the model takes; an assumption about a quick model, which the tables repeat."""

Arrivals = Sequence[tuple[float, Mapping[str, Any]]]


@cache
def sample() -> tuple[dict[str, Any], ...]:
    """``signal_data`` of every signal that the bundled strategy finds on the bundled bars."""
    config = LLMConfig()
    strategy, indicators = (
        MovingAverageCross(TradingConfig(), "EURUSD"),
        IndicatorSet(config.indicators_to_include),
    )
    history: deque[Any] = deque(maxlen=config.lookback_periods + 15)
    found = []
    for bar in samples.bars():
        history.append(bar)
        indicators.update(Bar(*bar))
        signal = strategy.on_bar(Bar(*bar))
        if signal is not None:
            found.append({**asdict(signal), "indicators": indicators.values(), "bars": tuple(history)})
    return tuple(found)


def arrivals_at(moments: Sequence[float]) -> Arrivals:
    """The sample's signals at these moments, from its start again when it is used up."""
    data = sample()
    return [
        (moment, {"signal_id": f"s{number}", "signal_data": data[number % len(data)]})
        for number, moment in enumerate(moments)
    ]


@dataclass(frozen=True, slots=True)
class Found:
    """How a run went: for each signal, in the order of arrival, its answer and the moment it came."""

    ends: tuple[tuple[float, LLMAnalysis], ...]
    requests: int

    @property
    def waits(self) -> list[float]:
        """Seconds from arrival to answer."""
        return [(end.total_ms or math.nan) / 1000 for _, end in self.ends]

    @property
    def last(self) -> float:
        """When the last answer came, in seconds."""
        return max(moment for moment, _ in self.ends)

    def figures(self) -> dict[str, float]:
        """Requests, waits, and tokens and cost per signal."""
        count, ends = len(self.ends), [end for _, end in self.ends]
        return {
            "signals": count,
            "requests": self.requests,
            "last_answer_s": self.last,
            "median_wait_s": median(self.waits),
            "longest_wait_s": max(self.waits),
            "prompt_tokens": sum(end.prompt_tokens or 0 for end in ends) / count,
            "reply_tokens": sum(end.completion_tokens or 0 for end in ends) / count,
            "usd": float(sum((end.cost_usd or Decimal(0) for end in ends), Decimal(0)) / count),
            "saw_later_bars": sum(bool(end.warnings) for end in ends) / count,
        }

    def per_minute(self) -> float:
        """Answers per minute in whole windows of the limit, from the second on and while most still wait."""
        moments = sorted(moment for moment, _ in self.ends)
        windows = math.floor(moments[int(len(moments) * 0.8)] / WINDOW) - 1
        if windows < 1:
            return math.nan
        counted = sum(WINDOW < moment <= (windows + 1) * WINDOW for moment in moments)
        return counted / (windows * WINDOW / 60)


def play(arrivals: Arrivals, **settings: Any) -> Found:
    """One worker with these settings, from the first arrival to the last answer."""
    return in_jumps(_play(arrivals, settings))


async def _play(arrivals: Arrivals, settings: Mapping[str, Any]) -> Found:
    loop = asyncio.get_running_loop()
    config = LLMConfig(**{
        "model": MODEL, "base_url": "http://127.0.0.1:9/v1", "requests_per_minute": LIMIT,
        "signal_max_age_seconds": 604_800, **settings,
    })  # fmt: skip
    limits = RateLimiter(LIMIT, config.tokens_per_minute, clock=loop.time)
    model = _Model(AsyncRateLimiter(limits, call_later=loop.call_later))
    answers = _Answers(loop)
    store = SignalMemoryStore(len(arrivals), clock=loop.time)
    worker = LLMWorker(config, store, None, answers, processor=model, clock=loop.time)
    running = asyncio.create_task(worker.run())
    for moment, mapping in arrivals:
        if moment > loop.time():
            await asyncio.sleep(moment - loop.time())
        store.add_signal(mapping)
    while not await worker.drain(86_400):
        pass
    await worker.stop(1)
    await running
    if not all(end.rated for _, end in answers.ends.values()):
        raise RuntimeError("a signal is without a rating: the figures would not be comparable")
    return Found(tuple(answers.ends[f"s{number}"] for number in range(len(arrivals))), model.requests)


class _Answers:
    """Notes what would go to CSV, and when."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.ends: dict[str, tuple[float, LLMAnalysis]] = {}

    def start(self) -> None:
        """Nothing to make ready."""

    def write_analysis(self, _signal: Signal, analysis: LLMAnalysis) -> None:
        """Take one."""
        self.ends[analysis.signal_id] = (self._loop.time(), analysis)


class _Model:
    """The simulator's rule behind the real rate limiter, at the price and pace of ``MODEL``."""

    def __init__(self, limiter: AsyncRateLimiter) -> None:
        self._limiter = limiter
        self._price = _price()
        self.requests = 0

    async def complete(
        self,
        prompt: str,
        *,
        system: str | None = None,
        deadline: float | None = None,
        plan: CallPlan | None = None,
        symbols: Mapping[str, int] | None = None,
    ) -> Completion:
        """The rule's reply, when the limit lets the request go and the model has written it."""
        most = plan.max_tokens if plan is not None and plan.max_tokens else 2_000
        permit = await self._limiter.acquire(estimate_tokens(prompt, system, most))
        self._limiter.sent(permit)
        self.requests += 1
        text = reading_of(prompt).as_json()
        asked, said = estimated_tokens(prompt) + estimated_tokens(system or ""), estimated_tokens(text)
        seconds = FIRST_TOKEN_SECONDS + said / TOKENS_PER_SECOND
        await asyncio.sleep(seconds)
        self._limiter.settle(permit, asked + said)
        return Completion(
            text=text, finish_reason="stop", model_requested=MODEL, model_served=MODEL, provider=None,
            generation_id=None, prompt_tokens=asked, completion_tokens=said,
            cost_usd=asked * self._price.prompt + said * self._price.completion + self._price.request,
            attempts=1, api_ms=seconds * 1000, wait_ms=0.0,
        )  # fmt: skip

    def room(self) -> tuple[int, float]:
        """The limiter's."""
        return self._limiter.room()

    def ready_in(self) -> float:
        """It is always there."""
        return 0.0

    def stopped_reason(self) -> str | None:
        """Nothing stops it."""
        return None

    def statistics(self) -> dict[str, Any]:
        """How often it was asked."""
        return {"requests": self.requests}

    async def close(self) -> None:
        """Nothing to close."""


@cache
def _price() -> Price:
    catalogue = ModelCatalogue()
    catalogue.load_now()
    price = catalogue.price(MODEL)
    if price is None:
        raise LookupError(f"the shipped list of models has no price for {MODEL}")
    return price
