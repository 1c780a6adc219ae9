"""Several signals in one request: each gets its own result, and none suffers for another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from llm_integration.config import LLMConfig
from llm_integration.domain import Claim, LLMAnalysis, Signal, TaskStatus
from llm_integration.errors import (
    BudgetExceededError,
    ContentFilteredError,
    KeyRefusedError,
    ModelUnavailableError,
    RequestRejectedError,
    ServerError,
)
from llm_integration.llm_processor import Completion
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.model_catalogue import ModelCatalogue, ModelInfo
from llm_integration.routing import CallPlan
from llm_integration.simulator.batches import reading_of
from llm_integration.worker import LLMWorker
from llm_integration.worker.analyses import shares
from llm_integration.worker.batching import signals_per_request
from llm_integration.worker.tasks import Task
from tests.unit.worker_parts import MemoryDatabase, ScriptedProcessor, Sink, completion, signal_mapping

Spoil = Callable[[int, dict[str, Any]], str | Exception]


class RuleModel(ScriptedProcessor):
    """Rates every signal of a prompt by the simulator's rule; ``spoil`` may damage the n-th reply."""

    def __init__(self, spoil: Spoil | None = None) -> None:
        super().__init__()
        self.spoil = spoil
        self.by_model: dict[str, str | Exception] = {}

    async def complete(
        self,
        prompt: str,
        *,
        system: str | None = None,
        deadline: float | None = None,
        plan: CallPlan | None = None,
        symbols: Mapping[str, int] | None = None,
    ) -> Completion:
        await super().complete(prompt, system=system, deadline=deadline, plan=plan, symbols=symbols)
        reply: str | Exception = reading_of(prompt).as_json()
        if self.spoil is not None:
            reply = self.spoil(len(self.prompts), json.loads(str(reply)))
        if plan is not None:
            reply = self.by_model.get(plan.model, reply)
        if isinstance(reply, Exception):
            raise reply
        return completion(reply, Decimal("0.0010"))


def build(
    processor: ScriptedProcessor, database: MemoryDatabase | None = None, **values: Any
) -> tuple[LLMWorker, SignalMemoryStore, Sink]:
    settings = LLMConfig(**{"base_url": "http://127.0.0.1:9/v1", "poll_interval": 30.0, **values})
    store, sink = SignalMemoryStore(settings.max_memory_signals), Sink()
    return LLMWorker(settings, store, database, sink, processor=processor), store, sink


@asynccontextmanager
async def running(worker: LLMWorker) -> AsyncIterator[None]:
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        await worker.stop(1)
        await asyncio.wait_for(task, 5)


async def rated(
    processor: ScriptedProcessor, count: int, database: MemoryDatabase | None = None, **values: Any
) -> dict[str, LLMAnalysis]:
    """The end of ``count`` signals that wait when the worker starts."""
    worker, store, sink = build(processor, database, **values)
    for number in range(count):
        store.add_signal(
            signal_mapping(f"s{number}", symbol=f"SYM{number}", target_price=1.105 + number / 200)
        )
    async with running(worker):
        assert await worker.drain(10)
    assert len(sink.rows) == count
    return {analysis.signal_id: analysis for _, analysis in sink.rows}


def honest(prompts: list[str]) -> int:
    """How many requests were about several signals."""
    return sum('"signals"' in prompt for prompt in prompts)


async def test_up_to_n_signals_share_a_request_and_each_has_its_own_result() -> None:
    """Twenty signals at batch_size 5 are four requests and twenty ratings by the published rule."""
    model = RuleModel()
    ends = await rated(model, 20, batch_size=5)
    assert len(model.prompts) == 4
    assert all(sum(symbols.values()) == 5 for symbols in model.symbols)
    alone = await rated(RuleModel(), 20, batch_size=1)
    assert {name: end.rating for name, end in ends.items()} == {
        name: end.rating for name, end in alone.items()
    }
    assert {end.batch_size for end in ends.values()} == {5}


async def test_the_shares_of_a_batch_add_up_to_its_bill() -> None:
    """Cost and tokens are divided without losing or inventing any."""
    ends = await rated(RuleModel(), 3, batch_size=3)
    assert sum(end.cost_usd or 0 for end in ends.values()) == Decimal("0.0010")
    assert sum(end.prompt_tokens or 0 for end in ends.values()) == 100
    assert sum(end.completion_tokens or 0 for end in ends.values()) == 20


def test_what_a_batch_read_from_a_cache_is_divided_like_its_tokens() -> None:
    """Cached, written and thought tokens of three signals add up to the request's; unknown stays unknown."""
    whole = completion()._replace(cached_tokens=100, cache_write_tokens=0, reasoning_tokens=7)
    parts = shares(whole, 3)
    assert [part.cached_tokens for part in parts] == [34, 33, 33]
    assert [part.cache_write_tokens for part in parts] == [0, 0, 0]
    assert [part.reasoning_tokens for part in parts] == [3, 2, 2]
    assert {part.cached_tokens for part in shares(completion(), 3)} == {None}


def test_an_unknown_cost_is_unknown_for_every_share() -> None:
    """None is not divided into zeros."""
    assert [part.cost_usd for part in shares(completion(cost=None), 3)] == [None] * 3


async def test_only_missing_entries_are_asked_again_alone() -> None:
    """A reply without two of its five entries costs two more requests, not five."""

    def spoil(number: int, reply: dict[str, Any]) -> str:
        if number == 1:
            del reply["signals"][1:3]
        return json.dumps(reply)

    model = RuleModel(spoil)
    ends = await rated(model, 5, batch_size=5)
    assert len(model.prompts) == 3
    assert honest(model.prompts) == 1
    assert all(end.rated for end in ends.values())
    assert sorted(end.attempts for end in ends.values()) == [1, 1, 1, 2, 2]
    assert sum(end.cost_usd or 0 for end in ends.values()) == Decimal("0.0030")


async def test_swapped_entries_rate_nobody_wrongly() -> None:
    """Ids on the wrong entries are seen by the symbols; both signals are asked again, alone."""

    def spoil(number: int, reply: dict[str, Any]) -> str:
        if number == 1:
            first, second = reply["signals"][:2]
            first["id"], second["id"] = second["id"], first["id"]
        return json.dumps(reply)

    alone = await rated(RuleModel(), 4, batch_size=1)
    ends = await rated(RuleModel(spoil), 4, batch_size=4)
    assert {name: end.rating for name, end in ends.items()} == {
        name: end.rating for name, end in alone.items()
    }


@pytest.mark.parametrize(
    "error", [ContentFilteredError("refused", attempts=1), RequestRejectedError("400", attempts=1)]
)
async def test_a_batch_that_fails_as_a_whole_is_taken_apart(error: Exception) -> None:
    """The poisoned signal fails alone; its neighbours are rated in requests of their own."""
    model = RuleModel()

    def spoil(_number: int, reply: dict[str, Any]) -> str | Exception:
        return error if "SYM2" in model.prompts[-1] else json.dumps(reply)

    model.spoil = spoil
    ends = await rated(model, 5, batch_size=5)
    assert [name for name, end in ends.items() if end.status is TaskStatus.FAILED] == ["s2"]
    assert sum(end.rated for end in ends.values()) == 4
    assert len(model.prompts) == 6


async def test_a_request_that_would_be_too_long_is_made_smaller() -> None:
    """batch_max_tokens bounds the prompt; what does not fit goes into the next one."""
    model = RuleModel()
    ends = await rated(model, 20, batch_size=20, batch_max_tokens=1_500)
    assert all(end.rated for end in ends.values())
    assert len(model.prompts) > 2
    assert max(len(prompt) for prompt in model.prompts) < 1_500 * 5


async def test_signals_of_different_times_do_not_share_a_request_unless_allowed() -> None:
    """An earlier signal must not see a later one's bars; with batch_across_time it may, and says so."""

    async def ask(**values: Any) -> tuple[int, list[LLMAnalysis]]:
        model = RuleModel()
        worker, store, sink = build(model, batch_size=10, **values)
        for hour in range(4):
            store.add_signal(signal_mapping(f"s{hour}", timestamp=f"2026-01-05T1{hour}:00:00+00:00"))
        async with running(worker):
            assert await worker.drain(10)
        return len(model.prompts), [analysis for _, analysis in sink.rows]

    requests, ends = await ask()
    assert requests == 4
    assert not any(end.warnings for end in ends)
    requests, ends = await ask(batch_across_time=True)
    assert requests == 1
    *earlier, latest = sorted(ends, key=lambda end: end.signal_id)
    assert all("later" in " ".join(end.warnings) for end in earlier)
    assert all((end.prompt_version or "").endswith(".later-bars") for end in earlier)
    assert latest.warnings == ()
    assert not (latest.prompt_version or "").endswith(".later-bars")


@pytest.mark.parametrize(
    ("waiting", "free", "size"),
    [(1, 14, 1), (7, 14, 1), (8, 14, 2), (14, 14, 2), (70, 14, 10), (500, 14, 20), (30, 1, 20), (5, 1, 5),
     (1, 0, 1), (100, 1_000, 13)],
)  # fmt: skip
def test_auto_grows_with_the_backlog(waiting: int, free: int, size: int) -> None:
    """One alone while it is quiet; a backlog is spread over half of the requests that are left."""
    assert signals_per_request("auto", waiting=waiting, free=free, lanes=8) == size


async def test_auto_waits_for_a_free_request_and_takes_what_waits_then() -> None:
    """While the minute is used up signals gather, and the next request is about all of them."""
    model = RuleModel()
    model.requests_left = 0
    worker, store, sink = build(model, batch_size="auto")
    async with running(worker):
        for number in range(10):
            store.add_signal(signal_mapping(f"s{number}", symbol=f"SYM{number}"))
        assert not await worker.drain(0.05)
        assert model.prompts == []
        model.requests_left = 1
        assert await worker.drain(10)
    assert len(model.prompts) == 1
    assert len(sink.rows) == 10


async def test_a_stopped_line_gives_every_signal_of_a_batch_back() -> None:
    """401 in mid-batch: all of its signals are pending again, none failed."""
    database = MemoryDatabase()

    def spoil(_number: int, _reply: dict[str, Any]) -> Exception:
        model.wait = 5.0
        return KeyRefusedError("401")

    model = RuleModel(spoil)
    worker, store, sink = build(model, database, batch_size=5)
    for number in range(5):
        store.add_signal(signal_mapping(f"s{number}", symbol=f"SYM{number}"))
    async with running(worker):
        await asyncio.wait_for(model.called.wait(), 5)
        assert not await worker.drain(0.1)
    assert store.get_statistics()["pending"] == 5
    assert sorted(database.released) == [f"s{number}" for number in range(5)]
    assert sink.rows == []


async def test_a_full_budget_parks_its_signals_until_there_is_room() -> None:
    """They are pending in PostgreSQL meanwhile, cost nothing, and are asked when the budget has room."""
    database = MemoryDatabase()

    def spoil(number: int, reply: dict[str, Any]) -> str | Exception:
        if number == 1:
            return BudgetExceededError("the budget of 1 USD a day is used up", retry_after=0.05)
        return json.dumps(reply)

    worker, store, sink = build(RuleModel(spoil), database)
    store.add_signal(signal_mapping("s1"))
    async with running(worker):
        assert await worker.drain(10)
    assert [analysis.rated for _, analysis in sink.rows] == [True]
    assert database.released == ["s1"]


async def test_a_signal_too_old_for_its_budget_expires_with_that_reason() -> None:
    """The stored reason is the budget's, not a bare timeout."""

    def spoil(_number: int, _reply: dict[str, Any]) -> Exception:
        return BudgetExceededError("the budget of 1 USD a day is used up", retry_after=3_600)

    worker, store, sink = build(RuleModel(spoil), signal_max_age_seconds=0.2)
    store.add_signal(signal_mapping("s1"))
    async with running(worker):
        assert await worker.drain(10)
    ((_, analysis),) = sink.rows
    assert analysis.status is TaskStatus.EXPIRED
    assert "1 USD a day" in (analysis.error or "")
    assert analysis.cost_usd is None


async def test_an_ensemble_is_one_result_with_every_voice_stored() -> None:
    """Three models, one agreed reading: the median, the majority, the spread, the bill of all."""
    model = RuleModel()
    for name, rating, choppy in (("a/a", 2, "no"), ("b/b", 5, "no"), ("c/c", 4, "yes")):
        model.by_model[name] = json.dumps(
            {"rating": rating, "choppiness": choppy, "analysis": name, "recommendations": "r"}
        )
    (end,) = (await rated(model, 1, ensemble=["a/a", "b/b", "c/c"])).values()
    assert (end.rating, end.choppiness, end.rating_spread) == (4, "no", 3)
    assert end.analysis == "c/c"
    assert [opinion.rating for opinion in end.opinions] == [2, 5, 4]
    assert end.cost_usd == Decimal("0.0030")
    assert end.attempts == 3


async def test_an_ensemble_below_its_quorum_is_unrated() -> None:
    """One voice of three is no agreement; the reason names the others' faults."""
    model = RuleModel()
    model.by_model = {
        "a/a": json.dumps({"rating": 5, "choppiness": "no", "analysis": "x", "recommendations": "y"}),
        "b/b": ContentFilteredError("refused", attempts=1),
        "c/c": "no idea",
    }
    (end,) = (await rated(model, 1, ensemble=["a/a", "b/b", "c/c"])).values()
    assert end.status is TaskStatus.COMPLETED
    assert end.rating is None
    assert "1 of 3" in (end.error or "")
    assert [opinion.error is None for opinion in end.opinions] == [True, False, False]


async def test_an_ensemble_that_nobody_answers_fails_with_every_reason() -> None:
    """Each model's reason is stored."""
    model = RuleModel()
    model.by_model = {"a/a": ServerError("500 from a", attempts=5), "b/b": ContentFilteredError("b said no")}
    (end,) = (await rated(model, 1, ensemble=["a/a", "b/b"])).values()
    assert end.status is TaskStatus.FAILED
    assert "500 from a" in (end.error or "")
    assert "b said no" in (end.error or "")


async def test_a_shadow_is_stored_and_never_delivered() -> None:
    """The signal's own rating is what it would have been; the shadow's stands beside it."""
    model, database = RuleModel(), MemoryDatabase()
    model.by_model["shadow/model"] = json.dumps(
        {"rating": 1, "choppiness": "yes", "analysis": "x", "recommendations": "y"}
    )
    worker, store, sink = build(model, database, shadow=[{"model": "shadow/model", "share": 1.0}])
    store.add_signal(signal_mapping("s1"))
    async with running(worker):
        assert await worker.drain(10)
        await asyncio.wait_for(database.heard.wait(), 5)
    (opinion,) = database.opinions["s1"]
    assert (opinion.role, opinion.rating, opinion.model_requested) == ("shadow", 1, "shadow/model")
    ((_, analysis),) = sink.rows
    assert analysis.opinions == ()
    assert analysis.model_requested == "asked/model"


async def test_routes_send_signals_to_their_models_and_say_so() -> None:
    """The rule's name is stored with the result; what no rule wants goes the usual way."""
    model = RuleModel()
    ends = await rated(
        model,
        3,
        routes=[{"name": "first", "when": {"symbol": "SYM1"}, "model": "dear/model"}],
        model="usual/model",
    )
    assert {name: end.route for name, end in ends.items()} == {"s0": None, "s1": "first", "s2": None}
    asked = {
        next(iter(symbols)): plan.model
        for symbols, plan in zip(model.symbols, model.plans, strict=True)
        if plan
    }
    assert asked == {"SYM0": "usual/model", "SYM1": "dear/model", "SYM2": "usual/model"}


async def test_signals_of_different_routes_do_not_share_a_request() -> None:
    """A batch goes to one model."""
    model = RuleModel()
    await rated(model, 4, batch_size=4, routes=[{"when": {"symbol": "SYM1"}, "model": "dear/model"}])
    assert sorted(len(symbols) for symbols in model.symbols) == [1, 3]


def test_a_job_remembers_what_it_cost_without_an_answer() -> None:
    """Money spent on a signal counts even when the request brought nothing for it."""
    job = Task(Signal.from_mapping("s", {}), 0.0, 1.0)
    job.charge(None, 1)
    job.charge(Decimal("0.5"), 2)
    assert (job.spent, job.sent) == (Decimal("0.5"), 3)


async def test_budgets_hold_in_a_process_that_brings_no_client_of_its_own() -> None:
    """A host that embeds the worker without a database has its budgets kept all the same."""
    settings = LLMConfig(base_url="http://127.0.0.1:9/v1", budgets=[{"per": "day", "tokens": 10}])
    worker = LLMWorker(settings)
    worker.memory_store.add_signal(signal_mapping("s1"))
    async with running(worker):
        async with asyncio.timeout(5):
            while worker.get_statistics()["waiting_for_budget"] == 0:  # noqa: ASYNC110  it has no event
                await asyncio.sleep(0.01)
        assert worker.get_statistics()["processor"]["requests"] == 0


async def test_a_signal_to_be_rated_again_by_another_model_is_asked_of_that_one_alone() -> None:
    """Whatever routes, fallbacks and ensembles say: somebody wants this model's rating."""
    database, model = MemoryDatabase(), RuleModel()
    claim = Claim(1, "again", "c1", model="wanted/model")
    database.waiting.append((claim, Signal.from_mapping("again", signal_mapping("again")["signal_data"])))
    worker, _, _ = build(
        model, database, ensemble=["a/a", "b/b"], fallback_models=["c/c"], poll_interval=0.05
    )
    async with running(worker):
        async with asyncio.timeout(5):
            await model.called.wait()
        assert await worker.drain(5)
    (plan,) = model.plans
    assert plan is not None
    assert plan.models == ("wanted/model",)


async def test_a_request_stays_within_what_the_model_can_read() -> None:
    """A small context makes small batches, whatever batch_max_tokens allows."""

    class Known(ModelCatalogue):
        def find(self, model: str) -> ModelInfo | None:
            return ModelInfo(model, 6_000, None, frozenset(), None)

    model = RuleModel()
    settings = LLMConfig(base_url="http://127.0.0.1:9/v1", batch_size=20)
    worker = LLMWorker(settings, processor=model, catalogue=Known())
    for number in range(20):
        worker.memory_store.add_signal(signal_mapping(f"s{number}", symbol=f"SYM{number}"))
    async with running(worker):
        assert await worker.drain(10)
    assert len(model.prompts) > 2
    assert worker.get_statistics()["rated"] == 20


async def test_a_route_whose_model_is_down_waits_and_holds_nobody_up() -> None:
    """Its signals are not tried again and again; those of other routes are rated meanwhile."""
    model = RuleModel()
    model.by_model["down/model"] = ModelUnavailableError("down/model is down", retry_after=30.0)
    worker, store, sink = build(
        model, routes=[{"when": {"symbol": "DOWN"}, "model": "down/model"}], model="well/model"
    )
    store.add_signal(signal_mapping("s1", symbol="DOWN"))
    store.add_signal(signal_mapping("s2"))
    async with running(worker):
        await asyncio.wait_for(sink.arrived.wait(), 5)
        assert not await worker.drain(0.1)
        assert worker.get_statistics()["waiting_for_budget"] == 1
    assert [signal.signal_id for signal, _ in sink.rows] == ["s2"]
    assert sum(plan.model == "down/model" for plan in model.plans if plan) == 1
