"""The settings of a budget, and what is said about wrong ones."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from llm_integration.budget import Budget


def test_a_budget_as_a_user_writes_it() -> None:
    """From JSON, with a pattern, trading hours and a cheaper model."""
    text = """{"per": "day", "usd": 2.5, "tokens": 1000000, "symbol": "ES*", "model": "google/*",
               "on_exceeded": "downgrade", "downgrade_to": "openrouter/google/x", "name": "futures",
               "trading_hours": "09:30-16:00", "timezone": "America/New_York"}"""
    budget = Budget(**json.loads(text))
    assert (budget.usd, budget.tokens, budget.label) == (Decimal("2.5"), 1_000_000, "futures")
    assert budget.downgrade_to == "google/x"


def test_an_amount_is_the_number_that_was_written() -> None:
    """0.1 is a tenth of a dollar and not its binary neighbour."""
    assert Budget(per="day", usd=json.loads("0.1")).usd == Decimal("0.1")


def test_settings_survive_saving_and_loading() -> None:
    """Nothing is lost between the file and the model."""
    budget = Budget(per="month", usd=Decimal("0.000001"), symbol="E?")
    assert Budget.model_validate_json(budget.model_dump_json()) == budget


def test_a_budget_without_a_name_describes_itself() -> None:
    """Messages name it by what it says."""
    assert Budget(per="hour", usd=5, tokens=2_000, symbol="ES*", model="a/*").label == (
        "5 USD and 2,000 tokens per hour, symbol ES*, model a/*"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"per": "week", "usd": 1}, "'hour', 'day' or 'month'"),
        ({"per": "day"}, "give usd, tokens or both"),
        ({"per": "day", "usd": 0}, "greater than 0"),
        ({"per": "day", "usd": -1}, "greater than 0"),
        ({"per": "day", "usd": "NaN"}, "finite"),
        ({"per": "day", "tokens": 0}, "greater than or equal to 1"),
        ({"per": "day", "tokens": 1.5}, "valid integer"),
        ({"per": "day", "usd": 1, "dollars": 2}, "unknown key 'dollars'"),
        ({"per": "day", "usd": 1, "symbl": "ES"}, "did you mean 'symbol'"),
        ({"per": "day", "usd": 1, "symbol": " "}, "should be a pattern"),
        ({"per": "day", "usd": 1, "timezone": "New York"}, "should be a time zone"),
        ({"per": "day", "usd": 1, "timezone": "../etc/passwd"}, "should be a time zone"),
        ({"per": "day", "usd": 1, "on_exceeded": "downgrade"}, "go together"),
        ({"per": "day", "usd": 1, "downgrade_to": "a/b"}, "go together"),
        ({"per": "day", "usd": 1, "trading_hours": "9-16"}, "HH:MM-HH:MM"),
        ({"per": "day", "usd": 1, "trading_hours": "09:30-09:30"}, "same minute"),
        ({"per": "month", "usd": 1, "trading_hours": "09:30-16:00"}, 'needs per "day"'),
        ({"per": "day", "usd": 1, "trading_hours": "09:30-16:00", "on_exceeded": "warn"}, "changes nothing"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_allowed(values: dict[str, Any], message: str) -> None:
    """The user reads what to change."""
    with pytest.raises(ValidationError, match=message):
        Budget(**values)
