"""What is sent, and what is made of everything that may come back."""

from __future__ import annotations

import base64
import json
import time
from decimal import Decimal
from types import GeneratorType
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from pydantic import SecretStr

from llm_integration.calls import ChatRequest, Failed, RawReply, Reply, Usage
from llm_integration.config import LLMConfig
from llm_integration.errors import (
    CallError,
    ContentFilteredError,
    KeyRefusedError,
    LineStoppedError,
    ModelUnavailableError,
    NoCompletionError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    TruncatedError,
)
from llm_integration.fairness import ONE_SLICE_BYTES, at_once
from llm_integration.http_client.scrub import Scrubber
from llm_integration.llm_processor.wire import MESSAGE_TOKENS, estimate_tokens, prompt_tokens
from llm_integration.providers import Compatible, ErrorReader
from llm_integration.providers.replies import read_reply, reading_of
from tests.unit.provider_parts import decoded

KEY = "sk-or-v1-MARKERMARKERMARKER"
NOW = 1_743_600_000.0  # 2025-04-02 13:20 UTC
MIDNIGHT = 1_743_638_400.0
READER = ErrorReader(Scrubber(SecretStr(KEY)), lambda: NOW)
SERVER = Compatible("http://127.0.0.1:1/v1", SecretStr(KEY), wall_clock=lambda: NOW)


def raw(body: object, status: int = 200, **headers: str) -> RawReply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return RawReply(status, CIMultiDict(named), data)


def answer(content: object = "fine", *, usage: object = None, **choice: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **choice.pop("message", {})}
    return {
        "id": "gen-1-abc",
        "model": "google/gemini-2.5-flash",
        "provider": "Google",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message, **choice}],
        "usage": usage
        if usage is not None
        else {"prompt_tokens": 211, "completion_tokens": 15, "cost": 1.008e-4},
    }


def reply(body: object, **options: Any) -> Reply:
    outcome = decoded(SERVER, raw(body, **options))
    assert isinstance(outcome, Reply), outcome
    return outcome


def error(body: object, status: int = 200, **headers: str) -> CallError:
    outcome = decoded(SERVER, raw(body, status, **headers))
    assert isinstance(outcome, Failed), outcome
    return outcome.error


def envelope(code: object, message: str = "Provider returned error", **metadata: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "metadata": metadata}, "user_id": "user_x"}


# What is sent


def body_of(config: LLMConfig, prompt: str = "rate", system: str | None = "be brief") -> dict[str, Any]:
    request = ChatRequest(
        prompt, system, "a/b", 64, config.temperature, config.reasoning_effort, config.response_format
    )
    sent = SERVER.encode(request).body
    return dict(orjson.loads(sent))


def test_the_request_says_what_the_settings_say() -> None:
    """Model, messages, limits and format come from the arguments and the configuration."""
    config = LLMConfig(temperature=0.5, response_format="text", reasoning_effort="low")
    assert body_of(config) == {
        "model": "a/b",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "rate"}],
        "max_tokens": 64,
        "temperature": 0.5,
        "response_format": {"type": "text"},
        "stream": False,
        "reasoning": {"effort": "low"},
    }


def test_reasoning_and_system_message_are_left_out_when_not_set() -> None:
    """A server that knows neither is not confused by them."""
    body = body_of(LLMConfig(reasoning_effort=None), system=None)
    assert "reasoning" not in body
    assert [message["role"] for message in body["messages"]] == ["user"]


def test_a_lone_surrogate_in_the_prompt_is_replaced_not_fatal() -> None:
    """UTF-8 cannot carry it; the rest of the prompt goes out."""
    body = body_of(LLMConfig(), prompt="a\ud800b")
    assert body["messages"][1]["content"] == "a?b"


def test_the_estimate_is_the_prompt_at_most_and_the_longest_reply() -> None:
    """Three letters make a token, figures one each, and the frame around the messages takes some."""
    assert estimate_tokens("x" * 300, "y" * 30, 2_000) == 110 + MESSAGE_TOKENS + 2_000
    assert estimate_tokens("1.08345", None, 0) == 7 + MESSAGE_TOKENS
    assert estimate_tokens("", None, 16) == MESSAGE_TOKENS + 16


# Completions


def test_a_completion_is_read_with_everything_the_server_says() -> None:
    """Text, model, provider, id, tokens and the exact decimal cost."""
    outcome = reply(answer("hello"))
    assert outcome == Reply(
        "hello",
        "stop",
        "google/gemini-2.5-flash",
        "Google",
        "gen-1-abc",
        Usage(211, 15, 226, Decimal("0.0001008")),
    )


def test_the_generation_id_comes_from_the_header_if_the_body_has_none() -> None:
    """Some endpoints name it only there."""
    body = answer()
    del body["id"]
    outcome = decoded(SERVER, raw(body, x_generation_id="gen-2"))
    assert isinstance(outcome, Reply)
    assert outcome.generation_id == "gen-2"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("\n\nhello", "\n\nhello"),
        ([{"type": "text", "text": "a"}, {"type": "image"}, {"text": "b"}, "c", 5], "abc"),
        ("caf\u00e9 \U0001f600", "caf\u00e9 \U0001f600"),
        ("a\ud800b", "a\ufffdb"),
    ],
)
def test_content_is_text_or_a_list_of_parts(content: object, text: str) -> None:
    """Parts without text are skipped; a lone surrogate becomes the replacement character."""
    assert reply(answer(content)).text == text


def test_text_cut_by_the_token_limit_is_returned_as_it_is() -> None:
    """The parser may still find the rating in it."""
    outcome = reply(answer('{"rating": 4, "ana', finish_reason="length"))
    assert (outcome.text, outcome.finish_reason) == ('{"rating": 4, "ana', "length")


@pytest.mark.parametrize("finish", [None, "stop", "tool_calls", "something new"])
def test_any_finish_reason_but_the_failing_ones_is_accepted_with_text(finish: str | None) -> None:
    """Unknown values of an enum are no reason to lose a reply."""
    assert reply(answer("x", finish_reason=finish)).finish_reason == finish


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ("none", Usage()),
        ({}, Usage()),
        ({"prompt_tokens": -1, "completion_tokens": True, "total_tokens": 1e300, "cost": "1"}, Usage()),
        ({"total_tokens": 7.0, "cost": 0}, Usage(None, None, 7, Decimal(0))),
        ({"cost": -0.5}, Usage()),
        ({"cost": 1e9}, Usage()),
        ({"cost": float("nan")}, Usage()),
        ({"cost": True}, Usage()),
        ({"cost": 6.33e-05}, Usage(cost=Decimal("0.0000633"))),
        (
            {"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.25}},
            Usage(cost=Decimal("0.25")),
        ),
        (
            {"cost": 0.1, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.1}},
            Usage(cost=Decimal("0.1")),
        ),
    ],
)
def test_usage_is_believed_only_where_it_makes_sense(usage: object, expected: Usage) -> None:
    """A missing or absurd cost is unknown, never zero; the price of one's own key is added."""
    assert reply(answer(usage=usage)).usage._replace(warnings=()) == expected


def test_numbers_of_hundreds_of_digits_are_unknown_and_lose_no_reply() -> None:
    """The tolerant parser reads them as whole numbers that no float can hold."""
    huge = "9" * 400
    choices = '[{"message": {"content": "Fine.", "x": NaN}}]'
    body = f'{{"choices": {choices}, "usage": {{"cost": {huge}, "total_tokens": {huge}}}}}'
    outcome = decoded(SERVER, RawReply(200, CIMultiDict(), body.encode()))
    assert isinstance(outcome, Reply)
    assert (outcome.text, outcome.usage.cost, outcome.usage.total_tokens) == ("Fine.", None, None)


def test_padding_before_the_json_is_ignored() -> None:
    """The keep-alive units OpenRouter drips in front of a slow reply."""
    data = b"\n         \n" * 50 + json.dumps(answer("late")).encode()
    assert reply(data).text == "late"


def test_a_byte_order_mark_and_stray_bytes_do_not_lose_a_paid_reply() -> None:
    """Where the strict parser refuses, the tolerant one reads."""
    assert reply(b"\xef\xbb\xbf" + json.dumps(answer("x")).encode()).text == "x"
    assert reply(json.dumps(answer("x@y")).encode().replace(b"@", b"\xff")).text == "x\ufffdy"


# HTTP 200 that is none


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n         \n" * 63,
        b"<html><title>hello</title></html>",
        b'data: {"choices": []}\n\ndata: [DONE]',
        b"[]",
        b"null",
        b"17",
        b'{"choices": [',
        {},
        {"choices": None},
        {"choices": []},
        {"choices": "abc"},
        {"choices": [None]},
        {"id": None, "choices": None, "provider": answer()},
        answer(None),
        answer(""),
        answer(" \n\t"),
        answer([]),
        answer({"text": "x"}),
        {"choices": [{"message": None}]},
        {"choices": [{"finish_reason": "stop"}]},
    ],
)
def test_a_200_without_a_completion_is_retryable(body: object) -> None:
    """Empty, padding only, not JSON, no choices, no text: another attempt may bring one."""
    assert type(error(body)) is NoCompletionError


def test_no_reply_text_appears_in_the_error_of_an_unreadable_body() -> None:
    """What is no JSON may still hold the reply, which has no place in a log line."""
    text = str(error(b'{"choices":[{"message":{"content":"secret opinion"', Content_Type="text/plain"))
    assert "secret opinion" not in text
    assert "text/plain" in text


@pytest.mark.parametrize(
    ("body", "leaf", "status"),
    [
        ({"error": {"message": "Internal Server Error", "code": 500}, "user_id": "o"}, ServerError, 500),
        ({"id": "gen-1", "error": {"message": "Upstream error from Nvidia", "code": 502}}, ServerError, 502),
        ({"choices": None, **envelope(429, raw="Too Many Requests")}, RateLimitedError, 429),
        (envelope("429"), RateLimitedError, 429),
        (envelope("server_error"), ServerError, 500),
        (envelope("rate_limit_exceeded"), RateLimitedError, 429),
        (envelope("invalid_api_key"), KeyRefusedError, 401),
        (envelope("never heard of"), ServerError, 500),
        (envelope(None), ServerError, 500),
        (envelope(True), ServerError, 500),
        (envelope(-5), ServerError, 500),
        (envelope(10**30), ServerError, 500),
        (envelope([]), ServerError, 500),
        (envelope(None, error_type="timeout"), ServerError, 504),
        ({"error": {"http_status": 503, "message": "x"}}, ServerError, 503),
        ({"error": {"message": "x", "availability": {"code": "capacity_exhausted"}}}, RateLimitedError, 429),
        ({"error": "something broke"}, ServerError, 500),
        ({"error": ["odd"]}, ServerError, 500),
        (envelope(400, "Token limit reached"), RequestRejectedError, 400),
        (envelope(402, "Insufficient credits"), KeyRefusedError, 402),
        (envelope(502, "flagged for possible cybersecurity risk"), ContentFilteredError, 502),
        (answer("partial", finish_reason="error", error={"code": 502, "message": "cut"}), ServerError, 502),
        (answer("partial", finish_reason="error"), ServerError, 200),
        (answer("partial", error={"code": 429, "message": "x"}), RateLimitedError, 429),
    ],
)
def test_an_error_inside_a_200_is_classified_by_its_own_code(
    body: object, leaf: type[CallError], status: int
) -> None:
    """Number, digits, word, type, availability or nothing; partial text is never accepted."""
    found = error(body)
    assert (type(found), found.status) == (leaf, status)


def test_a_filtered_or_refused_reply_is_not_retried_as_empty() -> None:
    """content_filter and refusal are final for this prompt, and the refusal's text stays out of the error."""
    assert (
        type(error(answer("", finish_reason="content_filter", native_finish_reason="SAFETY")))
        is ContentFilteredError
    )
    assert type(error(answer("part", finish_reason="content_filter"))) is ContentFilteredError
    refused = error(answer(None, message={"refusal": "I will not judge EUR/USD"}))
    assert type(refused) is ContentFilteredError
    assert "EUR/USD" not in str(refused)


def test_a_budget_used_up_by_reasoning_names_the_settings() -> None:
    """finish_reason length without text."""
    found = error(answer("", finish_reason="length"))
    assert type(found) is TruncatedError
    assert "max_tokens" in str(found)
    assert "reasoning_effort" in str(found)


def test_a_failed_attempt_still_reports_what_it_cost() -> None:
    """Usage is read from failing bodies too."""
    outcome = decoded(SERVER, raw(answer("")))
    assert isinstance(outcome, Failed)
    assert outcome.usage.cost == Decimal("0.0001008")


# HTTP errors


@pytest.mark.parametrize(
    ("status", "body", "leaf"),
    [
        (400, envelope(400, "Invalid request parameters"), RequestRejectedError),
        (400, envelope(400, "x/y is not a valid model ID"), ModelUnavailableError),
        (400, envelope(400, error_type="content_policy_violation"), ContentFilteredError),
        (
            400,
            envelope(400, "Reasoning is mandatory for this endpoint and cannot be disabled"),
            RequestRejectedError,
        ),
        (401, envelope(401, "User not found."), KeyRefusedError),
        (402, envelope(402, "Insufficient credits."), KeyRefusedError),
        (402, envelope(402, "in flight", limit_source="openrouter_in_flight_budget"), RateLimitedError),
        (402, envelope(402, "x", reason="in_flight_budget_exhausted"), RateLimitedError),
        (402, envelope(402, "x", limit_source="openrouter_credits"), KeyRefusedError),
        (403, envelope(403, "Key limit exceeded (total limit)."), KeyRefusedError),
        (403, envelope(403, "flagged", reasons=["violence"], flagged_input="..."), ContentFilteredError),
        (403, envelope(403, "Blocked", patterns=["x"]), ContentFilteredError),
        (
            403,
            {"error": {"message": "r", "availability": {"code": "region_restricted"}}},
            ModelUnavailableError,
        ),
        (404, envelope(404, "No endpoints found for google/gone."), ModelUnavailableError),
        (
            404,
            {"error": {"message": "m", "availability": {"code": "model_deprecated"}}},
            ModelUnavailableError,
        ),
        (
            404,
            {"error": {"message": 'model "llama9" not found, try pulling it first'}},
            ModelUnavailableError,
        ),
        (404, {"message": "The model `x` does not exist."}, ModelUnavailableError),
        (
            404,
            envelope(404, "No endpoints found that can handle the requested parameters."),
            LineStoppedError,
        ),
        (404, envelope(404, "No endpoints found matching your data policy (x)."), LineStoppedError),
        (404, {"detail": "Not Found"}, LineStoppedError),
        (404, b"404 page not found", LineStoppedError),
        (405, b"", LineStoppedError),
        (301, b"", LineStoppedError),
        (307, b"", LineStoppedError),
        (408, envelope(408), ServerError),
        (413, envelope(413), RequestRejectedError),
        (422, envelope(422), RequestRejectedError),
        (418, b"", RequestRejectedError),
        (429, envelope(429), RateLimitedError),
        (429, b"error code: 1015", RateLimitedError),
        (500, envelope(500), ServerError),
        (502, b"<html><head><title>502 Bad gateway</title></head></html>", ServerError),
        (503, envelope(503), ServerError),
        (503, {"error": {"message": "x", "availability": {"retryable": False}}}, RequestRejectedError),
        (400, {"error": {"message": "x", "availability": {"retryable": True}}}, ServerError),
        (504, b"", ServerError),
        (524, b"<!DOCTYPE html>", ServerError),
        (529, envelope(529), ServerError),
        (599, b"\xff\xfe", ServerError),
    ],
)
def test_each_status_ends_in_its_leaf(status: int, body: object, leaf: type[CallError]) -> None:
    """The table of the documentation, with the statuses that mean several things."""
    found = error(body, status)
    assert (type(found), found.status) == (leaf, status)
    assert str(status) in str(found)


@pytest.mark.parametrize(
    ("status", "body", "advice"),
    [
        (401, envelope(401, "x"), "OPENROUTER_API_KEY"),
        (402, envelope(402, "x"), "max_tokens"),
        (
            404,
            envelope(404, "No endpoints found that can handle the requested parameters."),
            "response_format",
        ),
        (404, envelope(404, "No endpoints found matching your data policy."), "privacy"),
        (404, b"nothing here", "base_url"),
        (302, b"", "base_url"),
        (413, envelope(413), "lookback_periods"),
        (400, envelope(400, error_type="context_length_exceeded"), "lookback_periods"),
    ],
)
def test_what_the_trader_can_change_is_named(status: int, body: object, advice: str) -> None:
    """An error that a setting can cure names the setting."""
    assert advice in str(error(body, status))


@pytest.mark.parametrize(
    "raw_cause",
    [
        "the cause",
        '{"error": {"message": "the cause"}}',
        'data: {"error":{"message":"the cause"}}\n\n',
        {"error": {"message": "the cause", "code": 5}},
        {"message": "the cause"},
        {"detail": [{"msg": "the cause"}]},
        json.dumps(json.dumps({"message": "the cause"})).strip('"').replace('\\"', '"'),
        [{"error": "the cause"}],
    ],
)
def test_the_cause_is_unwrapped_from_metadata_raw(raw_cause: object) -> None:
    """Text, JSON in text, an SSE frame, objects: the message names provider and cause."""
    text = str(error(envelope(502, raw=raw_cause, provider_name="Alibaba"), 502))
    assert text == "[Alibaba] the cause (HTTP 502)"


@pytest.mark.parametrize("raw_cause", ["", None, 5, {}, [], {"error": {"error": {"error": {"error": {}}}}}])
def test_a_useless_raw_leaves_the_outer_message(raw_cause: object) -> None:
    """Nothing inside: the outer sentence stays."""
    assert "Provider returned error" in str(error(envelope(502, raw=raw_cause), 502))


def test_error_text_is_one_short_plain_line_without_the_key() -> None:
    """Terminal escapes, line breaks, direction marks and every form of the key are taken out."""
    nasty = (
        f"\x1b[2J\x1b]0;pwn\x07 line\nbreak\u202e \ud800 Bearer {KEY} {KEY} sk-other-12345678901 "
        + "x" * 5_000
    )
    text = str(error(envelope(500, nasty), 500))
    assert KEY not in text
    assert "sk-other" not in text
    assert len(text) <= 300
    assert text.isprintable()


def test_the_key_is_taken_out_of_whatever_else_the_server_sends() -> None:
    """Names, ids and the reply itself are stored, so they are searched too."""
    body = answer(f"your key is {KEY}")
    body |= {"model": KEY, "provider": f"x{KEY}", "id": f"{KEY}\n"}
    assert KEY not in repr(reply(body))


# Waits


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"Retry_After": "30"}, envelope(429), 30.0),
        ({"Retry_After": "1.5"}, envelope(429), 1.5),
        ({"Retry_After": "-4"}, envelope(429), 0.0),
        ({"Retry_After": "Wed, 02 Apr 2025 13:20:45 GMT"}, envelope(429), 45.0),
        ({"Retry_After": "Wed, 02 Apr 2025 10:00:00 GMT"}, envelope(429), 0.0),
        ({"Retry_After": "soon"}, envelope(429), None),
        ({"Retry_After": "nan"}, envelope(429), None),
        ({"Retry_After": "inf"}, envelope(429), None),
        ({"Retry_After": "9" * 400}, envelope(429), None),
        ({"Retry_After": "99999999"}, envelope(429), 86_400.0),
        ({}, envelope(429), None),
        ({"X_RateLimit_Reset": str(int((NOW + 20) * 1000))}, envelope(429, "free-models-per-min"), 20.0),
        ({}, envelope(429, headers={"X-RateLimit-Reset": str(int((NOW + 25) * 1000))}), 25.0),
        (
            {"X_RateLimit_Reset": str(int(MIDNIGHT * 1000))},
            envelope(429, "free-models-per-day"),
            MIDNIGHT - NOW,
        ),
        ({"X_RateLimit_Reset": "17"}, envelope(429), 17.0),
        ({}, envelope(429, "Rate limit exceeded: free-models-per-day-high-balance"), MIDNIGHT - NOW),
        ({}, {"error": {"message": "x", "availability": {"retry_after": 7}}}, 7.0),
        ({"Retry_After": "3"}, {"error": {"message": "x", "availability": {"retry_after": 7}}}, 7.0),
    ],
)
def test_the_wait_is_the_longest_that_the_server_names(
    headers: dict[str, str], body: object, expected: float | None
) -> None:
    """Seconds, dates, epoch milliseconds, availability, the free day; nonsense is no wait; a day at most."""
    assert error(body, 429, **headers).retry_after == expected


def test_only_a_passing_error_carries_a_wait() -> None:
    """503 and the 402 in flight wait; a refused key does not."""
    assert error(envelope(503), 503, Retry_After="9").retry_after == 9
    in_flight = envelope(402, limit_source="openrouter_in_flight_budget")
    assert error(in_flight, 402, Retry_After="2").retry_after == 2
    assert error(envelope(401), 401, Retry_After="9").retry_after is None


# Hostile bodies

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "choices",
                    "message",
                    "content",
                    "usage",
                    "cost",
                    "code",
                    "metadata",
                    "raw",
                    "provider",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@settings(deadline=None, max_examples=80)
@given(JSON, st.sampled_from([200, 204, 302, 400, 401, 402, 403, 404, 429, 500, 503]), st.text(max_size=20))
def test_no_body_raises_or_makes_an_unprintable_error(body: object, status: int, retry_after: str) -> None:
    """Any JSON with any status is a reply with text or a leaf with a plain line."""
    response = RawReply(status, CIMultiDict({"Retry-After": retry_after}), json.dumps(body).encode())
    outcome = decoded(SERVER, response)
    if isinstance(outcome, Reply):
        assert outcome.text.strip()
        outcome.text.encode()
    else:
        assert str(outcome.error).isprintable()
        assert len(str(outcome.error)) <= 400


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([200, 400, 502]))
def test_no_bytes_raise(body: bytes, status: int) -> None:
    """Rubbish is a failure, not a crash."""
    assert isinstance(decoded(SERVER, RawReply(status, CIMultiDict(), body)), Failed)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"a":' * 150_000,
        b"[" + b'{"a":1},' * 120_000 + b"1]",
        b"[" + b"[]," * 300_000 + b"1]",
        b'{"usage":{"cost":' + b"9" * 1_000_000 + b"}}",
        b" " * 1_048_576,
        b'"' + b"\\ud800" * 170_000 + b'"',
    ],
    ids=["brackets", "nested", "objects", "arrays", "digits", "blanks", "surrogates"],
)
def test_a_hostile_megabyte_does_not_hold_up_the_loop(body: bytes) -> None:
    """Bodies made to be slow are refused quickly (the bound is far above what is measured)."""
    started = time.process_time()
    assert type(error(body)) is NoCompletionError
    assert time.process_time() - started < 0.05


def test_a_long_honest_reply_is_read() -> None:
    """64 KB of any character is a reply, brackets and commas included."""
    for char in ("x", "[", "{", ",", '"', "\x00", "\u20ac"):
        assert reply(answer(char * 65_536)).text == char * 65_536


# What may be the highest cost


def test_the_highest_number_of_tokens_is_above_what_tokenizers_take() -> None:
    """A digit or a sign is a token of its own, three letters share one, other text counts its bytes."""
    assert prompt_tokens("1.08345", None) == 7 + MESSAGE_TOKENS
    assert prompt_tokens("a" * 99, None) == 33 + MESSAGE_TOKENS
    assert prompt_tokens("\u20ac" * 10, None) == 30 + MESSAGE_TOKENS
    assert prompt_tokens("x", "y" * 100) == 33 + prompt_tokens("x", None)
    assert prompt_tokens("\ud800", None) > MESSAGE_TOKENS


# Whose fault it is


@pytest.mark.parametrize(
    ("code", "details", "of_model"),
    [
        (502, {"provider_name": "Google"}, True),
        (502, {}, True),
        (500, {}, False),
        (500, {"provider_name": "Google"}, True),
        (429, {}, False),
        (429, {"provider_name": "Google"}, True),
        (429, {"limit_source": "upstream_provider_shared_pool"}, True),
        (429, {"limit_source": "openrouter_account"}, False),
        (402, {"limit_source": "openrouter_in_flight_budget"}, False),
        (401, {}, False),
        (400, {"provider_name": "Google"}, False),
    ],
)
def test_a_fault_of_the_model_is_told_from_one_of_the_line(
    code: int, details: dict[str, Any], of_model: bool
) -> None:
    """A provider that fails or limits is the model's; key, account and OpenRouter's own faults are not."""
    outcome = decoded(SERVER, raw(envelope(code, **details), code))
    assert isinstance(outcome, Failed)
    assert outcome.of_model is of_model


@pytest.mark.parametrize(
    ("body", "of_model"),
    [
        ({"choices": []}, True),
        ({"error": {"code": 500, "message": "Internal Server Error"}}, True),
        (b" \n ", True),
        (b"<html>login</html>", False),
    ],
)
def test_a_200_without_a_completion_is_the_models_fault(body: Any, of_model: bool) -> None:
    """Unless it is not the API at all that answers."""
    outcome = decoded(SERVER, raw(body, 200))
    assert isinstance(outcome, Failed)
    assert outcome.of_model is of_model


# The quick ways are the slow ones


NAMES = st.one_of(
    st.none(),
    st.integers(),
    st.sampled_from(["", "stop", "Google AI Studio", KEY, KEY[:9], KEY[9:], "a" * 199, "a\nb", "\u202ename"]),
    st.text(max_size=30),
)


@given(st.lists(NAMES, min_size=4, max_size=4))
def test_names_read_together_are_the_names_read_one_by_one(values: list[object]) -> None:
    """Also where one is missing, blank, long, unprintable or holds the key, or two make the key together."""
    assert READER.scrub.names(values) == [READER.scrub.name(value) for value in values]


@given(
    st.text(alphabet="a\ud800\udbff\udc00\udfff\ud83d\ude00\u00e9\u65e5\U0001f600\ufffd\ufeff", max_size=12)
)
def test_surrogates_end_as_the_codec_would_end_them(text: str) -> None:
    """Pairs become their character and each lone one U+FFFD."""
    slow = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert reply(answer(["x", text])).text == "x" + slow


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(answer("fine" * 9000)).encode(),
        b" " * 20_000 + json.dumps(answer()).encode(),
        json.dumps(answer("\ud800" * 9000)).encode(),
        json.dumps(answer("fine" * 9000, usage={"cost": float("nan")})).encode(),
        b"\xff" * 20_000,
        b" " * 70_000,
        b"null" + b" " * 20_000,
        b"[" * 60_000,
        b"[1," * 40_000,
        json.dumps(envelope(429, "slow down" * 4000)).encode(),
    ],
    ids=["text", "padded", "surrogates", "nan", "bytes", "padding", "null", "deep", "structure", "error"],
)
def test_a_long_reply_is_read_like_a_short_one(body: bytes) -> None:
    """Reading in steps ends as reading at once does."""
    short, in_steps = read_reply(raw(body), READER), at_once(reading_of(raw(body), READER))
    assert type(short) is type(in_steps)
    if isinstance(short, Failed) and isinstance(in_steps, Failed):
        assert repr(short.error) == repr(in_steps.error)
        assert (short.usage, short.of_model) == (in_steps.usage, in_steps.of_model)
    else:
        assert short == in_steps


def test_a_long_reply_is_read_in_steps() -> None:
    """Others have their turn between decoding and judging; a short one is read at once."""
    steps = SERVER.decode(raw(answer("fine" * 9000)))
    assert isinstance(steps, GeneratorType)
    next(steps)
    assert isinstance(at_once(steps), Reply)
    assert isinstance(SERVER.decode(raw(answer("f" * (ONE_SLICE_BYTES - 500)))), Reply)


def test_a_cost_too_large_for_any_number_is_unknown() -> None:
    """A count or a price of hundreds of digits is no price, and no reason to lose the reply."""
    body = json.dumps(answer("\ud800", usage={"cost": 0, "prompt_tokens": 0})).replace(
        ": 0", ": 1" + "0" * 400
    )
    assert reply(body.encode()).usage._replace(warnings=()) == Usage()


@pytest.mark.parametrize("before", ["", "a", "ab", "Bearer "])
@pytest.mark.parametrize("status", [400, 402, 429, 500, 503])
def test_the_key_in_disguise_is_in_no_error(before: str, status: int) -> None:
    """Reversed, in hexadecimal, in base64 at any offset: whoever echoes it gives nothing away."""
    told = (before + KEY + "xyz").encode()
    for disguise in (
        KEY[::-1],
        KEY.encode().hex(),
        KEY.encode().hex().upper(),
        base64.b64encode(told).decode(),
    ):
        text = str(error({"error": {"message": f"odd {disguise} here"}}, status))
        assert "odd" in text
        assert KEY[::-1][:16] not in text
        assert KEY.encode().hex()[4:40].lower() not in text.lower()
        for offset in range(3):
            assert base64.b64encode(b"0" * offset + KEY.encode()).decode()[8:24] not in text


@pytest.mark.parametrize("body", [{"error": {"message": "the secret is hunter2"}}, b"hunter2", ["hunter2"]])
@pytest.mark.parametrize("status", [401, 403, 407])
def test_nothing_of_a_refused_authentication_is_shown(status: int, body: object) -> None:
    """Not even scrubbed: the sentence is our own."""
    assert "hunter2" not in str(error(body, status))
