"""The sentence that the report begins with. Pure."""

from __future__ import annotations

import math

from llm_integration.worth import ranks
from llm_integration.worth.evidence import ENOUGH
from llm_integration.worth.sections import Level, RankIC, Verdict

__all__ = ["LEVEL", "milestone", "verdict"]

LEVEL = 0.05
SMALL = 0.10
"""The smallest rank correlation that anybody cares about; what it would take to see it is always said."""


def verdict(test: RankIC) -> Verdict:
    """What the primary test says."""
    level = _level(test)
    if level == "too_few":
        missing = ENOUGH - test.n
        return Verdict(
            level,
            f"Too few to say anything: {test.n} resolved signals, {ENOUGH} are the least."
            f" {missing} more for a first look.",
            missing,
        )
    if test.value is None:
        return Verdict(
            level,
            f"No evidence yet: over {test.n} resolved signals all ratings, or all results, are the same, so"
            " there is nothing to compare.",
        )
    size = max(SMALL, abs(test.value))
    worth = test.n / test.effective_n
    more = max(0, math.ceil(ranks.needed_for(size) * worth) - test.n)
    begin = {
        "no_evidence": "No evidence yet",
        "evidence_for": "Evidence for the ratings",
        "evidence_against": "Evidence against the ratings: the higher, the worse",
    }[level]
    looks = "" if test.looks == 1 else f", {test.p_holm:.3g} after {test.looks} looks"
    seen = "" if test.low is None else f" (95% {test.low:.2f} to {test.high:.2f})"
    smallest = "" if test.minimum_detectable is None else (
        f"; the smallest rank correlation that could have been seen is {test.minimum_detectable:.2f}"
    )  # fmt: skip
    ending = ""
    if level == "no_evidence":
        ending = (
            f" To see {size:.2f} about {more:,} more resolved signals are needed."
            if more
            else f" One of {size:.2f} would have been seen."
        )
    return Verdict(
        level,
        f"{begin}. {test.n:,} resolved signals, worth about {test.effective_n:,.0f} independent ones"
        f"{smallest}; yours is {test.value:.2f}{seen}, p = {test.p:.3g}{looks}.{ending}",
        more if level == "no_evidence" else 0,
    )


def _level(test: RankIC) -> Level:
    if test.n < ENOUGH:
        return "too_few"
    p = test.p_holm if test.p_holm is not None else test.p
    if test.value is None or p is None or p > LEVEL:
        return "no_evidence"
    return "evidence_for" if test.value > 0 else "evidence_against"


def milestone(resolved: int) -> int:
    """The last of 50, 100, 200, 400 ... that ``resolved`` has reached; 0 before.

    A look that is repeated as signals come in takes a new verdict at each of these only: a test that is made
    again after every signal finds something in noise sooner or later.
    """
    reached = 0
    at = 50
    while at <= resolved:
        reached, at = at, at * 2
    return reached
