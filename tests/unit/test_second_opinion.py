"""Agreement of several opinions, and the sample that a shadow sees."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_integration.domain import Choppiness, Opinion
from llm_integration.second_opinion import agree, in_shadow_sample


def voice(rating: int | None, choppiness: Choppiness | None = None, **more: Any) -> Opinion:
    return Opinion(
        **({"role": "ensemble", "model_requested": "a/b"} | more), rating=rating, choppiness=choppiness
    )


def ratings(*values: int | None) -> list[Opinion]:
    return [voice(value) for value in values]


@pytest.mark.parametrize(
    ("given_ratings", "rating", "spread"),
    [
        ([4], 4, 0),
        ([2, 4], 2, 2),
        ([5, 4], 4, 1),
        ([1, 5, 4], 4, 4),
        ([1, 2, 4, 5], 2, 4),
        ([3, 3, 3], 3, 0),
        ([5, None, 4], 4, 1),
        ([None, 2, 3, 5], 3, 3),
    ],
)
def test_the_median_is_one_of_the_ratings(given_ratings: list[int | None], rating: int, spread: int) -> None:
    """Of an even number the lower one in the middle; who did not rate is no number."""
    agreed = agree(ratings(*given_ratings))
    assert (agreed.rating, agreed.spread, agreed.error) == (rating, spread, None)


def test_below_the_quorum_there_is_no_rating_and_a_reason() -> None:
    """With what the others said instead; no choppiness either."""
    voices = [voice(4, "no"), voice(None, "no", error="cut off"), voice(None, "no", error="refused")]
    agreed = agree(voices)
    assert (agreed.rating, agreed.choppiness, agreed.spread) == (None, None, 0)
    assert agreed.error == "1 of 3 models rated the signal, 2 are needed (a/b: cut off; a/b: refused)"
    assert agree(voices, quorum=1).rating == 4
    assert agree(voices[:2], quorum=2).error is not None
    assert agree([]).error == "0 of 0 models rated the signal, 1 are needed"
    assert agree(ratings(None), quorum=0).rating is None


def test_half_of_an_even_number_is_no_majority() -> None:
    """Two of four are below the quorum that holds when none is set, three are not."""
    assert agree(ratings(4, 4, None, None)).rating is None
    assert agree(ratings(4, 4, 4, None)).rating == 4


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["yes", "yes", "no"], "yes"),
        (["no", None, None], "no"),
        (["yes", "no", None], None),
        ([None, None, None], None),
    ],
)
def test_choppiness_goes_by_majority(said: list[Choppiness | None], expected: Choppiness | None) -> None:
    """A tie is no answer, and who said nothing has no vote."""
    assert agree([voice(3, each) for each in said]).choppiness == expected


def test_shadows_have_no_part_in_the_agreement() -> None:
    """Neither in the median nor in the quorum."""
    agreed = agree([voice(5, "no"), voice(1, "yes", role="shadow"), voice(1, "yes", role="shadow")])
    assert (agreed.rating, agreed.choppiness, agreed.asked) == (5, "no", 1)


@pytest.mark.parametrize("wrong", [True, 0, 6, 4.0])
def test_what_is_no_rating_does_not_count(wrong: Any) -> None:
    """A value off the scale reaches no median."""
    assert agree(ratings(wrong)).rating is None


@given(st.lists(st.none() | st.integers(1, 5), max_size=9))
def test_the_agreed_rating_splits_the_others_in_half(values: list[int | None]) -> None:
    """At most half of the ratings are below it and at most half above; order does not matter."""
    agreed = agree(ratings(*values), quorum=1)
    known = [value for value in values if value is not None]
    if not known:
        assert (agreed.rating, agreed.spread) == (None, None)
        return
    assert agreed.rating in known
    assert 2 * sum(value < agreed.rating for value in known) <= len(known)
    assert 2 * sum(value > agreed.rating for value in known) <= len(known)
    assert agree(ratings(*reversed(values)), quorum=1) == agreed


def test_a_sample_is_the_same_for_ever_and_has_its_share() -> None:
    """By the id alone; two shadows see different tenths."""
    ids = [f"signal-{number}" for number in range(5_000)]
    one = {name for name in ids if in_shadow_sample(name, 0.1, "a")}
    assert one == {name for name in ids if in_shadow_sample(name, 0.1, "a")}
    assert 400 < len(one) < 600
    two = {name for name in ids if in_shadow_sample(name, 0.1, "b")}
    assert len(one & two) < 120
    assert one <= {name for name in ids if in_shadow_sample(name, 0.2, "a")}
    assert in_shadow_sample("signal-1", 1.0)
    assert not in_shadow_sample("signal-1", 0.0)
    assert in_shadow_sample("\ud800", 1.0)
