"""Which response format is asked for, and when a server is understood to refuse it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson
import pytest

from llm_integration.calls import ChatRequest, ModelInfo
from llm_integration.providers.compatible import choose_form
from llm_integration.providers.formats import choose_format, response_format
from llm_integration.reply_schema import BATCH_SCHEMA, SINGLE_SCHEMA
from llm_integration.routing import CallPlan

PLAN = CallPlan("a/b", response_schema=SINGLE_SCHEMA)
PLAIN = CallPlan("a/b")


def listed_with(parameters: frozenset[str] | None) -> ModelInfo:
    return ModelInfo("a/b", supported_parameters=parameters)


def asked(plan: CallPlan, wanted: str, listed: ModelInfo | None) -> ChatRequest:
    return ChatRequest(
        "x", None, plan.model, 9, response_format=wanted, schema=plan.response_schema,
        schema_name=plan.schema_name, listed=listed,
    )  # fmt: skip


def chosen(wanted: str, plan: CallPlan, listed: ModelInfo | None, refused: Collection[str]) -> str:
    return choose_format(wanted, listed, refused, schema=plan.response_schema is not None)


def field(name: str, plan: CallPlan) -> dict[str, Any]:
    return response_format(name, plan.response_schema, plan.schema_name)


ALL = listed_with(frozenset({"structured_outputs", "response_format", "temperature"}))
OBJECT = listed_with(frozenset({"response_format"}))
NOTHING = listed_with(frozenset({"temperature"}))
UNSAID = listed_with(None)


@pytest.mark.parametrize(
    ("setting", "plan", "listed", "expected"),
    [
        ("auto", PLAN, ALL, "json_schema"),
        ("auto", PLAN, OBJECT, "json_object"),
        ("auto", PLAN, NOTHING, "text"),
        ("auto", PLAN, UNSAID, "json_object"),
        ("auto", PLAN, None, "json_object"),
        ("auto", PLAIN, ALL, "json_object"),
        ("auto", PLAIN, listed_with(frozenset({"structured_outputs"})), "json_object"),
        ("json_schema", PLAN, ALL, "json_schema"),
        ("json_schema", PLAN, None, "json_schema"),
        ("json_schema", PLAN, OBJECT, "json_object"),
        ("json_schema", PLAN, NOTHING, "text"),
        ("json_schema", PLAIN, None, "json_object"),
        ("json_object", PLAN, ALL, "json_object"),
        ("json_object", PLAN, NOTHING, "json_object"),
        ("text", PLAN, ALL, "text"),
    ],
)
def test_the_strictest_format_that_the_model_is_known_to_take(
    setting: str, plan: CallPlan, listed: ModelInfo | None, expected: str
) -> None:
    """By the setting, the plan's schema and the listing; unknown is trusted only when asked for by name."""
    assert chosen(setting, plan, listed, frozenset()) == expected


def test_what_was_refused_is_not_asked_for_again() -> None:
    """One step down each time, and text at the end."""
    assert chosen("auto", PLAN, ALL, {"json_schema"}) == "json_object"
    assert chosen("json_schema", PLAN, None, {"json_schema", "json_object"}) == "text"
    assert chosen("json_object", PLAN, None, {"json_object"}) == "text"


def test_the_schema_is_sent_strict_and_by_name() -> None:
    """As OpenRouter wants it; the other formats are their name alone."""
    assert field("json_schema", PLAN) == {
        "type": "json_schema",
        "json_schema": {"name": "signal_rating", "strict": True, "schema": SINGLE_SCHEMA},
    }
    assert field("json_object", PLAN) == {"type": "json_object"}
    assert field("text", PLAIN) == {"type": "text"}


def test_a_plan_for_a_batch_asks_for_a_batch() -> None:
    """Another schema under another name and more room; without a schema only the room changes."""
    batch = PLAN.for_batch(5_000)
    assert (batch.max_tokens, batch.response_schema, batch.model) == (5_000, BATCH_SCHEMA, "a/b")
    assert batch.schema_name != PLAN.schema_name
    assert PLAIN.for_batch(5_000) == CallPlan("a/b", max_tokens=5_000)


FORBIDDEN = {"minimum", "maximum", "exclusiveMinimum", "minItems", "maxItems", "$ref", "const", "format"}


@pytest.mark.parametrize("schema", [SINGLE_SCHEMA, BATCH_SCHEMA], ids=["single", "batch"])
def test_the_schemas_are_what_gemini_and_openai_take(schema: Any) -> None:
    """No bounds and references; of every object all keys are required and no others allowed."""

    def check(node: Any) -> None:
        if isinstance(node, dict):
            assert not FORBIDDEN & node.keys()
            if node.get("type") == "object":
                assert node["required"] == list(node["properties"])
                assert node["additionalProperties"] is False
            for value in node.values():
                check(value)

    check(schema)
    reading = schema["properties"].get("signals", {}).get("items", schema)["properties"]
    assert reading["choppiness"]["enum"] == ["yes", "no"]
    assert reading["rating"]["type"] == "integer"


# Chosen once, as long as nothing changes


@pytest.mark.parametrize("setting", ["auto", "json_schema", "json_object", "text"])
@pytest.mark.parametrize("plan", [PLAN, PLAIN, PLAN.for_batch(99)])
@pytest.mark.parametrize("listed", [None, ALL, OBJECT, NOTHING, UNSAID])
@pytest.mark.parametrize("refused", [set[str](), {"json_schema"}])
def test_a_kept_form_is_what_choosing_again_gives(
    setting: str, plan: CallPlan, listed: ModelInfo | None, refused: set[str]
) -> None:
    """Whatever else was asked for before, a form that still fits has the name and the bytes of a new one."""
    fresh = choose_form(asked(plan, setting, listed), refused)
    assert fresh.name == chosen(setting, plan, listed, refused)
    assert orjson.loads(orjson.dumps(fresh.field)) == field(fresh.name, plan)
    for other in (PLAN, PLAIN, PLAN.for_batch(5)):
        for known in (None, ALL, OBJECT):
            for no in (set[str](), {"json_schema"}, {"json_schema", "json_object"}):
                kept = choose_form(asked(other, setting, known), no)
                if kept.still_fits(asked(plan, setting, listed), refused):
                    assert kept.name == fresh.name
                    assert orjson.dumps(kept.field) == orjson.dumps(fresh.field)


def test_a_form_fits_until_plan_listing_or_refusals_change() -> None:
    """Each of them alone makes the choice new."""
    form = choose_form(asked(PLAN, "auto", ALL), set())
    assert form.still_fits(asked(PLAN, "auto", ALL), set())
    assert form.still_fits(asked(CallPlan("c/d", response_schema=SINGLE_SCHEMA), "auto", ALL), set())
    assert not form.still_fits(asked(PLAIN, "auto", ALL), set())
    assert not form.still_fits(asked(PLAN, "auto", OBJECT), set())
    assert not form.still_fits(asked(PLAN, "auto", ALL), {"json_schema"})
    assert not form.still_fits(asked(PLAN.for_batch(9), "auto", ALL), set())
    assert not form.still_fits(asked(PLAN, "json_object", ALL), set())
