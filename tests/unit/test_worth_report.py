"""The report: does it add up, what does it dare to say, and what may stand on its page?"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from llm_integration.commands.worth_text import show_report
from llm_integration.worth.html_page import page
from llm_integration.worth.report import build_report, report_json
from llm_integration.worth.sections import Accounting, RankIC, RatedSignal, Reading, Report, ReportSettings
from llm_integration.worth.selftest import self_test
from llm_integration.worth.sessions import DAY
from llm_integration.worth.trades import Exit, Trade
from llm_integration.worth.trials import (
    Entry,
    Look,
    entry_from_json,
    entry_json,
    entry_of,
    other_p,
    with_ledger,
)
from llm_integration.worth.verdict import milestone, verdict
from tests.unit.worth_parts import real_bars, signals, with_ratings

BARS = {"EURUSD": real_bars()}


def report(given: list[RatedSignal], **settings: Any) -> Report:
    return build_report(given, BARS, ReportSettings(**settings))


def ended(name: str, status: Any) -> RatedSignal:
    return RatedSignal(Trade(name, 1, 0, 1.0), "EURUSD", status)


def test_signals_and_rated_ones_add_up() -> None:
    """Every signal is counted once, unresolvable ones by their reason; open ones are in no mean."""
    given = signals(80)
    last = int(real_bars().times[-1])
    given += [ended("u", "unrated"), ended("f", "failed"), ended("e1", "expired"), ended("e2", "expired")]
    given.append(RatedSignal(Trade("late", 1, last, 1.0, 2.0), "EURUSD", "rated", 5))
    given.append(RatedSignal(Trade("none", 1, last - DAY, None, 2.0), "EURUSD", "rated", 5))
    found = report(given)
    counts = found.accounting
    assert (counts.signals, counts.rated, counts.unrated, counts.failed, counts.expired) == (86, 82, 1, 1, 2)
    assert counts.resolved + counts.open + counts.unresolvable == 82
    assert counts.open >= 1
    assert counts.reasons["no_stop"] == 1
    assert sum(counts.reasons.values()) == counts.unresolvable
    assert sum(row.n for row in found.by_rating) == counts.resolved == found.all_signals.n
    assert [one.signal_id for one in found.outcomes] == [one.signal_id for one in given]


@pytest.mark.parametrize("field", ["signals", "rated", "unrated", "open", "resolved"])
def test_an_accounting_that_does_not_add_up_raises(field: str) -> None:
    """One signal too many anywhere is an error, not a table."""
    right = {"signals": 5, "rated": 2, "unrated": 1, "failed": 1, "expired": 1, "resolved": 1, "open": 1,
             "unresolvable": 0, "ambiguous": 0}  # fmt: skip
    Accounting(**right, reasons={})
    with pytest.raises(ValueError, match="do not add up"):
        Accounting(**{**right, field: right[field] + 1}, reasons={})


def test_signals_that_the_bars_do_not_cover_are_named_and_left_out() -> None:
    """Those before the first and after the last bar, and those of another symbol; the report goes on."""
    given = signals(60)
    bars = real_bars()
    early = RatedSignal(Trade("early", 1, int(bars.times[0]) - 3 * DAY, 1.0, 2.0), "EURUSD", "rated", 3)
    late = RatedSignal(Trade("late", 1, int(bars.times[-1]) + 3 * DAY, 1.0, 2.0), "EURUSD", "rated", 3)
    other = RatedSignal(Trade("other", 1, int(bars.times[50]), 1.0, 2.0), "ES", "rated", 3)
    found = report([early, *given, late, other])
    assert any("do not cover 3 signals" in note and "early, late, other" in note for note in found.notes)
    assert found.accounting.reasons["no_bars"] == 3
    assert found.rank_ic == report(given).rank_ic


def test_a_report_is_the_same_every_time_and_its_seed_moves_only_what_is_drawn() -> None:
    """Byte for byte; another seed changes the bootstrap intervals and nothing that is computed."""
    given = signals(70)
    first, again, other = report(given), report(given), report(given, seed=2)
    assert json.dumps(report_json(first)) == json.dumps(report_json(again))
    assert first.rank_ic == other.rank_ic
    assert first.by_rating != other.by_rating


def test_too_few_signals_get_no_verdict() -> None:
    """29 resolved ones, however good they look; 30 are looked at."""
    given = [one for one in signals(60, skill=1.0) if report([one]).accounting.resolved]
    few = report(given[:29])
    assert few.verdict.level == "too_few"
    assert "1 more for a first look" in few.verdict.sentence
    assert report(given[:30]).verdict.level != "too_few"
    assert report([]).verdict.level == "too_few"


def shaped(given: list[RatedSignal], how: str) -> list[RatedSignal]:
    """The same signals with something missing or all alike."""
    missing: dict[str, dict[str, Any]] = {
        "no verdict": {"choppiness": None}, "no cost": {"cost_usd": None},
        "one verdict": {"choppiness": "yes"}, "one rating": {"rating": 2},
    }  # fmt: skip
    found = [replace(one, **missing.get(how, {})) for one in given]
    if how == "no target":
        found = [replace(one, trade=replace(one.trade, target=None)) for one in found]
    if how == "one side":
        found = [one for one in found if one.trade.side > 0]
    if how == "early":  # before any indicator has its bars
        at = real_bars().times
        found = [replace(one, trade=replace(one.trade, at=int(at[n % 9]))) for n, one in enumerate(found)]
    return found


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7, 8, 12, 31, 60])
@pytest.mark.parametrize(
    "how",
    ["whole", "no verdict", "one verdict", "no cost", "one rating", "no target", "one side", "early"],
)
def test_a_report_of_little_stands_and_invents_nothing(
    count: int, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """However few signals there are and whatever they lack: no warning, no NaN, a page and a table."""
    found = report(shaped(signals(60)[:count], how), cutoff=int(real_bars().times[3_000]))
    json.dumps(report_json(found), allow_nan=False)
    made = page(found)
    show_report(found)
    assert not re.search(r"\bnan\b|\binf\b", made + capsys.readouterr().out, re.IGNORECASE)
    assert (found.verdict.level == "too_few") == (found.accounting.resolved < 30)


def test_skill_is_found_and_its_mirror_counts_against() -> None:
    """A rater that knows something is evidence for, the same ratings turned round against."""
    given = signals(150, skill=0.7)
    found = report(given)
    assert found.verdict.level == "evidence_for"
    assert found.rank_ic.low is not None
    assert found.rank_ic.low > 0
    mirrored = report(with_ratings(given, np.array([6 - (one.rating or 0) for one in given])))
    assert mirrored.verdict.level == "evidence_against"
    assert mirrored.rank_ic.value == pytest.approx(-(found.rank_ic.value or 0))
    assert mirrored.rank_ic.p == found.rank_ic.p


def test_noise_is_no_evidence_and_says_what_it_would_take() -> None:
    """The sentence has the effective number, the smallest effect, the interval and the missing signals."""
    found = report(signals(139, seed=3))
    assert found.verdict.level == "no_evidence"
    pattern = (
        r"No evidence yet\. 13\d resolved signals, worth about 1\d\d independent ones; the smallest rank"
        r" correlation that could have been seen is 0\.2\d; yours is -?0\.\d\d"
        r" \(95% -0\.\d\d to 0\.\d\d\), p = 0\.\d+\."
        r" To see 0\.1\d about [\d,]+ more resolved signals are needed\."
    )
    assert re.fullmatch(pattern, found.verdict.sentence)


@pytest.mark.parametrize(("count", "ending"), [(100, "more resolved signals are needed."), (900, "seen.")])
def test_enough_noise_says_that_an_effect_would_have_been_seen(count: int, ending: str) -> None:
    """Nobody is asked for 0 more signals."""
    seen = RankIC(count, 0.01, -0.1, 0.1, 0.8, 0.8, 1, float(count), 0.1)
    assert verdict(seen).sentence.endswith(ending)
    assert " 0 more" not in verdict(seen).sentence


def test_a_rater_with_one_rating_has_nothing_to_show() -> None:
    """No correlation, no evidence, entropy 0, and every section still stands."""
    given = with_ratings(signals(60), np.full(60, 4))
    found = report(given)
    assert found.verdict.level == "no_evidence"
    assert found.rank_ic.value is None
    assert found.rater.entropy_bits == 0
    assert "nothing to compare" in found.verdict.sentence
    json.dumps(report_json(found), allow_nan=False)
    page(found)


def test_many_looks_raise_the_bar() -> None:
    """A p of 0.02 is evidence alone and none after two further looks of the same size (Holm)."""
    seen = RankIC(100, 0.25, 0.05, 0.43, 0.02, 0.02, 1, 100.0, 0.29)
    assert verdict(seen).level == "evidence_for"
    later = verdict(replace(seen, p_holm=0.06, looks=3))
    assert later.level == "no_evidence"
    assert "0.06 after 3 looks" in later.sentence
    found = report(signals(150, skill=0.7), earlier_p=(0.5, 0.9))
    assert found.rank_ic.looks == 3
    assert found.rank_ic.p_holm == pytest.approx(3 * (found.rank_ic.p or 0))


LOOK = Look("m", "p", "60", "rules", "", "s1")


def entry(resolved: int, p: float = 0.5, before: Entry | None = None, look: Look = LOOK) -> Entry:
    found = report(signals(40))
    test = replace(found.rank_ic, n=resolved, p=p, p_holm=p)
    return entry_of(look, replace(found, rank_ic=test, verdict=verdict(test)), before)


def test_a_repeated_look_adds_none_and_changes_its_mind_at_milestones_only() -> None:
    """50, 100, 200, 400 ...: between them the verdict stays, and says when the next one comes."""
    assert [milestone(n) for n in (0, 49, 50, 99, 100, 399, 400, 1_700)] == [
        0,
        0,
        50,
        50,
        100,
        200,
        400,
        1_600,
    ]
    first = entry(60)
    later = entry(90, p=0.001, before=first)
    assert (later.level, later.judged_at, later.resolved, later.p) == ("no_evidence", 60, 90, 0.001)
    found = report(signals(40))
    shown = with_ledger(replace(found, rank_ic=replace(found.rank_ic, n=90)), later)
    assert (
        "Taken at 60 resolved signals; there are 90, and the next verdict comes at 100"
        in shown.verdict.sentence
    )
    assert entry(100, p=0.001, before=later).level == "evidence_for"
    assert entry(35, before=entry(20)).level == "no_evidence"
    assert other_p([first], LOOK) == ()
    assert other_p([first, entry(60, p=0.2, look=replace(LOOK, model="other"))], LOOK) == (0.2,)


@pytest.mark.parametrize("field", list(Look.__dataclass_fields__))
def test_another_question_is_another_look(field: str) -> None:
    """Another model, prompt, horizon, rule, subset or set of signals; the same one has the same key."""
    assert replace(LOOK, **{field: "other"}).key != LOOK.key
    assert replace(LOOK).key == LOOK.key


def test_an_entry_survives_its_file() -> None:
    """What is written is read again; anything else is refused in one line."""
    made = entry(60)
    assert entry_from_json(json.loads(json.dumps(entry_json(made)))) == made
    values = entry_json(made)
    wrong: Any
    for wrong in ({}, [], None, 3, {**values, "p": 2}, {**values, "level": "great"}, {**values, "look": {}},
                  {**values, "resolved": "x"}, {**values, "p": "x"}):  # fmt: skip
        with pytest.raises(ValueError, match=r"entry|p is|verdict|literal|convert"):
            entry_from_json(wrong)


def test_raters_are_compared_and_repeats_are_found() -> None:
    """Pairs of raters over the signals that both rated; one rater against its own first reading."""
    readings = [Reading("s1", "a", 3), Reading("s1", "b", 4), Reading("s2", "a", 5), Reading("s2", "b", 5),
                Reading("s1", "a", 3), Reading("s3", "b", 1)]  # fmt: skip
    found = build_report(signals(40), BARS, ReportSettings(), readings).rater
    assert [(one.one, one.other, one.n, one.same) for one in found.agreements] == [("a", "b", 2, 0.5)]
    assert [(one.one, one.n, one.same) for one in found.repeats] == [("a", 1, 1.0)]


def test_money_is_counted_and_what_is_unknown_is_said() -> None:
    """The sum of known costs; gains stand beside it; a given sum replaces what signals do not know."""
    given = signals(100, skill=0.8)
    found = report(given).money
    assert found.spent_usd == pytest.approx(0.1)
    assert found.gained_r is not None
    assert found.gained_r > 0
    assert found.r_per_usd == pytest.approx(found.gained_r / 0.1)
    assert found.break_even_usd == pytest.approx(0.1 / found.gained_r)
    unknown = report([replace(one, cost_usd=None) for one in given]).money
    assert (unknown.spent_usd, unknown.cost_unknown, unknown.r_per_usd) == (None, 100, None)
    assert report(given, spent_usd=2.0).money.r_per_usd == pytest.approx(found.gained_r / 2)


def test_parts_before_and_after_the_cutoff_hold_all_signals() -> None:
    """Each resolved signal is on one side, and in one regime."""
    given = signals(120)
    found = report(given, cutoff=int(real_bars().times[3_000]))
    assert [part.name for part in found.cutoff] == ["before the cutoff", "after the cutoff"]
    assert sum(part.n for part in found.cutoff) == found.accounting.resolved
    assert sum(part.n for part in found.regimes) == found.accounting.resolved
    assert sum(day.n for day in found.calendar) == found.accounting.resolved
    assert report(given).cutoff == []


def test_two_symbols_are_shifted_each_for_itself() -> None:
    """A rater that only likes one of two symbols, the better one, is no evidence."""
    bars = real_bars()
    given = signals(200, seed=9)
    good = report(given).outcomes
    won = [one for one, what in zip(given, good, strict=True) if what.exit is Exit.TARGET]
    lost = [one for one, what in zip(given, good, strict=True) if what.exit is Exit.STOP]
    rng = np.random.default_rng(1)
    mixed = [replace(one, symbol="A", rating=int(rng.integers(4, 6))) for one in won[:40] + lost[:10]]
    mixed += [replace(one, symbol="B", rating=int(rng.integers(1, 3))) for one in lost[10:60]]
    found = build_report(mixed, {"A": bars, "B": bars}, ReportSettings())
    assert found.rank_ic.value is not None
    assert found.rank_ic.value > 0.4
    assert found.verdict.level == "no_evidence"


@pytest.mark.parametrize("kind", ["noise", "together", "planted"])
def test_the_self_test_finds_what_is_there_and_no_more(kind: Any) -> None:
    """On the bundled bars: noise at the nominal rate, a planted effect with its power."""
    found = self_test(kind, real_bars(), 150)
    assert found.passed, found
    assert found.share == pytest.approx(found.expected, abs=0.1)
    assert found == self_test(kind, real_bars(), 150)


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style><script>", "a\u202eb\x00\x1b[2J",
    "&lt;b&gt; &amp;", "<svg onload=alert(1)>", "x" * 5_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_is_text_on_the_page(text: str) -> None:
    """In every place that shows any: no tag, no attribute, nothing to load or run, nothing invisible."""
    given = [replace(one, model=text, prompt=text) for one in signals(40)]
    readings = [Reading(one.signal_id, name, 3) for one in given[:5] for name in (text, text + "2")]
    plain = page(build_report(signals(40), BARS, ReportSettings(title="t", notes=("n",)),
                              [replace(r, rater=str(at % 2)) for at, r in enumerate(readings)]))  # fmt: skip
    late = RatedSignal(Trade(text, 1, int(real_bars().times[-1]) * 2, 1.0, 2.0), "EURUSD", "unrated")
    made = page(build_report([*given, late], BARS, ReportSettings(title=text, notes=(text,)), readings))
    tags, expected = Tags(), Tags()
    tags.feed(made)
    expected.feed(plain)
    assert {tag for tag, _ in tags.seen} == {tag for tag, _ in expected.seen}
    assert not any(name.startswith("on") or name in ("src", "href") for _, a in tags.seen for name in a)
    assert not any(char in made for char in "\u202e\x00\x1b")
    assert len(made) < len(plain) + 40_000


def test_the_page_needs_nothing_but_itself() -> None:
    """No address but SVG's own would be there; it has both colour schemes, a viewport and every section."""
    made = page(report(signals(139)))
    assert "http" not in made.replace('http-equiv="Content-Security-Policy"', "")
    assert "url(" not in made
    assert "prefers-color-scheme:dark" in made
    assert "width=device-width" in made
    for title in ("Accounting", "Result by rating", "Policy", "Reliability", "Calendar", "Money", "Regimes"):
        assert f"<h2>{title}</h2>" in made
    assert "nan" not in made.casefold().replace("finance", "")
