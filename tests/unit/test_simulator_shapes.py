"""The fault table and its pure shapes: names, promises, parameters."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from llm_integration.simulator import FAULTS, Fault, Kind
from llm_integration.simulator.catalogue import (
    DEFAULT_MODELS,
    Catalogue,
    RetiredModelError,
    UnknownModelError,
)
from llm_integration.simulator.content_faults import CONTENTS
from llm_integration.simulator.exchange import Exchange, estimate_tokens
from llm_integration.simulator.ledger import Account, Quota
from llm_integration.simulator.rule import Reading, rate
from llm_integration.simulator.scripting import Script
from llm_integration.simulator.streaming import STREAM_FAULTS

READINGS = [rate(f"prompt {number}") for number in range(12)]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_fault_exists(kind: Kind) -> None:
    """No word of the table's vocabulary is dead."""
    assert any(info.kind is kind for info in FAULTS.values())


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_row_names_itself_and_says_what_a_client_must_make_of_it(name: str) -> None:
    """The key is the name, the description is not empty, and failing and rated exclude each other."""
    info = FAULTS[name]
    assert info.name == name
    assert str(info) == info.description != ""
    assert not (info.fails and info.rated)


@pytest.mark.parametrize("name", sorted(CONTENTS))
@pytest.mark.parametrize("reading", READINGS[:3])
def test_a_readable_shape_carries_the_rating_and_no_shape_is_the_plain_reply(
    name: str, reading: Reading
) -> None:
    """A shape differs from the ordinary reply; one that can be read holds the rule's rating in it."""
    info, shape = CONTENTS[name]
    content = shape(reading)
    assert content != reading.as_json()
    if info.rated:
        assert any(str(digit) in json.dumps(content) for digit in (reading.rating, 2 * reading.rating))


@pytest.mark.parametrize("name", sorted(name for name, (info, _) in CONTENTS.items() if info.rated is False))
def test_an_unreadable_shape_is_no_valid_rating_by_plain_json(name: str) -> None:
    """Read as strict JSON, an unreadable shape never gives one integer from 1 to 5 under "rating"."""

    def pairs(items: list[tuple[str, object]]) -> list[tuple[str, object]]:
        return items

    content = CONTENTS[name][1](READINGS[0])
    assert isinstance(content, str)
    try:
        parsed = json.loads(content, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return
    ratings = [value for key, value in parsed if key == "rating"]
    valid = [value for value in ratings if type(value) is int and 1 <= value <= 5]
    assert len(ratings) > 1 or not valid


def test_a_fault_takes_its_parameters_from_text() -> None:
    """name:key=value,key=value; numbers become numbers, defaults stay."""
    fault = Fault.parse("slow_drip:size=8,interval=0.5")
    assert fault == Fault("slow_drip", size=8, interval=0.5)
    assert Fault("slow_drip").params == {"size": 64, "interval": 0.01}
    assert Fault.parse("ok").name == "ok"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bad_gatway", "did you mean 'bad_gateway'"),
        ("hang:pads=3", "no parameter 'pads'"),
        ("pad_then_json:pads", "not key=value"),
        ("pad_then_json:pads=-1", "from 0 up"),
        ("pad_then_json:pads=nan", "from 0 up"),
        ("pad_then_json:interval=soon", "from 0 up"),
        ("", "no fault is called"),
    ],
)
def test_a_wrong_step_says_what_is_wrong(text: str, message: str) -> None:
    """Unknown names and parameters and impossible values are refused when the script is written."""
    with pytest.raises(ValueError, match=message):
        Fault.parse(text)


def test_a_script_with_one_wrong_step_takes_none() -> None:
    """A refused script leaves nothing behind."""
    script = Script({}, lambda: 0.0)
    with pytest.raises(ValueError, match="no fault"):
        script.append("fenced", "nonsense")
    assert len(script) == 0


def test_header_goes_before_marker_before_script_before_dice() -> None:
    """The first of the four that names a behaviour decides, and a named one leaves the script alone."""
    script = Script({"bom": 1.0}, lambda: 0.5)
    script.append("fenced")
    assert script.choose("hang", "[[simulate:refusal]]").name == "hang"
    assert script.choose(None, "text [[simulate:refusal]] text").name == "refusal"
    assert script.choose(None, "text [[simulate:unclosed").name == "fenced"
    assert script.choose(None, "text").name == "bom"


def test_dice_hit_each_fault_with_its_probability() -> None:
    """The interval from 0 to 1 is shared out in the order given; the rest is an ordinary answer."""
    rolls = iter([0.0, 0.19, 0.2, 0.49, 0.5, 0.99])
    script = Script({"fenced": 0.2, "hang": 0.3}, lambda: next(rolls))
    names = [script.choose(None, "").name for _ in range(6)]
    assert names == ["fenced", "fenced", "hang", "hang", "ok", "ok"]


@pytest.mark.parametrize("chances", [{"fenced": 1.1}, {"fenced": 0.6, "hang": 0.6}, {"fenced": -0.1}])
def test_impossible_probabilities_are_refused(chances: dict[str, float]) -> None:
    """Each lies between 0 and 1, and so does their sum."""
    with pytest.raises(ValueError, match="probabilities"):
        Script(chances, lambda: 0.0)


def test_stream_faults_can_be_scripted_but_are_no_failing_shapes() -> None:
    """They stand in a table of their own, since a plain request does not notice them."""
    assert not STREAM_FAULTS.keys() & FAULTS.keys()
    assert {Fault(name).name for name in STREAM_FAULTS} == set(STREAM_FAULTS)


def test_ids_are_found_with_prefix_variant_and_alias() -> None:
    """simulated/, :nitro and aliases lead to the listed model; unknown is told from retired."""
    catalogue = Catalogue(DEFAULT_MODELS, ["google/old"])
    flash = catalogue.find("google/gemini-2.5-flash")
    assert catalogue.find("simulated/google/gemini-2.5-flash") is flash
    assert catalogue.find("google/gemini-2.5-flash:nitro") is flash
    assert catalogue.find("simulated/own-name") is catalogue.default
    assert catalogue.find("~google/gemini-flash-latest").id == "google/gemini-3.8-flash"
    for name in ("google/old", "simulated/google/old"):
        with pytest.raises(RetiredModelError):
            catalogue.find(name)
    for name in ("nobody/nothing", "openrouter/google/gemini-2.5-flash", "gemini-2.5-flash", "simulated/"):
        with pytest.raises(UnknownModelError):
            catalogue.find(name)


def test_cost_is_exactly_tokens_times_price() -> None:
    """The recorded exchange of the real service: 211 tokens in, 15 out, 0.0001008 USD."""
    flash = Catalogue(DEFAULT_MODELS).find("google/gemini-2.5-flash")
    assert flash.cost(211, 15) == (Decimal("0.0000633"), Decimal("0.0000375"))
    assert float(sum(flash.cost(211, 15))) == 0.0001008


@pytest.mark.parametrize(
    ("max_tokens", "effort", "finish", "empty"),
    [
        (None, "high", "stop", False),
        (2_000, "minimal", "stop", False),
        (20, "minimal", "length", False),
        (100, "high", "length", True),
    ],
)
def test_thinking_and_writing_share_max_tokens(
    max_tokens: int | None, effort: str, finish: str, empty: bool
) -> None:
    """Too small a limit cuts the text, and leaves none when thinking has used it up."""
    exchange = Exchange(
        asked="m",
        model=DEFAULT_MODELS[0],
        prompt="p" * 9,
        reading=READINGS[0],
        generation_id="gen-1",
        now=1.0,
        base_url="http://127.0.0.1/api/v1",
        max_tokens=max_tokens,
        effort=effort,
    )
    body = exchange.success()
    choice, usage = body["choices"][0], body["usage"]
    assert choice["finish_reason"] == finish
    assert (choice["message"]["content"] == "") is empty
    assert usage["prompt_tokens"] == estimate_tokens("p" * 9) == 3
    assert usage["completion_tokens"] <= (max_tokens or 10_000)


def test_free_requests_are_counted_in_a_sliding_minute_and_a_utc_day() -> None:
    """The limit names the moment at which the next request is let through, and not earlier."""
    account = Account(free_per_minute=2, free_per_day=3)
    start = 20_000 * 86_400.0
    assert account.take_free(start) is None
    assert account.take_free(start + 30) is None
    quota = account.take_free(start + 59)
    assert quota == Quota(False, 2, int((start + 60) * 1000) + 1)
    assert account.take_free(start + 60.001) is None
    assert account.take_free(start + 200) == Quota(True, 3, int((start + 86_400) * 1000))
    assert account.take_free(start + 86_400) is None


def test_a_clock_set_back_does_not_lock_the_free_tier() -> None:
    """Requests from a future that was taken back are forgotten."""
    account = Account(free_per_minute=1, free_per_day=10)
    assert account.take_free(100_000.0) is None
    assert account.take_free(96_400.0) is None
