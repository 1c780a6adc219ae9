"""What one call keeps of its prompt, and how much room its reply may get."""

from __future__ import annotations

import pytest

from llm_integration.llm_processor.call import Call
from llm_integration.llm_processor.wire import prompt_tokens
from llm_integration.prompts import estimated_tokens
from llm_integration.routing import CallPlan


def call(prompt: str, system: str | None = None) -> Call:
    plan = CallPlan("a/b")
    return Call(prompt, system, None, 0.0, plan, 1_000, 0.0, {}, plan.models)


def test_rate_limit_and_budget_count_the_prompt_alike() -> None:
    """Both put aside the estimate that prompts are shown with, and the limiter the reply besides."""
    asked = call("1.08345," * 10, "Rate it.")
    assert asked.prompt_tokens == prompt_tokens("1.08345," * 10, "Rate it.")
    assert asked.prompt_tokens >= estimated_tokens("1.08345," * 10) + estimated_tokens("Rate it.")
    assert asked.tokens == asked.prompt_tokens + 1_000


@pytest.mark.parametrize(("spare", "grows"), [(0, True), (-1, False)])
def test_a_reply_gets_twice_the_room_once_if_the_minute_has_it(spare: int, grows: bool) -> None:
    """The prompt counts as well."""
    asked = call("1" * 500)
    limit = asked.prompt_tokens + 2_000 + spare
    assert asked.grow(limit) is grows
    assert asked.max_tokens == (2_000 if grows else 1_000)
    assert not asked.grow(10**9) or not grows
