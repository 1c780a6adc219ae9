"""What is learnt from a refusal, how a request looks then, and how long that is remembered."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import os
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.calls import ChatRequest, Refusal
from llm_integration.providers import Compatible
from llm_integration.providers.dialect import (
    PLAIN,
    Dialect,
    changes_for,
    is_change,
    kind_of,
    note,
)
from llm_integration.providers.learnt import KEEP_SECONDS, LearntDialects, dialect_file

URL = "http://localhost:1/v1"
SENT: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "rate this"}],
    "max_tokens": 2_000,
    "temperature": 0.0,
    "response_format": {"type": "json_object"},
    "stream": False,
    "reasoning": {"effort": "minimal"},
}
CHANGES = (
    "drop:temperature", "drop:response_format", "format:json_schema", "limit:max_completion_tokens",
    "max_tokens<=1024", "effort:low", "stream:true", "system:user", "drop:stream_options",
)  # fmt: skip


def found(
    text: str, *params: str, words: str = "", budget: bool = False, dialect: Dialect = PLAIN, **sent: Any
) -> tuple[str, ...]:
    refusal = Refusal(frozenset(words.split()), params, text.lower())
    return changes_for(refusal, {**SENT, **sent}, dialect, budget_holds=budget)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("Invalid request parameters", ()),
        ("the prompt speaks of temperature", ()),
        ("temperature is not supported", ("drop:temperature",)),
        (
            "`temperature` must be 1 for this model; max_tokens is fine",
            ("drop:temperature", "limit:max_completion_tokens"),
        ),
        ("temperature: only 1 is allowed when reasoning is on", ("drop:temperature",)),
        ("the upstream server does not support this", ()),
        ("stream_options is not supported", ()),
        ("max_tokens must be less than or equal to 1024", ("max_tokens<=1024",)),
        ("max_tokens must be less than 1025", ("max_tokens<=1024",)),
        ("max_tokens must be less than 2000", ("max_tokens<=1999",)),
        ("max_tokens must be at most 1,024", ("max_tokens<=1024",)),
        ("max_tokens range is [1,1024]", ("max_tokens<=1024",)),
        ("max_tokens must be at most 3", ("limit:max_completion_tokens",)),
        ("max_tokens is unknown to gpt-5-2025", ("limit:max_completion_tokens",)),
    ],
)
def test_what_a_text_refuses(text: str, changes: tuple[str, ...]) -> None:
    """Only what is named beside a word of refusal; the first, unless it is a list."""
    assert found(text) == changes


def test_the_servers_own_param_goes_before_its_text() -> None:
    """It names the field exactly, whatever else the text mentions."""
    assert found("temperature, reasoning and stream", "temperature") == ("drop:temperature",)
    assert found("x", "body.reasoning.effort", "reasoning.effort") == ("drop:reasoning",)
    assert found("x", "messages[0].content") == ()
    assert found("x", "model") == ()


def test_a_form_is_stepped_down_before_it_is_left_out() -> None:
    """A refused kind leads to the next looser one, a refused field to none at all."""
    schema = {"type": "json_schema", "json_schema": {}}
    assert found("response_format.json_schema is not supported", response_format=schema) == (
        "format:json_schema",
    )
    assert found("JSON mode is not supported") == ("format:json_object",)
    assert found("response_format is not supported", response_format={"type": "text"}) == (
        "drop:response_format",
    )
    assert found("Unknown field response_format") == ("drop:response_format",)
    assert found("", words="invalid_argument", response_format=schema) == ("format:json_schema",)
    assert found("No endpoints can handle the requested parameters", response_format=schema) == (
        "format:json_schema",
    )


def test_the_longest_reply_stays_bounded_while_a_budget_holds() -> None:
    """Renamed once, and then left out only without one."""
    renamed = Dialect(("limit:max_completion_tokens",))
    sent = {"max_completion_tokens": 2_000}
    body = {name: value for name, value in SENT.items() if name != "max_tokens"} | sent
    refusal = Refusal(frozenset(), ("max_completion_tokens",), "unknown parameter")
    assert changes_for(refusal, body, renamed, budget_holds=True) == ()
    assert changes_for(refusal, body, renamed, budget_holds=False) == ("drop:max_completion_tokens",)


@pytest.mark.parametrize(
    ("effort", "text", "change"),
    [
        ("minimal", "effort must be one of: low, medium, high", "effort:low"),
        ("minimal", "Supported values are: 'none' and 'default'.", "effort:none"),
        ("none", "Reasoning is mandatory and cannot be disabled", "effort:minimal"),
        ("high", "effort: supported values are low and medium", "effort:medium"),
        ("minimal", "reasoning is not supported", "drop:reasoning"),
    ],
)
def test_an_effort_gives_way_to_the_nearest_that_is_named(effort: str, text: str, change: str) -> None:
    """Upwards first, so that a model thinks no less than wanted."""
    assert found(f"reasoning: {text}", "reasoning", reasoning={"effort": effort}) == (change,)


def test_requests_look_as_the_dialect_wants() -> None:
    """Each change does what its note says, and nothing else changes."""
    for change in CHANGES:
        body = Dialect((change,)).applied(copy.deepcopy(SENT))
        assert body["model"] == "m"
        assert "rate this" in json.dumps(body["messages"])
        assert "be brief" in json.dumps(body["messages"])
    whole = Dialect(CHANGES).applied(copy.deepcopy(SENT))
    assert whole == {
        "model": "m",
        "messages": [{"role": "user", "content": "be brief\n\nrate this"}],
        "max_completion_tokens": 1_024,
        "stream": True,
        "reasoning": {"effort": "low"},
    }
    assert PLAIN.applied(copy.deepcopy(SENT)) == SENT


def test_a_request_is_built_in_the_dialect() -> None:
    """Also where a lone surrogate needs a second try."""
    server = Compatible(URL)
    request = ChatRequest("a\ud800b", "brief", "m", 64, 0.0, "low")
    for words in ("the system role is not supported", "reasoning is not supported"):
        refused = Refusal(frozenset(), (), words)
        assert server.adapt(server.encode(request), refused, bounded=True)
    sent = server.encode(request)
    body = orjson.loads(sent.body)
    assert sent.changes == ("system:user", "drop:reasoning")
    assert body["messages"] == [{"role": "user", "content": "brief\n\na?b"}]
    assert "reasoning" not in body


def test_of_two_values_for_one_thing_the_later_holds() -> None:
    """Drops and formats add up, the others replace each other."""
    dialect = Dialect(("effort:minimal", "max_tokens<=4096", "drop:seed"))
    after = dialect.with_changes(["effort:low", "max_tokens<=1024", "drop:stream", "format:json_schema"])
    assert set(after.changes) == {
        "effort:low", "max_tokens<=1024", "drop:seed", "drop:stream", "format:json_schema",
    }  # fmt: skip
    assert (after.most_tokens, after.refused_formats) == (1_024, frozenset({"json_schema"}))
    assert Dialect(("drop:response_format",)).refused_formats == {"json_schema", "json_object"}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_can_be_told_and_kept(change: str) -> None:
    """One line for people, and a word that a file may hold."""
    assert is_change(change)
    assert kind_of(change)
    assert "\n" not in note(change)
    assert len(note(change)) < 100


@pytest.mark.parametrize(
    "word",
    [
        "drop:model",
        "drop:messages",
        "drop:",
        "drop:A B",
        "effort:huge",
        "max_tokens<=0",
        "system:x",
        5,
        None,
        "",
    ],
)
def test_what_is_no_change_is_not_taken_from_a_file(word: object) -> None:
    """Whoever can write the file can at most make requests plainer."""
    assert not is_change(word)


@given(
    text=st.text(max_size=300) | st.sampled_from(["temperature unsupported; stream unknown; max_tokens > 7"]),
    params=st.lists(st.text(max_size=20) | st.sampled_from(list(SENT)), max_size=3),
    words=st.frozensets(st.text(max_size=20), max_size=3),
)
def test_no_text_breaks_the_rule_and_its_changes_cure_something(
    text: str, params: list[str], words: frozenset[str]
) -> None:
    """Every change is a known word that the dialect did not have, and it changes the request."""
    changes = changes_for(Refusal(words, tuple(params), text), SENT, PLAIN, budget_holds=True)
    for change in changes:
        assert is_change(change)
        body = Dialect((change,)).applied(copy.deepcopy(SENT))
        assert body != SENT or change.startswith("format:")
        assert {"max_tokens", "max_completion_tokens"} & body.keys()
    assert not set(changes) & set(changes_for(
        Refusal(words, tuple(params), text), SENT, Dialect(changes), budget_holds=True
    ))  # fmt: skip


# What is remembered


class Wall:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def book(folder: Path | None, wall: Wall, url: str = URL) -> LearntDialects:
    return LearntDialects(url, folder=folder, wall_clock=wall)


async def test_what_was_learnt_outlives_the_process_for_seven_days(tmp_path: Path) -> None:
    """The next start knows it; a week later it is tried again; another model or server is another matter."""
    wall = Wall()
    first = book(tmp_path, wall)
    assert first.learn("m", ["drop:stream", "drop:seed"]) == ("drop:stream", "drop:seed")
    assert first.learn("m", ["drop:seed"]) == ()
    states = [first.unsaved]
    await first.keep()
    assert [*states, first.unsaved] == [True, False]
    second = book(tmp_path, wall)
    assert second.of("m") is PLAIN
    await second.load()
    assert set(second.of("m").changes) == {"drop:stream", "drop:seed"}
    assert second.of("other") is PLAIN
    other = book(tmp_path, wall, "http://localhost:2/v1")
    await other.load()
    assert other.of("m") is PLAIN
    wall.now += KEEP_SECONDS - 1
    assert second.of("m").changes
    wall.now += 2
    assert second.of("m") is PLAIN
    assert second.learn("m", ["drop:seed"]) == ("drop:seed",)


async def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    """Neither overwrites what the other has learnt."""
    wall = Wall()
    one, two = book(tmp_path, wall), book(tmp_path, wall)
    one.learn("a", ["drop:stream"])
    two.learn("b", ["drop:seed"])
    await asyncio.gather(one.keep(), two.keep())
    one.learn("a", ["max_tokens<=4096"])
    await one.keep()
    third = book(tmp_path, wall)
    await third.load()
    assert set(third.learnt()) == {"a", "b"}
    assert await asyncio.to_thread(os.listdir, tmp_path) == [dialect_file(tmp_path, URL).name]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b'{"base_url": "x"}', b"[" * 100_000,
        b'{"base_url": "http://localhost:1/v1", "models": []}',
        b'{"base_url": "http://localhost:1/v1", "models": {"m": ["drop:stream"]}}',
        b'{"base_url": "http://localhost:1/v1", "models": {"m": {"drop:model": 1800000000, "rm -rf": 1}}}',
        b'{"base_url": "http://localhost:1/v1", "models": {"m": {"drop:stream": "soon", "drop:seed": NaN}}}',
        b'{"base_url": "http://localhost:1/v1", "models": {"m": {"drop:stream": 1900000000}}}',
        b'{"base_url": "http://elsewhere/v1", "models": {"m": {"drop:stream": 1800000000}}}',
    ],
)  # fmt: skip
async def test_a_damaged_file_is_as_good_as_none(content: bytes, tmp_path: Path) -> None:
    """Also one of another server, or written under a clock far ahead; the next write mends it."""
    dialect_file(tmp_path, URL).write_bytes(content)
    kept = book(tmp_path, Wall())
    await kept.load()
    assert kept.of("m") is PLAIN
    kept.learn("m", ["drop:temperature"])
    await kept.keep()
    again = book(tmp_path, Wall())
    again.load_now()
    assert again.of("m").changes == ("drop:temperature",)


async def test_a_folder_that_cannot_be_written_costs_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was learnt still holds to the end of the process."""
    (tmp_path / "file").write_text("")
    kept = book(tmp_path / "file", Wall())
    with caplog.at_level(logging.WARNING):
        await kept.load()
        for name in ("stream", "seed"):
            kept.learn("m", [f"drop:{name}"])
            await kept.keep()
    assert len(caplog.records) == 1
    assert len(kept.of("m").changes) == 2


def test_what_a_server_can_teach_is_bounded() -> None:
    """So many changes for a model, so many models."""
    kept = book(None, Wall())
    for number in range(1_100):
        kept.learn(f"m{number}", ["drop:stream"])
        kept.learn("m", [f"drop:x{'a' * number}"[:40]])
    assert len(kept.learnt()) <= 1_000
    assert len(kept.of("m").changes) <= 20
    assert not kept.unsaved
