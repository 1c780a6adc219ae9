"""The list of models: what is read and what is not believed, warnings, the copies on disk, the server."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.budget import BudgetExceededError, MemoryLedger, SpendRequest
from llm_integration.budget.prices import Price
from llm_integration.config import DEFAULT_BASE_URL, DEFAULT_MODEL, LLMConfig
from llm_integration.model_catalogue import ModelCatalogue, ModelWatch, catalogue
from llm_integration.model_catalogue.files import cache_file, read_cache, read_shipped, write_cache
from llm_integration.model_catalogue.listing import (
    MOST_LISTING_BYTES,
    Listing,
    ModelInfo,
    read_listing,
    write_listing,
)
from llm_integration.providers import Compatible
from llm_integration.simulator import OpenRouterSimulator

FLASH = "google/gemini-2.5-flash"
FACTS: dict[str, Any] = {  # as OpenRouter lists it
    "id": FLASH,
    "canonical_slug": FLASH,
    "context_length": 1_048_576,
    "pricing": {"prompt": "0.0000003", "completion": "0.0000025", "request": "0", "image": "0.00124"},
    "top_provider": {"context_length": 1_048_576, "max_completion_tokens": 65_535},
    "supported_parameters": ["max_tokens", "response_format", "structured_outputs"],
    "expiration_date": "2026-12-01",
    "reasoning": {"mandatory": False},
}
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def listed(*entries: object, **more: Any) -> str:
    return json.dumps({"data": list(entries), "total_count": len(entries)} | more)


def one(**changes: Any) -> ModelInfo:
    return read_listing(listed(FACTS | changes)).models[FLASH]


def test_an_entry_is_read_with_everything_that_is_needed() -> None:
    """Price per token as exact decimals, context, parameters, end."""
    assert one() == ModelInfo(
        FLASH,
        context_length=1_048_576,
        price=Price(Decimal("0.0000003"), Decimal("0.0000025"), Decimal(0)),
        supported_parameters=frozenset({"max_tokens", "response_format", "structured_outputs"}),
        expiration_date=date(2026, 12, 1),
        max_completion_tokens=65_535,
        reasoning_mandatory=False,
    )


@pytest.mark.parametrize(
    "pricing",
    [
        None,
        [],
        {},
        {"prompt": "0.1"},
        {"prompt": "-1", "completion": "-1"},
        {"prompt": "NaN", "completion": "0"},
        {"prompt": "Infinity", "completion": "0"},
        {"prompt": "1e9", "completion": "0"},
        {"prompt": "free", "completion": "0"},
        {"prompt": True, "completion": "0"},
        {"prompt": "0", "completion": "0", "request": "-1"},
        {"prompt": "0" * 100, "completion": "0"},
        {"prompt": ["0"], "completion": "0"},
        {"prompt": "0.1", "completion": "0.1", "overrides": ["x"]},
        {"prompt": "0.1", "completion": "0.1", "overrides": [{"prompt": "-1"}]},
    ],
)
def test_a_price_that_is_not_plain_is_unknown(pricing: object) -> None:
    """Never zero and never a part of it; the rest of the entry stands."""
    assert one(pricing=pricing).price is None
    assert one(pricing=pricing).context_length == 1_048_576


def test_of_several_prices_the_highest_counts() -> None:
    """A long prompt, or the busy time of day, may cost more: the bound must hold then too."""
    pricing = {"prompt": "0.1", "completion": 0.2, "overrides": [{"min": 200_000, "prompt": "0.3"}, {}]}
    assert one(pricing=pricing).price == Price(Decimal("0.3"), Decimal("0.2"))
    assert one(pricing={"prompt": "0", "completion": "0"}).price == Price(Decimal(0), Decimal(0))


@pytest.mark.parametrize(
    ("pricing", "cache_write", "reasoning"),
    [
        ({"input_cache_read": "0.1", "input_cache_write": "0.2", "internal_reasoning": "0.3"}, "0.2", "0.3"),
        ({"input_cache_write": "0.2", "input_cache_write_1h": "0.4"}, "0.4", "0"),
        ({"input_cache_write": "0.2", "overrides": [{"input_cache_write": "0.5"}]}, "0.5", "0"),
        ({"internal_reasoning": "0.1", "overrides": {"internal_reasoning": 0.25}}, "0", "0.25"),
        ({"input_cache_write": None, "internal_reasoning": None}, "0", "0"),
        ({}, "0", "0"),
    ],
)
def test_the_prices_of_caches_and_thoughts_are_the_highest_listed(
    pricing: dict[str, object], cache_write: str, reasoning: str
) -> None:
    """Also of a cache that lasts longer, and of long prompts; they stay over a copy on disk."""
    info = one(pricing={"prompt": "0.01", "completion": "0.02", **pricing})
    assert info.price == Price(
        Decimal("0.01"), Decimal("0.02"), Decimal(0), Decimal(cache_write), Decimal(reasoning)
    )
    copy = write_listing(Listing({info.id: info}, as_of=NOW), "here")
    assert read_listing(copy).models[info.id].price == info.price


@pytest.mark.parametrize("odd", ["-1", "free", [], True, "nan", 2])
@pytest.mark.parametrize("name", ["input_cache_write", "input_cache_write_1h", "internal_reasoning"])
def test_a_price_of_caches_or_thoughts_that_is_none_makes_the_whole_unknown(name: str, odd: object) -> None:
    """A highest cost with a part missing would be too low."""
    assert one(pricing={"prompt": "0.01", "completion": "0.02", name: odd}).price is None


@pytest.mark.parametrize(
    "changes",
    [
        {"context_length": "big", "supported_parameters": "all", "expiration_date": 7},
        {"context_length": -1, "supported_parameters": {}, "expiration_date": "soon"},
        {"context_length": True, "supported_parameters": None, "expiration_date": "2026-13-01"},
        {"context_length": 2**60, "supported_parameters": 5, "expiration_date": []},
    ],
)
def test_a_field_of_the_wrong_kind_is_unknown(changes: dict[str, Any]) -> None:
    """And harms nothing else."""
    info = one(**changes, top_provider="x", reasoning=[1])
    assert (info.context_length, info.supported_parameters, info.expiration_date) == (None, None, None)
    assert info.price is not None


def test_entries_that_are_no_models_are_left_out() -> None:
    """Of two with one id the first stands; a local server's short entries are models too."""
    wrong: list[object] = [7, None, [], {"id": 3}, {"id": ""}, {"id": "x" * 300}, {"id": "a\nb"}]
    local = {"id": "llama3", "object": "model"}
    text = listed(*wrong, local, FACTS, FACTS | {"context_length": 1})
    models = read_listing(text).models
    assert list(models) == ["llama3", FLASH]
    assert models["llama3"] == ModelInfo("llama3")
    assert models[FLASH].context_length == 1_048_576


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"data": []}',
        '{"data": {}}',
        '{"data": [{"id": "a/b"}',
        '{"data": [{"id": "a/b"}, {"id": ]}',
        '{"data": [' + "[" * 100_000,
        '{"data": [{"id": "a/b", "x": "' + "y" * 70_000 + '"}]}',
        "<html>down</html>",
    ],
)
def test_a_list_that_is_not_whole_is_refused(text: str) -> None:
    """What is known stays rather than half of something new; an endless entry is not read to its end."""
    with pytest.raises(ValueError, match=r"list|entry"):
        read_listing(text)


def test_no_more_than_ten_thousand_models_are_kept() -> None:
    """A list without end does not fill the memory."""
    assert len(read_listing(listed(*({"id": f"m/{n}"} for n in range(10_500)))).models) == 10_000


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(sorted(FACTS)) | st.text(max_size=4), inner, max_size=4)
        ),
    )
)
def test_nothing_in_a_list_breaks_the_reading(entry: Any) -> None:
    """Any JSON value in the place of an entry, and in the place of each of its fields."""
    fields = [FACTS | {name: entry} for name in FACTS if name != "id"]
    assert FLASH in read_listing(listed(entry, FACTS, *fields)).models


def test_other_threads_get_their_turn_between_entries() -> None:
    """The list is never decoded in one go."""
    turns: list[int] = []
    read_listing(listed(*[FACTS] * 400), between=lambda: turns.append(1))
    assert len(turns) == 400


# Finding and warning


def filled(*entries: dict[str, Any], base_url: str = "http://127.0.0.1:1/v1") -> ModelCatalogue:
    """A catalogue whose server said this just now."""
    found = ModelCatalogue(base_url)
    found._listing = read_listing(listed(*entries), as_of=NOW)
    return found


def test_models_are_found_by_the_ids_that_are_in_use() -> None:
    """With the prefix of litellm or of the simulator; of a routing variant the price is not known."""
    known = filled(FACTS)
    for name in (FLASH, f"openrouter/{FLASH}", f"simulated/{FLASH}"):
        assert known.find(name) == one()
        assert known.price(name) == one().price
    variant = known.find(f"{FLASH}:nitro")
    assert variant is not None
    assert variant.supported_parameters == one().supported_parameters
    assert known.price(f"{FLASH}:nitro") is None
    assert known.find(f"{FLASH}:free") is None
    assert known.find("nobody:nitro") is None
    assert known.price("nobody/knows") is None
    assert ModelCatalogue().find(FLASH) is None


def test_models_that_end_or_are_unknown_are_warned_of() -> None:
    """Thirty days ahead, on the day, and for an id that is not offered; each once."""
    known = filled(FACTS, {"id": "a/stays"}, {"id": "a/later", "expiration_date": "2027-06-01"})
    names = [
        FLASH,
        FLASH,
        "a/stays",
        "a/later",
        "a/unknown",
        "openrouter/auto",
        "~google/gemini-flash-latest",
    ]
    ahead, unknown = known.warnings(names, date(2026, 11, 22))
    assert ahead == f"model {FLASH} will be gone from 2026-12-01 on, in 9 days; change llm.model"
    assert "a/unknown" in unknown
    assert "127.0.0.1:1" in unknown
    assert known.warnings([FLASH], date(2026, 10, 31)) == []
    assert len(known.warnings([FLASH], date(2026, 11, 1))) == 1
    assert "was announced to be gone" in known.warnings([FLASH], date(2026, 12, 1))[0]


PRICED = {"prompt": "0.0000001", "completion": "0.0000004"}
DEAD = "google/gemini-2.5-flash-preview-05-20"


def entry(name: str, **changes: Any) -> dict[str, Any]:
    return {"id": name, "pricing": PRICED, **changes}


@pytest.mark.parametrize(
    ("gone", "offered", "instead"),
    [
        (DEAD, [entry(DEFAULT_MODEL), entry("google/gemini-2.5-pro")], DEFAULT_MODEL),
        (f"openrouter/{DEAD}", [entry(DEFAULT_MODEL)], DEFAULT_MODEL),
        (f"simulated/{DEAD}", [entry(DEFAULT_MODEL)], DEFAULT_MODEL),
        (DEAD, [FACTS, entry("google/gemini-2.5-pro")], "google/gemini-2.5-pro"),
        (DEAD, [FACTS], None),
        (DEAD, [entry(DEFAULT_MODEL, pricing=None), FACTS], None),
        (DEAD, [entry(DEFAULT_MODEL, expiration_date="2026-12-10"), entry("google/x")], "google/x"),
        (DEAD, [entry(DEFAULT_MODEL, expiration_date="2020-01-01"), entry("z/other")], None),
        (DEAD, [entry(f"{DEFAULT_MODEL}:free"), entry("~google/gemini-flash-latest")], None),
        ("mistralai/small-2402", [entry("mistralai/large-3"), entry("mistralai/small-2603"), entry("a/b")],
         "mistralai/small-2603"),
        ("mistralai/small-2402", [entry("a/b"), entry(DEFAULT_MODEL)], DEFAULT_MODEL),
        ("mistralai/small-2402", [entry("a/b")], None),
        ("nobody", [entry("a/b"), entry(DEFAULT_MODEL)], DEFAULT_MODEL),
        ("llama3.1", [{"id": "qwen3:8b"}, {"id": "llama3.2:3b"}], "llama3.2:3b"),
        ("gpt-4", [{"id": "local-model"}], "local-model"),
        ("a/b", [entry("a/b")], None),
    ],
)  # fmt: skip
def test_a_successor_is_served_priced_and_stays(
    gone: str, offered: list[dict[str, Any]], instead: str | None
) -> None:
    """The one that is known for it, else the nearest name; never one that goes too, or has no price."""
    assert filled_at(NOW, *offered).successor(gone) == instead


def test_before_any_list_was_read_the_shipped_successors_are_known() -> None:
    """A first refusal may come before the server's list; of other models nothing is claimed then."""
    unread = ModelCatalogue("http://127.0.0.1:1/v1", wall_clock=NOW.timestamp)
    assert unread.successor(DEAD) == DEFAULT_MODEL
    assert unread.successor("mistralai/small-2402") is None


def test_a_warning_names_the_setting_that_names_the_model() -> None:
    """The general one, a fallback, a route, a shadow, a budget; the first of several."""
    config = LLMConfig(
        model="a/one", fallback_models=["a/two"], ensemble=["a/one", "a/three"],
        routes=[{"model": "a/four", "fallbacks": ["a/five"]}, {"ensemble": ["a/six"]}],
        shadow=[{"model": "a/seven"}],
        budgets=[{"per": "day", "usd": 1, "on_exceeded": "downgrade", "downgrade_to": "a/eight"}],
    )  # fmt: skip
    assert config.models_named == {
        "a/one": "llm.model", "a/two": "llm.fallback_models", "a/three": "llm.ensemble",
        "a/four": "llm.routes[0].model", "a/five": "llm.routes[0].fallbacks",
        "a/six": "llm.routes[1].ensemble", "a/seven": "llm.shadow[0].model",
        "a/eight": "llm.budgets[0].downgrade_to",
    }  # fmt: skip
    lines = filled(entry("a/served")).warnings(config.models_named, NOW.date(), config.models_named)
    assert [line.rpartition("; ")[2] for line in lines] == [
        f"change {setting} to a/served, which is served" for setting in config.models_named.values()
    ]


def test_what_is_gone_is_known_by_its_date_too() -> None:
    """Retired, missing from a whole list, or past its announced end; not what nobody knows."""
    known = filled(FACTS, entry("a/stays"))
    gone = [name for name in (FLASH, "a/stays", "a/unknown", DEAD) if known.is_gone(name, date(2026, 12, 1))]
    assert gone == [FLASH, "a/unknown", DEAD]
    assert not known.is_gone(FLASH, date(2026, 11, 30))
    assert not ModelCatalogue().is_gone("a/unknown", NOW.date())


async def test_what_is_said_about_models_is_said_again_when_it_changes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Gone, back, gone again by the server's list: told at the start, and at each change."""
    offered = [entry("a/other")]
    async with serving(lambda: web.Response(text=listed(*offered))) as (url, _):
        known = ModelCatalogue(url)
        watch = ModelWatch(known, {"a/mine": "llm.routes[0].model"}, today=NOW.date)
        watching = asyncio.create_task(watch.run())
        told: list[tuple[int, bool]] = []
        for names in (["a/other"], ["a/other"], ["a/mine"], ["a/other"], ["a/other", "a/mine2"]):
            offered[:] = [entry(name) for name in names]
            assert await known.refresh()
            for _ in range(3):
                await asyncio.sleep(0)  # the watch wakes up
            told.append((len(caplog.records), bool(watch.gone)))
        watching.cancel()
        await asyncio.wait([watching])
    assert told == [(1, True), (1, True), (1, False), (2, True), (3, True)]
    assert caplog.messages[1].endswith("change llm.routes[0].model to a/other, which is served")
    assert caplog.messages[2].endswith("change llm.routes[0].model to a/mine2, which is served")


def test_the_first_look_needs_no_network(caplog: pytest.LogCaptureFixture) -> None:
    """The shipped list knows the dead default of older files: its message stands before any request."""
    known = ModelCatalogue(wall_clock=NOW.timestamp)
    known.load_now()
    watch = ModelWatch(known, {DEAD: "llm.model", DEFAULT_MODEL: "llm.fallback_models"}, today=NOW.date)
    watch.look()
    assert list(watch.gone) == caplog.messages
    assert caplog.messages == [
        f"model {DEAD} is no longer served; change llm.model to {DEFAULT_MODEL}, which is served"
    ]


# The shipped copy and the cache


def filled_at(moment: datetime, *entries: dict[str, Any]) -> ModelCatalogue:
    """As ``filled``, with a clock that stands at ``moment``."""
    found = ModelCatalogue("http://127.0.0.1:1/v1", wall_clock=moment.timestamp)
    found._listing = read_listing(listed(*entries), as_of=moment)
    return found


def test_the_shipped_copy_knows_the_default_model_and_invents_nothing() -> None:
    """Its price is the published one; the dead default of old files is known to be gone."""
    shipped = read_shipped()
    price = shipped.models[DEFAULT_MODEL].price
    assert price is not None
    assert (price.prompt, price.completion) == (Decimal("0.0000003"), Decimal("0.0000025"))
    assert not shipped.complete
    known = ModelCatalogue()
    known.load_now()
    assert known.warnings([f"openrouter/{DEAD}"], NOW.date()) == [
        f"model openrouter/{DEAD} is no longer served; change llm.model to {DEFAULT_MODEL}, which is served"
    ]
    assert known.warnings(["somebody/new"], NOW.date()) == []
    local = ModelCatalogue("http://127.0.0.1:11434/v1")
    local.load_now()
    assert local.models == ()


def test_every_shipped_successor_is_served_priced_and_stays() -> None:
    """What the list recommends, it knows; nothing that goes is recommended."""
    shipped = read_shipped()
    known = ModelCatalogue(wall_clock=NOW.timestamp)
    known.load_now()
    assert shipped.retired <= shipped.successors.keys()
    for gone, successor in shipped.successors.items():
        assert known.successor(gone) == successor, gone
        assert known.warnings([successor], NOW.date()) == [], successor
        assert known.warnings([gone], NOW.date()), gone
    assert known.warnings([DEFAULT_MODEL], NOW.date()) == []
    for info in shipped.models.values():
        assert info.expiration_date is None or info.price is not None or info.id in shipped.successors


async def test_a_budget_in_dollars_holds_on_the_first_start_without_a_network() -> None:
    """The default model's price is known from the shipped list: requests pass until there is no room."""
    config = LLMConfig(budgets=[{"per": "day", "usd": 0.02}])
    known = ModelCatalogue(config.base_url)
    await known.load()
    ledger = MemoryLedger(config.budgets, known)
    request = SpendRequest(config.model, 2_000, config.max_tokens, {"ES": 1})
    amounts = [(await ledger.reserve(request)).reserved_usd for _ in range(3)]
    assert all(amount is not None and amount >= Decimal("0.0056") for amount in amounts)
    with pytest.raises(BudgetExceededError) as refused:
        await ledger.reserve(request)
    assert "price" not in str(refused.value)


def test_the_cache_survives_a_round_trip_and_belongs_to_one_server(tmp_path: Path) -> None:
    """Every field comes back; another server's prices are not taken for this one's."""
    url, other = "https://a.example/v1", "https://b.example/v1"
    listing = read_listing(
        listed(FACTS, {"id": "a/b", "pricing": {"prompt": "1E-7", "completion": "0"}}), as_of=NOW
    )
    file = cache_file(tmp_path / "deep" / "folder", url)
    write_cache(file, url, listing)
    assert read_cache(file, url) == listing
    assert read_cache(file, other) is None
    assert cache_file(tmp_path, url) != cache_file(tmp_path, other)
    assert [each.name for each in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b'{"data": [{"id": "a/b"}]}',
        b'{"source": "u", "as_of": "x", "data": [{"id": "a"}]}',
    ],
)
def test_a_damaged_cache_counts_as_none(tmp_path: Path, content: bytes) -> None:
    """Whatever stands in the file."""
    file = tmp_path / "models.json"
    file.write_bytes(content)
    assert read_cache(file, "u") is None
    assert read_cache(tmp_path, "u") is None
    assert read_cache(tmp_path / "missing", "u") is None


def test_a_cache_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    """Ten megabytes at most."""
    file = tmp_path / "models.json"
    file.write_text(write_listing(read_listing(listed(FACTS), as_of=NOW), "u") + " " * MOST_LISTING_BYTES)
    assert read_cache(file, "u") is None


# The server


class Clock:
    """Seconds since the epoch; ``sleep`` lets them pass at once, and ends the test's run after a number."""

    def __init__(self, naps: int = 0) -> None:
        self.now = NOW.timestamp()
        self.slept: list[float] = []
        self._naps = naps

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if len(self.slept) >= self._naps:
            raise asyncio.CancelledError


@asynccontextmanager
async def serving(answer: Callable[[], web.StreamResponse]) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """A server whose list of models is ``answer()``, and the requests that it got."""
    got: list[web.Request] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        got.append(request)
        return answer()

    app = web.Application()
    app.router.add_get("/v1/models", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1")), got


async def test_the_simulators_list_is_read_without_a_key_and_kept(tmp_path: Path) -> None:
    """Over real HTTP, into memory and onto the disk; the next program starts with it."""
    async with OpenRouterSimulator() as simulator:
        first = ModelCatalogue(simulator.base_url, cache_folder=tmp_path, wall_clock=Clock())
        await first.load()
        assert (first.models, first.as_of) == ((), None)
        assert await first.refresh()
        assert "Authorization" not in simulator.requests[-1].headers
    assert first.as_of == NOW
    assert len(first.models) > 10
    second = ModelCatalogue(simulator.base_url, cache_folder=tmp_path)
    await second.load()
    assert (second.models, second.as_of) == (first.models, NOW)
    info = second.find(FLASH)
    assert info is not None
    assert info.price == Price(Decimal("0.0000003"), Decimal("0.0000025"))
    assert info.expiration_date == date(2026, 12, 1)


async def test_it_is_asked_once_a_day_and_hourly_after_a_failure(tmp_path: Path) -> None:
    """Fresh, failing, failing, back: one warning for the outage."""
    bodies = iter(["ok", "down", "down", "ok"])

    def answer() -> web.StreamResponse:
        good = next(bodies) == "ok"
        return web.Response(text=listed(FACTS)) if good else web.Response(status=503)

    clock = Clock(naps=4)
    async with serving(answer) as (url, got):
        known = ModelCatalogue(url, cache_folder=tmp_path, wall_clock=clock, sleep=clock.sleep)
        with pytest.raises(asyncio.CancelledError):
            await known.run()
        assert clock.slept == [86_400, 3_600, 3_600, 86_400]
        assert len(got) == 4
        fresh = Clock(naps=1)
        fresh.now = clock.now - 82_800
        again = ModelCatalogue(url, cache_folder=tmp_path, wall_clock=fresh, sleep=fresh.sleep)
        with pytest.raises(asyncio.CancelledError):
            await again.run()
        assert len(got) == 4, "the copy on disk is an hour old"
        assert fresh.slept == [pytest.approx(82_800)]


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=500, text=listed(FACTS)),
        lambda: web.Response(text="<html>"),
        lambda: web.Response(text=listed()),
        lambda: web.Response(status=302, headers={"Location": "/v1/elsewhere"}),
        lambda: web.Response(body=b" " * (MOST_LISTING_BYTES + 1)),
    ],
    ids=["error", "html", "empty", "redirect", "huge"],
)
async def test_a_bad_answer_leaves_what_is_known(
    answer: Callable[[], web.StreamResponse], caplog: pytest.LogCaptureFixture
) -> None:
    """With one warning for as long as it lasts."""
    async with serving(answer) as (url, _):
        known = filled({"id": "a/old"}, base_url=url)
        with caplog.at_level(logging.WARNING, catalogue.__name__):
            assert not await known.refresh()
            assert not await known.refresh()
        assert [info.id for info in known.models] == ["a/old"]
    assert len(caplog.records) == 1
    assert "2026-11-22 stays in use" in caplog.text


async def test_a_server_that_is_not_there_is_survived(unused_tcp_port: int) -> None:
    """A refused connection is a failure like any other."""
    assert not await ModelCatalogue(f"http://127.0.0.1:{unused_tcp_port}/v1").refresh()


async def test_a_server_that_hangs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole request is bounded, not only its parts."""
    monkeypatch.setattr(catalogue, "FETCH_SECONDS", 0.05)
    never = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/v1/models", hang)
    async with TestServer(app) as server:
        assert not await ModelCatalogue(str(server.make_url("/v1"))).refresh()
        never.set()


async def test_a_folder_that_takes_no_files_is_told_of_and_survived(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The list is there all the same."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    blocked.chmod(stat.S_IRUSR)
    async with serving(lambda: web.Response(text=listed(FACTS))) as (url, _):
        known = ModelCatalogue(url, cache_folder=blocked)
        with caplog.at_level(logging.WARNING, catalogue.__name__):
            assert await known.refresh()
    assert known.find(FLASH) is not None
    assert "cannot be kept" in caplog.text


async def test_files_and_long_lists_are_no_business_of_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading, decoding and writing all happen in other threads."""
    used: dict[str, int] = {}
    places = ((catalogue, "read_cache"), (Compatible, "read_models"), (catalogue, "write_cache"))
    for place, name in places:
        original = getattr(place, name)

        def noted(*values: Any, _original: Any = original, _name: str = name, **others: Any) -> Any:
            used[_name] = threading.get_ident()
            return _original(*values, **others)

        monkeypatch.setattr(place, name, noted)
    async with serving(lambda: web.Response(text=listed(FACTS))) as (url, _):
        known = ModelCatalogue(url, cache_folder=tmp_path)
        await known.load()
        assert await known.refresh()
    assert set(used) == {name for _, name in places}
    assert threading.get_ident() not in used.values()


def test_nothing_is_known_before_anything_was_read() -> None:
    """Without complaint about models that nobody could know."""
    empty = ModelCatalogue(DEFAULT_BASE_URL)
    assert empty.warnings([FLASH, "x/y"], NOW.date()) == []
    assert empty._listing == Listing()
