"""Whether a request is sent, to which model, and when to ask again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_integration.budget import Allowed, Budget, Cost, Downgrade, Refuse, Spend, decide, rules_of
from llm_integration.budget.prices import Price, highest_cost
from llm_integration.budget.rules import folded, like_pattern, matches
from tests.unit.budget_parts import NOON, Prices, request

COST = Decimal("0.04")
"""What ``request()`` may cost at ``a/dear``; a tenth of it at ``a/cheap``."""


def decided(
    *budgets: Budget,
    spent: str = "0",
    reserved: str = "0",
    tokens: int = 0,
    now: datetime = NOON,
    **asked: Any,
) -> Allowed | Downgrade | Refuse:
    """The decision when every budget has the same sums."""
    rules = rules_of(budgets)
    spend = Spend(Decimal(spent), Decimal(reserved), tokens, 0)
    return decide(rules, {rule.scope: spend for rule in rules}, request(**asked), now, Prices())


def test_the_highest_cost_is_all_of_prompt_and_reply_and_the_fee() -> None:
    """Rounded up, never down."""
    price = Price(Decimal("0.0000000000003"), Decimal("0.00001"), Decimal("0.5"))
    assert highest_cost(price, request(prompt_tokens=1, max_tokens=2)) == Cost(Decimal("0.500020000001"), 3)


@pytest.mark.parametrize(
    ("cache_write", "reasoning", "cost"),
    [
        ("0", "0", "0.03"),  # no price of their own
        ("0.0000125", "0", "0.0325"),  # a quarter dearer than the prompt: in its place
        ("0.00002", "0", "0.04"),  # twice the prompt, for an hour
        ("0.000001", "0", "0.031"),  # the storage alone: on top
        ("0.00001", "0.00002", "0.03"),  # the same as the usual ones: no more than these
        ("0", "0.00006", "0.07"),
        ("0", "0.000005", "0.035"),
        ("0.0000125", "0.000005", "0.0375"),
    ],
)
def test_what_is_cached_or_thought_is_put_aside_at_its_own_price(
    cache_write: str, reasoning: str, cost: str
) -> None:
    """Nobody knows beforehand how much of a prompt is written to a cache, or of a reply is thought."""
    usual = Decimal("0.00001"), Decimal("0.00002"), Decimal(0)
    price = Price(*usual, Decimal(cache_write), Decimal(reasoning))
    assert highest_cost(price, request(prompt_tokens=1_000, max_tokens=1_000)).usd == Decimal(cost)


@pytest.mark.parametrize("price", [None, Price(Decimal(-1), Decimal(-1)), Price(Decimal("nan"), Decimal(1))])
def test_a_price_that_is_none_makes_the_cost_unknown(price: Price | None) -> None:
    """Never 0; OpenRouter lists -1 where the price depends on the model chosen."""
    assert highest_cost(price, request()) == Cost(None, 2_000)


def test_without_budgets_everything_is_allowed() -> None:
    """Also a model whose price nobody knows."""
    assert decided(model="x/unknown") == Allowed("x/unknown", Cost(None, 2_000))


@pytest.mark.parametrize(("spent", "fits"), [("0.96", True), ("0.960000000001", False)])
def test_a_request_fits_up_to_the_last_unit(spent: str, fits: bool) -> None:
    """Spent and put aside together may reach the budget and not pass it."""
    decision = decided(Budget(per="day", usd=1), spent=spent)
    assert isinstance(decision, Allowed if fits else Refuse)


def test_tokens_are_bounded_like_dollars() -> None:
    """A budget in tokens needs no price."""
    budget = Budget(per="day", tokens=10_000)
    assert isinstance(decided(budget, tokens=8_000, model="x/unknown"), Allowed)
    assert isinstance(decided(budget, tokens=8_001, model="x/unknown"), Refuse)


def test_an_unknown_price_has_no_room_in_a_budget_in_dollars_and_names_the_setting() -> None:
    """Waiting does not help; the user has to act."""
    decision = decided(Budget(per="day", usd=1, name="daily"), model="x/unknown")
    assert isinstance(decision, Refuse)
    assert decision.retry_after is None
    assert "price of x/unknown" in decision.reason
    assert "'daily'" in decision.reason
    assert "tokens in place of usd" in decision.reason


def test_a_refusal_says_what_stands_in_the_way() -> None:
    """One line with the budget, what is spent, what is put aside and what was asked for."""
    decision = decided(Budget(per="day", usd=1, name="daily"), spent="0.95", reserved="0.02")
    assert isinstance(decision, Refuse)
    assert decision.reason == (
        "budget 'daily' has no room: 1 USD, 0.95 spent, 0.02 put aside, this request may cost 0.04"
    )


@pytest.mark.parametrize(
    ("budget", "sums", "seconds"),
    [
        (Budget(per="day", usd=1), {"spent": "0.99"}, 12 * 3_600),
        (Budget(per="hour", usd=1), {"spent": "0.99"}, 3_600),
        (Budget(per="day", usd=1), {"spent": "0.5", "reserved": "0.5"}, 15),
        (Budget(per="day", usd="0.01"), {}, None),
        (Budget(per="day", tokens=100), {}, None),
        (Budget(per="day", usd=1, trading_hours="13:00-23:00"), {}, 3_600),
        (Budget(per="day", usd=1, trading_hours="02:00-22:00"), {"spent": "0.51"}, 0),
    ],
)
def test_a_refusal_says_when_there_may_be_room(
    budget: Budget, sums: dict[str, Any], seconds: float | None
) -> None:
    """With the next window, with the session, soon when requests are on their way, or never by itself."""
    decision = decided(budget, **sums)
    assert isinstance(decision, Refuse)
    if (
        seconds == 0
    ):  # half way through the session 52.5% are available; 0.55 are when 10.53 of 20 hours are over
        assert decision.retry_after == pytest.approx(10.526 * 3600 - 10 * 3600, rel=0.01)
    else:
        assert decision.retry_after == seconds


def test_the_longest_wait_counts_when_several_budgets_are_full() -> None:
    """There is room when all of them have it."""
    decision = decided(Budget(per="hour", usd=1), Budget(per="day", usd=1), spent="1")
    assert isinstance(decision, Refuse)
    assert decision.retry_after == 12 * 3_600


def test_a_full_budget_that_downgrades_sends_the_request_to_the_cheaper_model() -> None:
    """With the cheaper model's cost."""
    budget = Budget(per="day", usd=1, on_exceeded="downgrade", downgrade_to="a/cheap")
    decision = decided(budget, spent="0.97")
    assert isinstance(decision, Downgrade)
    assert (decision.model, decision.cost.usd) == ("a/cheap", Decimal("0.004"))
    assert [rule.budget for rule in decision.rules] == [budget]


def test_the_cheaper_model_must_fit_as_well() -> None:
    """A downgrade never breaks a budget, its own included."""
    budget = Budget(per="day", usd=1, on_exceeded="downgrade", downgrade_to="a/cheap")
    assert isinstance(decided(budget, spent="0.997"), Refuse)
    hard = Budget(per="day", usd=Decimal("0.98"), model="*cheap")
    assert isinstance(decided(budget, hard, spent="0.977"), Refuse)


def test_a_budget_of_one_model_lets_the_cheaper_one_go_on() -> None:
    """What the cheap model costs does not count in the budget of the dear one."""
    budget = Budget(per="day", usd=1, model="*/dear", on_exceeded="downgrade", downgrade_to="a/cheap")
    assert isinstance(decided(budget, spent="1"), Downgrade)
    assert isinstance(decided(budget, spent="1", model="a/cheap"), Allowed)


def test_a_downgrade_helps_when_the_cheaper_model_fits_where_the_dear_one_must_stop() -> None:
    """A budget that stops keeps out what does not fit, and the cheaper model does."""
    soft = Budget(per="day", usd=Decimal("0.99"), on_exceeded="downgrade", downgrade_to="a/cheap")
    assert isinstance(decided(soft, Budget(per="day", usd=1, symbol="ES"), spent="0.97"), Downgrade)


def test_a_budget_that_stops_is_stronger_than_one_that_downgrades() -> None:
    """When the cheaper model does not fit either, nothing is sent."""
    soft = Budget(per="day", usd=1, model="*/dear", on_exceeded="downgrade", downgrade_to="a/cheap")
    assert isinstance(decided(soft, Budget(per="day", usd=1, tokens=10**9), spent="1"), Refuse)


def test_two_budgets_that_send_each_other_s_model_away_end_in_a_refusal() -> None:
    """No circle runs forever."""
    there = Budget(per="day", usd=1, model="*/dear", on_exceeded="downgrade", downgrade_to="a/cheap")
    back = Budget(per="day", usd=1, model="*/cheap", on_exceeded="downgrade", downgrade_to="a/dear")
    assert isinstance(decided(there, back, spent="1"), Refuse)


def test_a_budget_that_warns_lets_everything_through() -> None:
    """And says that it is over, also about a price nobody knows."""
    budget = Budget(per="day", usd=1, on_exceeded="warn")
    for model in ("a/dear", "x/unknown"):
        decision = decided(budget, spent="5", model=model)
        assert isinstance(decision, Allowed)
        assert [rule.budget for rule in decision.over] == [budget]


@pytest.mark.parametrize(
    ("values", "asked", "counts"),
    [
        ({"symbol": "es*"}, {"symbols": {"ESZ6": 1}}, True),
        ({"symbol": "ES?"}, {"symbols": {"ES": 1}}, False),
        ({"symbol": "NQ"}, {"symbols": {"ES": 1}}, False),
        ({"symbol": "NQ"}, {"symbols": {"ES": 19, "NQ": 1}}, True),
        ({"model": "A/D*"}, {"model": "a/dear"}, True),
        ({"model": "b/*"}, {"model": "a/dear"}, False),
    ],
)
def test_a_budget_counts_only_what_it_names(
    values: dict[str, Any], asked: dict[str, Any], counts: bool
) -> None:
    """Patterns in any case; one matching signal of a batch is enough."""
    decision = decided(Budget(per="day", usd=1, **values), spent="1", **asked)
    assert isinstance(decision, Refuse if counts else Allowed)


def test_symbols_bear_their_share_of_a_batch() -> None:
    """Three of four signals: three quarters of the cost, rounded up."""
    (rule,) = rules_of([Budget(per="day", usd=1, symbol="ES")])
    assert rule.share(Cost(COST, 2_001), {"ES": 3, "NQ": 1}) == Cost(Decimal("0.03"), 1_501)
    assert rule.share_usd(Decimal("0.01"), {"ES": 1, "NQ": 2}) == Decimal("0.003333333334")
    assert rule.share_usd(Decimal("1e-13"), {"ES": 1}) == Decimal("1e-12")


def test_a_paced_budget_has_nothing_before_the_session() -> None:
    """Signals of the night do not use up the day."""
    budget = Budget(per="day", usd=1, trading_hours="13:30-20:00")
    assert isinstance(decided(budget), Refuse)
    assert isinstance(decided(budget, now=NOON + timedelta(hours=2)), Allowed)
    assert isinstance(decided(budget, spent="0.96", now=datetime(2026, 3, 11, 20, tzinfo=UTC)), Allowed)


@settings(deadline=None)
@given(text=st.text("aAéÉ*?%_\\[].", max_size=8), pattern=st.text("aAéÉ*?%_\\[].", max_size=6))
def test_patterns_know_stars_and_question_marks_and_nothing_else(text: str, pattern: str) -> None:
    """Agreed with another matcher, whose brackets are switched off."""
    expected = fnmatchcase(folded(text), re.sub(r"\[", "[[]", folded(pattern)))
    assert matches(folded(text), folded(pattern)) == expected


def test_a_hostile_symbol_cannot_make_matching_slow() -> None:
    """Twenty stars against a long text: backtracking over all of them would take for ever."""
    assert not matches("a" * 500 + "b", "*a" * 20 + "*c")


def test_patterns_for_the_database_escape_its_own_signs() -> None:
    """A percent sign in a symbol is a percent sign."""
    assert like_pattern(r"a%_\*?") == r"a\%\_\\%_"
