"""What a server says an attempt took: read where it can be read, believed where it can be true."""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from llm_integration.calls import UNKNOWN, Usage
from llm_integration.http_client.scrub import Scrubber
from llm_integration.llm_processor.believed import Doubts, Most, bounded
from llm_integration.providers.usage import read_usage

DATA = Path(__file__).parent.parent / "data"
SCRUB = Scrubber(SecretStr("sk-or-v1-secret-of-the-test"))
MOST = Most(1_000, 500, Decimal("0.01"))


def cases(name: str) -> list[Any]:
    """The cases of a file, named by what they are."""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [pytest.param(case, id=case["what"]) for case in map(json.loads, lines)]


def usage_of(values: dict[str, Any]) -> Usage:
    """A usage from JSON, in which costs are text."""
    cost = values.get("cost")
    return Usage(**{**values, "cost": None if cost is None else Decimal(cost)})


@pytest.mark.parametrize("case", cases("usage.jsonl"))
def test_what_the_server_says_is_read_where_it_makes_sense(case: dict[str, Any]) -> None:
    """Names of several servers are known; an odd value is unknown, never zero, and named once."""
    found = read_usage(case["body"], SCRUB)
    assert found._replace(warnings=()) == usage_of(case["expect"])
    if "warns" in case:
        assert [case["warns"] in warning for warning in found.warnings] == [True]


@pytest.mark.parametrize("body", [None, [], "x", {}, {"usage": []}, {"usage": None}])
def test_without_a_usage_everything_is_unknown(body: object) -> None:
    """No usage is no zero."""
    assert read_usage(body, SCRUB) == UNKNOWN


@pytest.mark.parametrize("case", cases("believed_usage.jsonl"))
def test_a_usage_is_believed_as_far_as_the_request_can_have_gone(case: dict[str, Any]) -> None:
    """1,000 bytes were sent, 500 tokens allowed, 0.01 USD put aside: no more counts."""
    usd = case.get("usd", "0.01")
    most = MOST._replace(usd=None if usd is None else Decimal(usd))
    said = usage_of(case["usage"])
    found = bounded(said, most, answered=case.get("answered", True))
    assert found._replace(warnings=()) == usage_of({**case["usage"], **case["expect"]})
    assert len(found.warnings) == case["warnings"]


COUNTS = st.none() | st.integers(0, 2**31 - 1)


@given(
    st.builds(
        Usage, COUNTS, COUNTS, COUNTS, st.none() | st.decimals(0, 10_000, places=6), COUNTS, COUNTS, COUNTS
    ),
    st.builds(Most, st.integers(1, 10**6), st.integers(1, 10**6), st.none() | st.decimals(0, 100, places=6)),
    st.booleans(),
)
def test_nothing_a_server_says_counts_beyond_the_request(said: Usage, most: Most, answered: bool) -> None:
    """Whatever is said, what counts is bounded, never more than was said, and what is lost is told."""
    found = bounded(said, most, answered=answered)
    assert (found.total_tokens or 0) <= most.prompt_tokens + most.completion_tokens
    assert (found.prompt_tokens or 0) <= min(said.prompt_tokens or 0, most.prompt_tokens)
    assert (found.completion_tokens or 0) <= min(said.completion_tokens or 0, most.completion_tokens)
    assert (found.cost or 0) <= min(said.cost or 0, most.cost)
    if found.cost != said.cost or found.prompt_tokens != said.prompt_tokens:
        assert found.warnings
    assert bounded(found, most, answered=answered) == found


def test_what_is_not_believed_is_logged_once_per_model(caplog: pytest.LogCaptureFixture) -> None:
    """A server that is always wrong is one line per model; few models are remembered."""
    doubts = Doubts()
    odd = bounded(Usage(cost=Decimal(9999)), MOST, answered=True)
    with caplog.at_level(logging.WARNING):
        for model in ("a/b", "a/b", "c/d", *(f"m/{number}" for number in range(1_000))):
            doubts.about(model, odd)
        doubts.about("fine", Usage(cost=Decimal("0.001")))
    lines = [record.getMessage() for record in caplog.records]
    assert sum("model a/b:" in line for line in lines) == 1
    assert "9999 USD" in lines[0]
    assert "0.01" in lines[0]
    assert len(lines) == 100
