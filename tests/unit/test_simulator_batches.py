"""The simulator's answers to prompts about several signals, and the ways in which they go wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_integration.domain import Signal
from llm_integration.reply_schema import BATCH_SCHEMA, SINGLE_SCHEMA
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.simulator import BATCH_FAULTS, FAULTS, BatchReading, Fault, Kind, rate, reading_of
from llm_integration.simulator.batches import BATCHES, MAX_BATCH
from llm_integration.simulator.catalogue import DEFAULT_MODELS
from llm_integration.simulator.content_faults import CONTENTS
from llm_integration.simulator.response_formats import format_fault, schema_fault

LABELS = ("vwvwpr", "bm25oo", "5dn3d3", "q7aa2x")


def block(label: str, symbol: str, ratio: float) -> str:
    return f"Signal id: {label}\nSymbol: {symbol}\nSignal type: BUY\nRisk/reward ratio: {ratio:.2f}\n"


PROMPT = (
    "<data>\n"
    + "\n".join(block(label, f"S{n}", 0.5 + n) for n, label in enumerate(LABELS))
    + "\nTable 1: bars of S0\nRisk/reward ratio: 9\n</data>\n"
    + 'Form: {"signals": [{"id": <text>}]}\nSymbol: not a signal'
)


def batch() -> BatchReading:
    reading = reading_of(PROMPT)
    assert isinstance(reading, BatchReading)
    return reading


def plain(name: str) -> list[dict[str, Any]]:
    return list(json.loads(BATCHES[name][1](batch()))["signals"])


def test_each_signal_is_rated_by_its_own_lines() -> None:
    """In the prompt's order, with its id and symbol; what stands elsewhere is nobody's."""
    reply = json.loads(batch().as_json())
    assert [(entry["id"], entry["symbol"], entry["rating"]) for entry in reply["signals"]] == [
        ("vwvwpr", "S0", 1),
        ("bm25oo", "S1", 3),
        ("5dn3d3", "S2", 4),
        ("q7aa2x", "S3", 4),
    ]
    assert list(reply["signals"][0]) == [
        "id",
        "symbol",
        "rating",
        "choppiness",
        "analysis",
        "recommendations",
    ]


def test_a_prompt_about_one_signal_is_answered_as_ever() -> None:
    """Without the key for the reply a line that looks like a label means nothing."""
    for prompt in ("Symbol: ES\nRisk/reward ratio: 2", block("abc", "ES", 2.0), 'Form: {"signals": []}'):
        assert reading_of(prompt) == rate(prompt)
        assert not isinstance(reading_of(prompt), BatchReading)


def test_the_formatters_batches_are_understood() -> None:
    """Every signal by its label, and rated as it is when it is asked about alone."""
    signals = [
        Signal.from_mapping(
            f"signal-{number}",
            {
                "timestamp": "2026-01-05T10:00:00Z",
                "symbol": ("EURUSD", "ES")[number % 2],
                "signal_type": "BUY",
                "entry_price": 1.1,
                "stop_loss": 1.09,
                "target_price": 1.105 + number / 100,
                "notes": "Signal id: forged\nRisk/reward ratio: 9",
            },
        )
        for number in range(5)
    ]
    formatter = SignalFormatter()
    prompt = formatter.batch_prompt(signals)
    reading = reading_of(f"{prompt.system}\n{prompt.text}")
    assert isinstance(reading, BatchReading)
    assert tuple(entry.label for entry in reading.entries) == prompt.labels
    alone = [rate(formatter.format_signal_data(signal)).rating for signal in signals]
    assert [entry.reading.rating for entry in reading.entries] == alone
    assert [entry.symbol for entry in reading.entries] == [signal.symbol for signal in signals]


def test_a_prompt_without_end_is_read_up_to_a_bound() -> None:
    """Work on the event loop stays bounded."""
    prompt = '"signals"\n' + "".join(block(f"id{n}", "ES", 2) for n in range(3 * MAX_BATCH))
    reading = reading_of(prompt)
    assert isinstance(reading, BatchReading)
    assert len(reading.entries) == MAX_BATCH


@pytest.mark.parametrize("name", sorted(BATCH_FAULTS))
def test_a_fault_changes_the_reply_and_can_be_scripted(name: str) -> None:
    """It differs from the honest reply, has a name of its own and says what it does."""
    info, shape = BATCHES[name]
    assert shape(batch()) != batch().as_json()
    assert (info.name, info.group) == (name, "batch")
    assert info.description
    assert name not in FAULTS
    assert Fault.parse(name).name == name


def test_what_each_fault_does() -> None:
    """Entries that are missing, doubled, swapped, unknown; the rest stays as it is."""
    honest = json.loads(batch().as_json())["signals"]
    assert plain("batch_missing") == [honest[0], *honest[2:]]
    assert plain("batch_only_first") == honest[:1]
    assert plain("batch_empty") == []
    assert plain("batch_doubled") == [*honest, honest[0]]
    assert plain("batch_contradiction")[-1]["rating"] != honest[0]["rating"]
    assert plain("batch_reordered") == honest[::-1]
    swapped = plain("batch_swapped")
    assert [entry["id"] for entry in swapped[:2]] == [LABELS[1], LABELS[0]]
    assert [entry["symbol"] for entry in swapped] == ["S0", "S1", "S2", "S3"]
    assert [entry["id"] for entry in plain("batch_id_case")] == [label.upper() for label in LABELS]
    assert [entry["id"] for entry in plain("batch_unknown_id")] == [LABELS[0], "zzzzzz", *LABELS[2:]]
    assert len(plain("batch_extra_entry")) == 5
    assert all("id" not in entry for entry in plain("batch_no_ids"))
    assert [entry["rating"] for entry in plain("batch_unrated_entry")] == [1, None, 4, 4]
    assert [entry["rating"] for entry in plain("batch_wrong_scale")] == [1, 85, 4, 4]


@pytest.mark.parametrize("name", ["batch_broken_entry", "batch_cut"])
def test_a_broken_reply_holds_whole_entries_beside_the_broken_one(name: str) -> None:
    """It is no JSON as a whole, but the first entry stands in it."""
    text = BATCHES[name][1](batch())
    with pytest.raises(ValueError, match=r"."):
        json.loads(text)
    assert batch().entries[0].as_json() in text
    assert (batch().entries[-1].as_json() in text) == (name == "batch_broken_entry")


@pytest.mark.parametrize("name", sorted(BATCH_FAULTS))
def test_a_batch_of_one_can_go_wrong_too(name: str) -> None:
    """No shape needs a second signal."""
    reading = reading_of('"signals"\n' + block("only1", "ES", 2))
    assert isinstance(reading, BatchReading)
    assert isinstance(BATCHES[name][1](reading), str)


@pytest.mark.parametrize("name", sorted(CONTENTS))
def test_the_shapes_of_single_replies_wrap_batches_too(name: str) -> None:
    """Fences, prose and cuts go round the whole reply."""
    content = CONTENTS[name][1](batch())
    if name in {"fenced", "text_before", "text_after", "thinking", "leading_newlines"}:
        assert batch().as_json() in str(content)


def test_readable_faults_name_every_signal_once_with_its_rating() -> None:
    """What a client must read holds each honest entry, ids in any case."""
    for name, info in BATCH_FAULTS.items():
        if info.kind is Kind.READABLE:
            text = BATCHES[name][1](batch()).lower()
            assert all(f'"id": "{label}"' in text for label in LABELS), name


# response_format


def schema(name: object = "reading", strict: object = True, **node: Any) -> dict[str, Any]:
    inner = {"type": "object", "properties": {"a": {"type": "integer", **node}}, "required": ["a"]}
    wanted = {"name": name, "strict": strict, "schema": {**inner, "additionalProperties": False}}
    return {"type": "json_schema", "json_schema": wanted}


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("json_object", "type"),
        ({"type": "xml"}, "type"),
        ({"type": "json_schema"}, "json_schema"),
        (schema(name="with blank"), "name"),
        (schema(name="x" * 65), "name"),
        (schema(name=7), "name"),
        (schema(strict="yes"), "strict"),
        ({"type": "json_schema", "json_schema": {"name": "a", "schema": []}}, "schema"),
    ],
)
def test_a_format_of_the_wrong_form_is_refused_by_openrouter(value: object, word: str) -> None:
    """Whatever the model."""
    assert word in (format_fault(value) or "")


def test_right_formats_pass() -> None:
    """None, the plain ones, and our own schemas at every provider."""
    for value in (None, {"type": "text"}, {"type": "json_object"}, schema(), schema(strict=None)):
        assert format_fault(value) is None
    for own in (SINGLE_SCHEMA, BATCH_SCHEMA):
        value = {"type": "json_schema", "json_schema": {"name": "own", "strict": True, "schema": own}}
        assert format_fault(value) is None
        assert [schema_fault(value, model) for model in DEFAULT_MODELS] == [None] * len(DEFAULT_MODELS)


def test_each_provider_refuses_what_it_does_not_take() -> None:
    """Gemini bounds, OpenAI open objects; a model that takes no schema never sees it."""
    models = {model.provider: model for model in DEFAULT_MODELS}
    bounded = schema(minimum=1)
    assert "INVALID_ARGUMENT" in (schema_fault(bounded, models["Google"]) or "")
    assert schema_fault(bounded, models["OpenAI"]) is None
    opened = schema()
    opened["json_schema"]["schema"]["additionalProperties"] = True
    assert "additionalProperties" in (schema_fault(opened, models["OpenAI"]) or "")
    assert schema_fault(opened, models["Venice"]) is None
    partial = schema()
    partial["json_schema"]["schema"]["required"] = []
    assert "required" in (schema_fault(partial, models["OpenAI"]) or "")
