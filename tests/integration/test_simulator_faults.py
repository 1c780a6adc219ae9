"""Every fault of the table over real HTTP: what arrives, and that the simulator outlives it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from llm_integration.simulator import FAULTS, SIMULATED_KEY, rate
from llm_integration.simulator.completion_faults import COMPLETIONS
from llm_integration.simulator.content_faults import CONTENTS, CUT_BY_LENGTH
from llm_integration.simulator.error_faults import ERRORS
from llm_integration.simulator.wire_faults import PAD
from tests.integration.simulator_parts import FLASH, PROMPT, Reply, StoppedSleep, Talk, talking

EXPECTED = rate(PROMPT)
BROKEN_OFF = sorted(
    {
        "closed_before_headers",
        "gzip_broken",
        "hang",
        "hang_after_headers",
        "hang_mid_body",
        "length_too_long",
        "length_too_short",
        "not_http",
        "pad_for_ever",
        "pad_then_abort",
        "reset_before_headers",
        "reset_mid_body",
    }
)
"""Faults that end the response before it is whole."""


def honest_rating(reply: Reply) -> int | None:
    """The rating that a strict client finds: 200, one choice without an error, plain JSON as content."""
    try:
        choice = reply.json["choices"][0]
        content = choice["message"]["content"]
        rating = json.loads(content)["rating"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
    failed = reply.status != 200 or "error" in choice or choice["finish_reason"] == "error"
    return None if failed or type(rating) is not int or not 1 <= rating <= 5 else rating


@pytest.fixture
def options() -> dict[str, Any]:
    """Everything that would take time takes none."""
    return {"sleep": StoppedSleep(), "hang_seconds": 2.0, "pad_interval_seconds": 0.5}


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_the_next_request_after_any_fault_is_answered(name: str, options: dict[str, Any]) -> None:
    """Whatever happened to one request, the simulator serves the next one on a client of the same pool."""
    async with talking(**options) as (simulator, talk):
        simulator.script(name)
        try:
            reply = await talk.chat()
        except aiohttp.ClientError:
            assert name in BROKEN_OFF
        else:
            assert name not in BROKEN_OFF
            if FAULTS[name].fails:
                assert honest_rating(reply) is None
        after = await talk.chat()
        assert simulator.counters[name] == 1
    assert honest_rating(after) == EXPECTED.rating


@pytest.mark.parametrize("name", BROKEN_OFF)
async def test_a_cut_response_is_an_error_of_the_client(name: str, options: dict[str, Any]) -> None:
    """None of them can be taken for a whole body."""
    async with talking(**options) as (_, talk):
        with pytest.raises(aiohttp.ClientError):
            await talk.chat(simulate=name)


@pytest.mark.parametrize("name", sorted(ERRORS))
async def test_an_error_status_is_never_200_and_says_why(name: str) -> None:
    """JSON errors carry a message and, where they have one, a code equal to the status; pages are HTML."""
    async with talking() as (_, talk):
        reply = await talk.chat(simulate=name)
    assert reply.status >= 400
    if name.endswith("_html") or name == "cloudflare_block":
        assert reply.headers["Content-Type"].startswith("text/html")
        return
    assert reply.error["message"]
    assert reply.error.get("code", reply.status) in (reply.status, "unsupported_value")
    assert reply.headers["X-Generation-Id"].startswith("gen-")


def test_every_status_of_the_table_is_there() -> None:
    """The documented statuses of the chat endpoint, and the two that only the types know."""
    known = {400, 401, 402, 403, 404, 408, 412, 413, 422, 429, 500, 502, 503, 504, 520, 524, 529}
    named = {
        int(word) for info, _ in ERRORS.values() for word in info.description.replace(",", " ").split()[:1]
    }
    assert named == known


async def test_the_two_402_are_told_apart_by_their_source() -> None:
    """Only the one for requests in flight passes, and it says when."""
    async with talking() as (_, talk):
        flight = await talk.chat(simulate="in_flight_budget:retry_after=3")
        credit = await talk.chat(simulate="weight_exceeds_budget")
    assert flight.headers["Retry-After"] == "3"
    assert flight.error["metadata"]["limit_source"] == "openrouter_in_flight_budget"
    assert "Retry-After" not in credit.headers
    assert credit.error["metadata"]["limit_source"] == "openrouter_credits"


async def test_retry_after_comes_in_every_spelling() -> None:
    """Seconds, an HTTP date that is not past, an hour, rubbish, none."""
    async with talking(clock=lambda: 1e9) as (_, talk):

        async def header(name: str) -> str | None:
            return (await talk.chat(simulate=name)).headers.get("Retry-After")

        seconds, date = (
            await header("rate_limited:retry_after=2"),
            await header("rate_limited_date:seconds=90"),
        )
        hour, rubbish = await header("rate_limited_hour"), await header("rate_limited_garbage")
        none = await header("rate_limited_bare")
    assert (seconds, hour, rubbish, none) == ("2", "3600", "soon", None)
    assert date is not None
    assert parsedate_to_datetime(date).timestamp() == 1e9 + 91


async def test_availability_errors_have_no_code() -> None:
    """As in the documentation: http_status and error_type stand directly under error."""
    async with talking() as (_, talk):
        reply = await talk.chat(simulate="capacity_exhausted:retry_after=4")
    assert "code" not in reply.error
    assert reply.error["http_status"] == reply.status == 429
    assert reply.error["availability"]["retryable"] is True
    assert reply.error["availability"]["retry_after"] == 4
    assert reply.headers["Retry-After"] == "4"


async def test_moderation_shows_a_hundred_characters_at_most() -> None:
    """Long prompts are cut in the middle."""
    async with talking() as (_, talk):
        reply = await talk.chat("a" * 300, simulate="moderation")
    flagged = reply.error["metadata"]["flagged_input"]
    assert len(flagged) <= 100
    assert "..." in flagged


EIGHT: dict[str, Callable[[Any], bool]] = {
    "error_in_200": lambda b: b["error"]["code"] == 500 and "choices" not in b,
    "late_error_in_200": lambda b: b["id"].startswith("gen-") and b["error"]["code"] == 502,
    "null_filled_error": lambda b: (
        b["choices"] is None and b["error"]["metadata"]["raw"] == "Too Many Requests"
    ),
    "choices_empty": lambda b: b["choices"] == [],
    "choices_null": lambda b: b["choices"] is None and "error" not in b,
    "nested_under_provider": lambda b: b["choices"] is None and len(b["provider"]["choices"]) == 1,
    "partial_with_error": lambda b: b["choices"][0]["error"]["code"] == 502,
    "content_null": lambda b: b["choices"][0]["message"]["content"] is None,
    "content_empty": lambda b: b["choices"][0]["message"]["content"] == "",
    "length_without_text": lambda b: b["choices"][0]["finish_reason"] == "length",
    "content_filter": lambda b: b["choices"][0]["finish_reason"] == "content_filter",
    "refusal": lambda b: bool(b["choices"][0]["message"]["refusal"]),
}


@pytest.mark.parametrize("name", sorted(EIGHT))
async def test_a_failing_200_has_its_recorded_shape(name: str) -> None:
    """Status 200 and a body that is no success."""
    async with talking() as (_, talk):
        reply = await talk.chat(simulate=name)
    assert reply.status == 200
    assert EIGHT[name](reply.json)


async def test_thinking_that_uses_up_everything_is_counted_and_billed() -> None:
    """reasoning_tokens equals max_tokens, and the cost is not zero."""
    async with talking() as (_, talk):
        usage = (await talk.chat(simulate="length_without_text", max_tokens=1_500)).json["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == usage["completion_tokens"] == 1_500
    assert usage["cost"] > 1_500 * 2.5e-6


@pytest.mark.parametrize("name", sorted(CUT_BY_LENGTH))
async def test_cut_contents_say_length(name: str) -> None:
    """finish_reason and its native spelling."""
    async with talking() as (_, talk):
        choice = (await talk.chat(simulate=name)).json["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("length", "MAX_TOKENS")


@pytest.mark.parametrize("name", sorted(CONTENTS))
async def test_content_shapes_arrive_as_they_were_made(name: str) -> None:
    """Nothing is lost on the way, not even NUL or a byte order mark."""
    async with talking() as (_, talk):
        reply = await talk.chat(simulate=name)
    assert reply.json["choices"][0]["message"]["content"] == CONTENTS[name][1](EXPECTED)


@pytest.mark.parametrize(
    "name", sorted(n for n, (info, _) in COMPLETIONS.items() if info.group == "odd" and info.rated)
)
async def test_harmless_oddities_hold_the_rating(name: str) -> None:
    """They differ from the ordinary body and still carry the same reply."""
    async with talking(clock=lambda: 1e9) as (_, talk):
        reply, plain = await talk.chat(simulate=name), await talk.chat()
    body = json.loads(reply.content.decode("utf-8-sig"))
    assert {**body, "id": ""} != {**plain.json, "id": ""} or reply.content.startswith(b"\xef\xbb\xbf")
    assert json.loads(body["choices"][0]["message"]["content"]) == EXPECTED.as_dict()


# Padding and network ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "ends_with"),
    [("pad_then_json", b"}"), ("pad_then_error", b"}"), ("pad_then_nothing", PAD)],
)
async def test_padding_comes_before_the_rest(name: str, ends_with: bytes) -> None:
    """Eleven bytes each, as many and as far apart as asked for."""
    sleep = StoppedSleep()
    async with talking(sleep=sleep, pad_interval_seconds=0.7) as (_, talk):
        reply = await talk.chat(simulate=f"{name}:pads=5")
    assert len(PAD) == 11
    assert reply.content.startswith(PAD * 5)
    assert reply.content.endswith(ends_with)
    assert sleep.asked == [0.7] * 5
    assert reply.status == 200


async def test_the_first_pad_arrives_before_the_reply_is_ready() -> None:
    """Status, headers and padding are sent at once, so that read timeouts are reset by every pad."""
    going_on = asyncio.Event()

    async def sleep(_: float) -> None:
        await going_on.wait()

    async with talking(sleep=sleep) as (simulator, _), aiohttp.ClientSession() as session:
        url = f"{simulator.base_url}/chat/completions"
        headers = {"Authorization": f"Bearer {SIMULATED_KEY}", "X-Simulate": "pad_then_json:pads=1"}
        body = {"messages": [{"role": "user", "content": PROMPT}]}
        async with session.post(url, json=body, headers=headers) as response:
            assert response.status == 200
            assert await asyncio.wait_for(response.content.readexactly(len(PAD)), 5) == PAD
            going_on.set()
            assert json.loads(await response.read())["choices"]


async def test_padding_for_ever_ends_with_the_hang_bound(options: dict[str, Any]) -> None:
    """2 seconds of pads half a second apart, then a reset."""
    async with talking(**options) as (_, talk):
        with pytest.raises(aiohttp.ClientError):
            await talk.chat(simulate="pad_for_ever")
    assert options["sleep"].asked == [0.5] * 4


async def test_a_dripping_reply_is_whole() -> None:
    """Piece by piece, nothing missing."""
    sleep = StoppedSleep()
    async with talking(sleep=sleep) as (_, talk):
        reply = await talk.chat(simulate="slow_drip:size=100,interval=0.25")
    assert honest_rating(reply) == EXPECTED.rating
    assert sleep.asked == [0.25] * -(-len(reply.content) // 100)


async def test_the_huge_body_is_huge_and_the_bomb_is_small_on_the_wire() -> None:
    """10 MB of JSON; 64 MB out of a few kilobytes of gzip."""
    async with talking() as (simulator, talk):
        huge = await talk.chat(simulate="huge_body")
        headers = {"Authorization": f"Bearer {SIMULATED_KEY}", "X-Simulate": "gzip_bomb"}
        body = {"messages": [{"role": "user", "content": PROMPT}]}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.post(f"{simulator.base_url}/chat/completions", json=body, headers=headers) as response,
        ):
            packed = await response.read()
    assert len(huge.content) > 10 * 1_048_576
    assert huge.json["choices"][0]["message"]["content"].isspace()
    assert len(packed) < 100_000


async def test_a_redirect_leads_to_a_place_that_remembers_the_key() -> None:
    """A client that follows it with its key is found out; ours asks with allow_redirects off."""
    async with talking() as (simulator, talk), aiohttp.ClientSession() as session:
        reply = await talk.chat(simulate="redirect")
        assert [entry.path for entry in simulator.requests] == ["/api/v1/chat/completions"]
        headers = {"Authorization": f"Bearer {SIMULATED_KEY}"}
        await session.post(reply.headers["Location"], headers=headers)
        told = simulator.requests[-1]
        elsewhere = await talk.chat(simulate="redirect:location=http://127.0.0.1:9/x,status=302")
    assert reply.status == 307
    assert (told.path, told.authorized) == ("/elsewhere", True)
    assert (elsewhere.status, elsewhere.headers["Location"]) == (302, "http://127.0.0.1:9/x")


async def test_wrong_types_and_codings_are_declared_as_such(options: dict[str, Any]) -> None:
    """text/plain, HTML, an event stream and gzip, each under status 200."""
    async with talking(**options) as (_, talk):
        replies = {
            name: await talk.chat(simulate=name)
            for name in ("text_plain", "html_200", "unasked_stream", "gzip")
        }
    types = {name: reply.headers["Content-Type"].partition(";")[0] for name, reply in replies.items()}
    assert types == {
        "text_plain": "text/plain",
        "html_200": "text/html",
        "unasked_stream": "text/event-stream",
        "gzip": "application/json",
    }
    assert replies["gzip"].headers["Content-Encoding"] == "gzip"
    assert honest_rating(replies["gzip"]) == honest_rating(replies["text_plain"]) == EXPECTED.rating


async def test_seeded_faults_come_with_their_probability() -> None:
    """A third each, and the rest ordinary; the counters say how often."""
    faults = {"fenced": 1 / 3, "bad_gateway": 1 / 3}
    async with talking(seed=3, faults=faults) as (simulator, talk):
        for _ in range(120):
            await talk.chat()
        counts = [simulator.counters[name] for name in ("fenced", "bad_gateway", "ok")]
    assert sum(counts) == 120
    assert all(25 <= count <= 55 for count in counts)


async def test_many_hanging_requests_do_not_delay_the_others() -> None:
    """A hundred stalled calls and an ordinary one beside them."""
    async with talking(hang_seconds=3_600) as (simulator, _):
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            talk = Talk(session, simulator)
            calls = [asyncio.create_task(talk.chat(simulate="hang", model=FLASH)) for _ in range(100)]
            await asyncio.wait_for(simulator.wait_for_requests(100), 10)
            reply = await asyncio.wait_for(talk.chat(), 5)
            await asyncio.wait_for(simulator.stop(), 2)
            await asyncio.gather(*calls, return_exceptions=True)
    assert honest_rating(reply) == EXPECTED.rating


async def test_heavy_bodies_go_out_in_slices() -> None:
    """While 10 MB are on their way the loop serves others between the slices."""
    turns = 0
    done = asyncio.Event()

    async def ticker() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    async with talking() as (_, talk):
        ticking = asyncio.create_task(ticker())
        await talk.chat(simulate="huge_body")
        done.set()
        await ticking
    assert turns > 160  # one turn for each 64 KB
