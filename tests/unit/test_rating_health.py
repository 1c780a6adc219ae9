"""Rating health: quiet over healthy ratings, quick when one value takes over, and each change told once."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import pytest

from llm_integration.rating_health import (
    Alarm,
    AlarmKind,
    RatingHealth,
    entropy_bits,
    entropy_fall,
    share_rise,
    version_names,
)

TYPICAL = (0.05, 0.2, 0.4, 0.3, 0.05)
UNIFORM = (0.2,) * 5
NARROW = (0.01, 0.09, 0.75, 0.14, 0.01)
MOSTLY_THREE = (0.035, 0.035, 0.86, 0.035, 0.035)


def ratings(shares: tuple[float, ...], count: int, seed: int) -> list[int]:
    return random.Random(seed).choices((1, 2, 3, 4, 5), shares, k=count)


def feed(
    health: RatingHealth, results: Iterable[int | None], model: str = "m", prompt: str = "p 1"
) -> list[tuple[int, Alarm]]:
    """Every change, with the number of the result that brought it."""
    changes = []
    for number, rating in enumerate(results, 1):
        if (change := health.add(rating, model=model, prompt=prompt)) is not None:
            changes.append((number, change))
    return changes


@pytest.mark.parametrize(("shares", "count"), [(TYPICAL, 100_000), (UNIFORM, 30_000), (NARROW, 30_000)])
def test_100_000_healthy_ratings_raise_no_alarm(shares: tuple[float, ...], count: int) -> None:
    """Five standard errors leave no false alarm although every result is looked at, 3% of them unrated."""
    chance = random.Random(11)
    results = [None if chance.random() < 0.03 else r for r in ratings(shares, count, 11)]
    assert feed(RatingHealth(), results) == []


def test_a_threshold_of_two_errors_would_cry_wolf() -> None:
    """The number five is needed: with two, and no least difference, healthy ratings raise many alarms."""
    nervous = RatingHealth(deviations=2.0, fall_bits=0.01)
    assert len(feed(nervous, ratings(TYPICAL, 20_000, 11))) > 10


@pytest.mark.parametrize("seed", range(20))
def test_one_word_that_turns_86_percent_into_threes_is_noticed(seed: int) -> None:
    """After a healthy history the alarm comes within a window of 200, and only once."""
    health = RatingHealth()
    assert feed(health, ratings(TYPICAL, 1_200, seed)) == []
    changes = feed(health, ratings(MOSTLY_THREE, 1_000, seed + 1_000))
    assert [change.kind for _, change in changes] == [AlarmKind.TAKEOVER]
    number, alarm = changes[0]
    assert alarm.raised
    assert 30 < number <= 200
    assert " are 3, before it was " in alarm.message
    (told,) = health.report()
    assert (told.top_rating, told.alarms) == (3, (AlarmKind.TAKEOVER,))


@pytest.mark.parametrize("seed", range(10))
def test_a_new_prompt_is_measured_by_the_one_before_it(seed: int) -> None:
    """A version whose ratings all are alike from its first day on has no better past of its own."""
    health = RatingHealth()
    feed(health, ratings(TYPICAL, 600, seed), prompt="p 1")
    changes = feed(health, ratings(MOSTLY_THREE, 200, seed), prompt="p 2")
    assert [(change.kind, change.prompt) for _, change in changes] == [(AlarmKind.TAKEOVER, "p 2")]
    assert changes[0][0] <= 120
    assert health.report()[-1].inherited


def test_a_ruined_prompt_hands_no_ruined_history_on() -> None:
    """What came in while an alarm stood is no measure for the next version either."""
    health = RatingHealth()
    feed(health, ratings(TYPICAL, 600, 1), prompt="p 1")
    assert feed(health, ratings(MOSTLY_THREE, 300, 2), prompt="p 1")
    feed(health, [3] * 60, prompt="p 2")
    first, second = health.report()
    assert second.reference_bits == first.reference_bits


def test_a_new_prompt_that_rates_like_the_old_one_is_quiet() -> None:
    """A change of version is no alarm by itself, nor is a small change of the distribution."""
    health = RatingHealth()
    feed(health, ratings(TYPICAL, 2_000, 1), prompt="p 1")
    assert feed(health, ratings((0.08, 0.22, 0.36, 0.28, 0.06), 2_000, 2), prompt="p 2") == []
    assert not health.report()[-1].inherited


def test_without_any_history_one_value_alone_is_an_alarm() -> None:
    """The very first version is held against fixed bounds."""
    changes = feed(RatingHealth(), [3] * 200)
    assert [change.kind for _, change in changes] == [AlarmKind.TAKEOVER]
    assert feed(RatingHealth(), ratings(TYPICAL, 400, 3)) == []
    changes = feed(RatingHealth(), [None] * 60)
    assert [change.kind for _, change in changes] == [AlarmKind.UNRATED]


def test_an_alarm_ends_when_the_ratings_are_as_before() -> None:
    """The bad stretch does not become the measure, however long; the end is told once."""
    health = RatingHealth()
    feed(health, ratings(TYPICAL, 1_200, 5))
    before = health.report()[0].reference_bits
    raised = feed(health, ratings(MOSTLY_THREE, 5_000, 6))
    after = health.report()[0].reference_bits
    assert [change.raised for _, change in raised] == [True]
    assert before is not None
    assert after is not None
    assert abs(after - before) < 0.3
    ended = feed(health, ratings(TYPICAL, 1_000, 7))
    assert [(change.kind, change.raised) for _, change in ended] == [(AlarmKind.TAKEOVER, False)]
    assert ended[0][1].message.startswith("over: ")
    assert health.report()[0].alarms == ()


def test_ratings_on_the_edge_do_not_make_an_alarm_come_and_go() -> None:
    """Between full and half the difference nothing changes."""
    health = RatingHealth()
    feed(health, ratings(TYPICAL, 1_200, 5))
    edge = (0.035, 0.1, 0.72, 0.11, 0.035)
    changes = feed(health, ratings(MOSTLY_THREE, 200, 8) + ratings(edge, 10_000, 8))
    assert len(changes) == 1


def test_replies_that_cannot_be_read_any_more_are_noticed() -> None:
    """The unrated share rises from 2% to 25%; the ratings among them are as before."""
    chance = random.Random(4)
    health = RatingHealth()
    healthy = [None if chance.random() < 0.02 else r for r in ratings(TYPICAL, 1_200, 4)]
    broken = [None if chance.random() < 0.25 else r for r in ratings(TYPICAL, 400, 5)]
    assert feed(health, healthy) == []
    changes = feed(health, broken)
    assert [change.kind for _, change in changes] == [AlarmKind.UNRATED]
    assert changes[0][0] < 120
    assert "have no rating, before it was" in changes[0][1].message
    assert [change.raised for _, change in feed(health, healthy[:500])] == [False]


def test_both_troubles_at_once_are_told_one_after_the_other() -> None:
    """One result brings one change; the second follows with the next."""
    health = RatingHealth(window=100, minimum=50)
    feed(health, ratings(TYPICAL, 1_000, 9))
    changes = feed(health, [3, None] * 200)
    assert sorted(change.kind for _, change in changes) == [AlarmKind.TAKEOVER, AlarmKind.UNRATED]


def test_too_few_results_say_nothing() -> None:
    """Below the least volume there is neither alarm nor entropy."""
    health = RatingHealth(minimum=50)
    assert feed(health, [3] * 49) == []
    (told,) = health.report()
    assert (told.entropy_bits, told.reference_bits, told.counts) == (None, None, (0, 0, 49, 0, 0))


def test_models_and_prompts_are_kept_apart_and_their_number_is_bounded() -> None:
    """Counts of one are not those of another; the longest unused goes."""
    health = RatingHealth()
    feed(health, [1] * 3, model="a")
    feed(health, [2, None], model="b")
    assert [(v.model, v.counts, v.unrated) for v in health.report()] == [
        ("a", (3, 0, 0, 0, 0), 0),
        ("b", (0, 1, 0, 0, 0), 1),
    ]
    for number in range(250):
        feed(health, [3], model=str(number))
    assert len(health.report()) == 100
    assert health.report()[-1].model == "249"


@pytest.mark.parametrize("odd", [0, 6, -1, 10**9])
def test_what_is_no_rating_counts_as_unrated(odd: int) -> None:
    """A number outside 1 to 5 never lands in the distribution."""
    health = RatingHealth()
    feed(health, [odd])
    assert (health.report()[0].unrated, health.report()[0].counts) == (1, (0,) * 5)


def test_the_formulas_give_known_values() -> None:
    """Entropy with Miller's correction, its standard error by Basharin, and the two-proportion test."""
    assert entropy_bits([0] * 5) == entropy_bits([7, 0, 0, 0, 0]) == 0
    assert entropy_bits([10] * 5) == pytest.approx(math.log2(5) + 4 / (100 * math.log(2)))
    fall, errors = entropy_fall([0, 0, 100, 0, 0], [20] * 5)
    assert fall == pytest.approx(math.log2(5) + 4 / (200 * math.log(2)))
    assert errors > 5
    assert entropy_fall([0, 0, 9, 0, 0], [0, 0, 9, 0, 0]) == (0, 0)
    rise, errors = share_rise(30, 100, 10, 100)
    assert rise == pytest.approx(0.2)
    assert errors == pytest.approx(0.2 / math.sqrt(0.2 * 0.8 * 0.02))
    assert share_rise(0, 10, 0, 10)[1] == share_rise(1, 0, 1, 0)[1] == 0


@pytest.mark.parametrize("shares", [TYPICAL, UNIFORM])
def test_the_standard_error_is_that_of_simulated_samples(shares: tuple[float, ...]) -> None:
    """Over 400 pairs of healthy samples the fall divided by its error spreads by about one, not more."""
    chance = random.Random(2)
    scores = []
    for _ in range(400):
        one, other = (chance.choices(range(5), shares, k=n) for n in (200, 1_000))
        scores.append(entropy_fall([one.count(v) for v in range(5)], [other.count(v) for v in range(5)])[1])
    mean = sum(scores) / len(scores)
    spread = math.sqrt(sum((score - mean) ** 2 for score in scores) / len(scores))
    assert abs(mean) < 0.2
    assert 0.75 < spread < 1.1


def test_an_answer_is_counted_under_the_model_that_served() -> None:
    """Names that are missing are said to be unknown."""
    assert version_names("served", "asked", "default", "2") == ("served", "default 2")
    assert version_names(None, "asked", None, "2") == ("asked", "2")
    assert version_names(None, None, None, None) == ("(unknown)", "(unknown)")
