"""Routing rules: settings and their errors, each condition, first match, missing values, explanations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from llm_integration.config import LLMConfig, load_settings
from llm_integration.config.routes import Route, Shadow
from llm_integration.domain import Signal
from llm_integration.errors import ConfigError
from llm_integration.reply_schema import SINGLE_SCHEMA
from llm_integration.routing import CallPlan, RouteDefault, Router, router_for

DEFAULT = RouteDefault(
    CallPlan("a/default", ("a/spare",), max_tokens=500, response_schema={"type": "object"}), "house", ("x/1",)
)
SUNDAY = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)


def signal(**changes: Any) -> Signal:
    """A buy of ES with risk/reward 2 on a Sunday afternoon."""
    values: dict[str, Any] = {
        "signal_id": "s1",
        "timestamp": SUNDAY,
        "symbol": "ESZ6",
        "signal_type": "BUY",
        "entry_price": 100.0,
        "stop_loss": 99.0,
        "target_price": 102.0,
        "indicators": {"adx_14": 30.0, "rsi_14": None},
    }
    return Signal(**(values | changes))


def matches(when: dict[str, Any], *, backlog: int = 0, now: datetime | None = None, **changes: Any) -> bool:
    router = Router([Route.model_validate({"when": when, "model": "b/other"})], DEFAULT)
    return router.choose(signal(**changes), backlog=backlog, now=now).rule_name is not None


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, True),
        ({"symbol": "ES*"}, True),
        ({"symbol": "es??"}, True),
        ({"symbol": "ES"}, False),
        ({"symbol": "NQ*"}, False),
        ({"signal_type": "buy"}, True),
        ({"signal_type": "*sell*"}, False),
        ({"risk_reward_min": 2}, True),
        ({"risk_reward_min": 2.01}, False),
        ({"risk_reward_max": 2}, True),
        ({"risk_reward_max": 1.99}, False),
        ({"risk_reward_min": 1, "risk_reward_max": 3}, True),
        ({"indicator": {"adx_14": {"min": 25}}}, True),
        ({"indicator": {"adx_14": {"min": 25, "max": 29}}}, False),
        ({"time": "14:30-15:00"}, True),
        ({"time": "14:00-14:30"}, False),
        ({"time": "22:00-02:00"}, False),
        ({"time": "14:00-02:00"}, True),
        ({"time": "00:00-24:00", "weekday": ["sun"]}, True),
        ({"weekday": ["mon", "Friday"]}, False),
        ({"symbol": "ES*", "signal_type": "SELL"}, False),
        ({"symbol": "ES*", "signal_type": "BUY", "risk_reward_min": 2}, True),
    ],
)
def test_a_condition_matches_what_it_says(when: dict[str, Any], expected: bool) -> None:
    """Globs in any case, bounds with both ends, times with the end excluded, all of them together."""
    assert matches(when) is expected


@pytest.mark.parametrize(
    ("when", "changes"),
    [
        ({"symbol": "*"}, {"symbol": ""}),
        ({"signal_type": "*"}, {"signal_type": ""}),
        ({"risk_reward_max": 100}, {"stop_loss": None}),
        ({"risk_reward_min": 0}, {"stop_loss": 100.0}),
        ({"indicator": {"rsi_14": {"max": 100}}}, {}),
        ({"indicator": {"nobody": {"min": -1e9}}}, {}),
        ({"time": "00:00-24:00"}, {"timestamp": None}),
        ({"weekday": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]}, {"timestamp": None}),
    ],
)
def test_a_missing_value_matches_nothing(when: dict[str, Any], changes: dict[str, Any]) -> None:
    """Not even a condition that every value would meet."""
    assert not matches(when, **changes)


def test_the_backlog_is_held_against_its_bounds() -> None:
    """Both ends included; no backlog is 0."""
    assert [matches({"backlog_min": 5, "backlog_max": 9}, backlog=n) for n in (0, 4, 5, 9, 10)] == [
        False, False, True, True, False,
    ]  # fmt: skip
    assert matches({"backlog_max": 0})


def test_time_and_day_are_those_of_the_zone_that_is_named() -> None:
    """23:30 UTC on Sunday is 18:30 on Sunday in New York and Monday morning in Tokyo."""
    late = SUNDAY.replace(hour=23)
    assert matches({"time": "18:00-19:00", "timezone": "America/New_York"}, timestamp=late)
    assert matches({"weekday": ["mon"], "timezone": "Asia/Tokyo"}, timestamp=late)
    assert not matches({"weekday": ["mon"]}, timestamp=late)


def test_a_moment_that_is_given_goes_before_the_signals_own() -> None:
    """In any zone."""
    now = datetime(2026, 11, 24, 3, 0, tzinfo=timezone(timedelta(hours=5)))
    assert matches({"time": "22:00-22:01", "weekday": ["mon"]}, now=now)


def test_the_first_match_wins_and_the_settings_fill_the_rest() -> None:
    """What a rule leaves out is the default's; an empty list of fallbacks or ensemble is meant so."""
    rules = [
        Route.model_validate({"when": {"symbol": "NQ*"}, "model": "b/nq"}),
        Route.model_validate(
            {
                "name": "good",
                "when": {"symbol": "ES*"},
                "model": "openrouter/b/es",
                "fallbacks": [],
                "temperature": 0,
            }
        ),
        Route.model_validate({"prompt": "short", "max_tokens": 99, "ensemble": []}),
    ]
    router = Router(rules, DEFAULT)
    es = router.choose(signal())
    assert (es.rule_name, es.prompt, es.ensemble) == ("good", "house", ("x/1",))
    assert es.plan == CallPlan("b/es", (), 500, 0.0, {"type": "object"})
    other = router.choose(signal(symbol="CL"))
    assert (other.rule_name, other.prompt, other.ensemble) == ("route 3", "short", ())
    assert other.plan == CallPlan("a/default", ("a/spare",), 99, None, {"type": "object"})
    assert router.choose(signal(symbol="NQ")).plan.models == ("b/nq", "a/spare")
    assert router.models == ("a/default", "a/spare", "x/1", "b/nq", "b/es")
    assert router.prompts == ("house", "short")


def test_without_a_match_the_default_stands() -> None:
    """With its own plan, prompt and ensemble, and the reason."""
    choice = Router([Route.model_validate({"when": {"symbol": "NQ"}, "model": "b/nq"})], DEFAULT).choose(
        signal()
    )
    assert (choice.rule_name, choice.plan, choice.prompt) == (None, DEFAULT.plan, "house")
    assert choice.explanation == (
        "route 1: no (symbol ESZ6 does not match 'NQ')",
        "default: no rule matches",
    )
    assert Router([], DEFAULT).choose(signal()).explanation == ("default: there are no rules",)


def test_an_explanation_tells_of_every_rule() -> None:
    """Why each matched or not, also of those behind the chosen one."""
    rules = [
        {"name": "night", "when": {"time": "22:00-04:00"}, "model": "b/1"},
        {"name": "trend", "when": {"symbol": "ES*", "indicator": {"adx_14": {"min": 25}}}, "model": "b/2"},
        {"name": "weak", "when": {"indicator": {"rsi_14": {"max": 30}}}, "model": "b/3"},
        {"name": "rest", "model": "b/4"},
    ]
    reports = Router([Route.model_validate(rule) for rule in rules], DEFAULT).explain(signal())
    assert [report.line() for report in reports] == [
        "night: no (time 14:30 UTC does not lie in 22:00-04:00)",
        "trend: chosen (symbol ESZ6 matches 'ES*'; indicator adx_14 30 is at least 25)",
        "weak: no (indicator rsi_14 missing is not at most 30)",
        "rest: matches, but an earlier rule does too (no conditions)",
    ]
    assert [report.chosen for report in reports] == [False, True, False, False]


class Settings(BaseModel):
    """As the settings that hold the routes are read."""

    routes: list[Route] = Field(default_factory=list)
    shadow: Shadow | None = None


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"when": {"symbl": "ES*"}, "model": "a/b"}, "unknown key 'symbl' (did you mean 'symbol'?)"),
        ({"modl": "a/b"}, "unknown key 'modl' (did you mean 'model'?)"),
        (
            {"when": {"indicator": {"adx": {"mn": 1}}}, "model": "a/b"},
            "unknown key 'mn' (did you mean 'min'?)",
        ),
        ({"when": {"symbol": "ES*"}}, "changes nothing"),
        ({"when": {"indicator": {"adx": {}}}, "model": "a/b"}, "min, max or both"),
        ({"when": {"indicator": {"adx": {"min": 3, "max": 2}}}, "model": "a/b"}, "min 3 is above max 2"),
        ({"when": {"risk_reward_min": 3, "risk_reward_max": 2}, "model": "a/b"}, "nothing could match"),
        ({"when": {"backlog_min": 3, "backlog_max": 2}, "model": "a/b"}, "nothing could match"),
        ({"when": {"time": "9-17"}, "model": "a/b"}, "HH:MM-HH:MM"),
        ({"when": {"time": "09:00-25:00"}, "model": "a/b"}, "HH:MM-HH:MM"),
        ({"when": {"time": "09:00-09:00"}, "model": "a/b"}, "nothing could match"),
        ({"when": {"time": "09:00-10:00", "timezone": "Mars/Base"}, "model": "a/b"}, "time zone"),
        ({"when": {"timezone": "Asia/Tokyo"}, "model": "a/b"}, "changes nothing"),
        ({"when": {"weekday": ["caturday"]}, "model": "a/b"}, "no weekday"),
        ({"when": {"risk_reward_min": float("nan")}, "model": "a/b"}, "risk_reward_min"),
        ({"model": "  "}, "model id"),
        ({"model": "a/b", "max_tokens": 1}, "max_tokens"),
        ({"model": "a/b", "temperature": 3}, "temperature"),
    ],
)
def test_a_wrong_rule_is_one_line_that_says_where_and_what(rule: dict[str, Any], message: str) -> None:
    """The position of the rule, the key, and what is allowed; a misspelt key names the nearest."""
    with pytest.raises(ConfigError) as failure:
        load_settings(Settings, {"routes": [{"model": "a/b"}, rule]}, "config.json: llm")
    assert message in str(failure.value)
    assert "routes.1" in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    "shadow", [{}, {"share": 0.5}, {"model": "a/b", "share": 0}, {"prompt": "p", "share": 1.1}]
)
def test_a_shadow_that_compares_nothing_is_refused(shadow: dict[str, Any]) -> None:
    """It needs a model or a prompt, and a share above 0 and up to 1."""
    with pytest.raises(ConfigError, match="shadow"):
        load_settings(Settings, {"shadow": shadow}, "config.json: llm")


def test_settings_survive_a_round_trip() -> None:
    """Written out and read back they are the same rules, also those left out on purpose."""
    rule = {"when": {"weekday": "mon, tue", "time": "22:00-24:00", "timezone": "UTC"}, "model": "a/b"}
    settings = load_settings(Settings, {"routes": [rule, {"fallbacks": []}], "shadow": {"prompt": "p"}}, "x")
    again = load_settings(Settings, settings.model_dump(mode="json"), "x")
    assert again == settings
    assert Router(again.routes, DEFAULT).choose(signal()).plan.fallbacks == ()


@given(
    symbol=st.text(max_size=128),
    kind=st.text(max_size=20),
    pattern=st.text(min_size=1, max_size=128),
    prices=st.tuples(*[st.none() | st.floats(allow_nan=False)] * 3),
)
def test_no_signal_and_no_pattern_breaks_the_router(
    symbol: str, kind: str, pattern: str, prices: tuple[float | None, ...]
) -> None:
    """Text and prices from outside end in a choice, and choice and explanation agree."""
    entry, stop, target = prices
    odd = signal(
        symbol=symbol,
        signal_type=kind,
        entry_price=entry,
        stop_loss=stop,
        target_price=target,
        timestamp=None,
    )
    rules = [
        Route.model_validate({"when": {"symbol": pattern}, "model": "b/1"}),
        Route.model_validate({"when": {"risk_reward_min": 0, "signal_type": pattern}, "model": "b/2"}),
    ]
    router = Router(rules, DEFAULT)
    chosen = [report.rule for report in router.explain(odd) if report.chosen]
    name = router.choose(odd).rule_name
    assert chosen == ([] if name is None else [name])


def test_the_settings_make_the_router() -> None:
    """Model, fallbacks, prompt and ensemble of the settings are the default; replies follow a schema."""
    config = LLMConfig.model_validate(
        {
            "model": "openrouter/a/main",
            "fallback_models": ["a/spare"],
            "routes": [{"when": {"symbol": "ES*"}, "model": "b/es"}],
            "ensemble": ["x/1", "x/2", "x/1"],
            "prompt": "short",
        }
    )
    router = router_for(config)
    choice = router.choose(signal(symbol="CL"))
    assert choice.plan == CallPlan("a/main", ("a/spare",), response_schema=SINGLE_SCHEMA)
    assert (choice.prompt, choice.ensemble) == ("short", ("x/1", "x/2"))
    assert router.choose(signal()).plan.models == ("b/es", "a/spare")
    assert router.models == ("a/main", "a/spare", "x/1", "x/2", "b/es")
    assert router.ladders == (("a/main", "a/spare"), ("b/es", "a/spare"), ("x/1",), ("x/2",))


def test_a_ratio_that_is_three_on_paper_meets_a_bound_of_three() -> None:
    """1.10, 1.09 and 1.13 are three R, whatever binary fractions make of them."""
    prices: dict[str, Any] = {"entry_price": 1.10, "stop_loss": 1.09, "target_price": 1.13}
    assert matches({"risk_reward_min": 3}, **prices)
    assert matches({"risk_reward_max": 3}, **prices)
