"""The report of ``worth`` on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from llm_integration.commands.terminal import say, show_table
from llm_integration.worth.sections import Period, RankIC, Report
from llm_integration.worth.selftest import SelfTest

__all__ = ["show_report", "show_self_test"]

FEW = "too few"
MOST_AGREEMENTS = 12


def show_report(report: Report) -> None:
    """In the order of the report, the verdict second."""
    _show_accounting(report)
    say("")
    say(report.verdict.sentence)
    say("")
    _show_ratings(report)
    _show_policy(report)
    _show_increment(report)
    _show_calibration(report)
    _show_rater(report)
    _show_choppiness(report)
    _show_money(report)
    _show_parts("before and after the model's training cutoff", report.cutoff)
    _show_parts("by regime, told by the Choppiness Index at the signal", report.regimes)
    say(report.rules.described())
    for note in report.notes:
        say(f"note: {note}")


def _number(value: float | None, places: int = 2) -> str:
    return "-" if value is None else f"{value:+.{places}f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _between(low: float | None, high: float | None, places: int = 2) -> str:
    return "-" if low is None or high is None else f"{low:+.{places}f} to {high:+.{places}f}"


def _shares(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:.0%} to {high:.0%}"


def _few(*, enough: bool) -> str:
    return "" if enough else FEW


def _show_accounting(report: Report) -> None:
    a = report.accounting
    say(
        f"{a.signals:,} signals = {a.rated:,} rated + {a.unrated:,} unrated + {a.failed:,} failed"
        f" + {a.expired:,} expired"
    )
    reasons = ", ".join(f"{name} {count}" for name, count in a.reasons.items())
    say(
        f"{a.rated:,} rated = {a.resolved:,} resolved + {a.open:,} open + {a.unresolvable:,} unresolvable"
        + (f" ({reasons})" if reasons else "")
        + f"; {a.ambiguous:,} resolved ones are ambiguous"
    )


def _show_ratings(report: Report) -> None:
    show_table(
        "R net by rating; intervals 95%; fair is what 1 / (1 + reward:risk) gives",
        ("rating", "signals", "share", "mean R", "interval", "median", "wins", "interval", "fair", ""),
        [
            (
                str(row.rating) if row.rating else "all", row.n, _share(row.share), _number(row.mean_r),
                _between(row.low, row.high), _number(row.median_r), _share(row.win_rate),
                _shares(row.win_low, row.win_high), _share(row.null_win_rate), _few(enough=row.enough),
            )
            for row in (*report.by_rating, report.all_signals)
        ],
    )  # fmt: skip
    trend = report.monotone
    say(
        f"does R rise with the rating? Jonckheere-Terpstra z {_number(trend.z)}, p {_p(trend.p)} by shifts"
        f" ({_p(trend.p_normal)} if signals were independent)"
    )
    say(_rank_line(report.rank_ic))


def _rank_line(test: RankIC) -> str:
    return (
        f"rank correlation of rating and net R: {_number(test.value)}"
        f" ({_between(test.low, test.high)}), p {_p(test.p)}, {_p(test.p_holm)} after {test.looks} looks;"
        f" {test.effective_n:,.0f} effective signals, smallest to be seen {_number(test.minimum_detectable)}"
    )


def _show_policy(report: Report) -> None:
    show_table(
        "policy: keep ratings from k upwards; band: what shifted ratings give",
        ("k", "signals", "mean R", "band", "naive band", "total R", "drawdown", ""),
        [
            (
                row.min_rating, row.n, _number(row.mean_r), _between(row.band_low, row.band_high),
                _between(row.naive_low, row.naive_high), _number(row.total_r, 1), f"{row.drawdown_r:.1f}",
                _few(enough=row.enough),
            )
            for row in report.policy
        ],
    )  # fmt: skip


def _show_increment(report: Report) -> None:
    found = report.increment
    rows: list[Sequence[object]] = [
        (one.name.replace("_", " "), one.n, _number(one.value), _p(one.p), "") for one in found.indicators
    ]
    rows.append(
        ("the rating, beside all of these", found.n, _number(found.value), _p(found.p),
         _few(enough=found.enough))
    )  # fmt: skip
    show_table(
        "what is free: rank correlation with net R, each alone", ("what", "signals", "value", "p", ""), rows
    )


def _show_calibration(report: Report) -> None:
    found = report.calibration
    if found.skill is None:
        say("calibration: too few decided trades")
        return
    show_table(
        f"calibration over an expanding window, {found.n} trades: Brier skill {found.skill:+.3f}"
        " (0: as good as without ratings)",
        ("trades", "chance told", "won", "interval"),
        [(b.n, _share(b.predicted), _share(b.won), _shares(b.low, b.high)) for b in found.bins],
    )


def _show_rater(report: Report) -> None:
    found = report.rater
    entropy = "-" if found.entropy_bits is None else f"{found.entropy_bits:.2f}"
    say(
        f"the rater: {_share(found.modal_share)} of ratings are the most frequent one,"
        f" entropy {entropy} of 2.32 bits"
    )
    pairs = [*found.agreements, *found.repeats]
    if not pairs:
        say("agreement and test-retest: no signal was rated more than once")
        return
    show_table(
        "readings of the same signal",
        ("one", "other", "signals", "same", "kappa"),
        [
            (pair.one, "the same again" if pair.one == pair.other else pair.other, pair.n, _share(pair.same),
             _number(pair.kappa))
            for pair in pairs[:MOST_AGREEMENTS]
        ],
    )  # fmt: skip


def _show_choppiness(report: Report) -> None:
    found = report.choppiness
    if not found.n:
        say("choppiness: no verdict")
        return
    areas = ", ".join(f"{name.replace('_', ' ')} {_area(value)}" for name, value in found.nowcast.items())
    say(
        f"choppiness now: {found.yes} of {found.n} yes; kappa with a Choppiness Index over 61.8"
        f" {_number(found.kappa)}; area under the curve by {areas}"
    )
    say(
        f"choppiness ahead: area under the curve {_area(found.forecast)} for the 10 bars after; beyond what"
        f" the measures knew {_number(found.beyond)}, p {_p(found.p)}; mean R {_number(found.r_yes)}"
        f" after yes, {_number(found.r_no)} after no{'' if found.enough else ' (too few)'}"
    )


def _area(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _show_money(report: Report) -> None:
    found = report.money
    spent = "unknown" if found.spent_usd is None else f"{found.spent_usd:.4f} USD"
    unknown = f" and {found.cost_unknown} signals of unknown cost" if found.cost_unknown else ""
    gained = "nothing to compare"
    if found.gained_r is not None:
        gained = f"{found.gained_r:+.1f} R ({_between(found.low, found.high, 1)}) against the mean of all"
    per = "" if found.r_per_usd is None else (
        f"; {found.r_per_usd:,.1f} R per dollar ({found.r_per_usd_low:,.1f} to {found.r_per_usd_high:,.1f})"
    )  # fmt: skip
    even = "" if found.break_even_usd is None else f"; pays if 1 R is over {found.break_even_usd:.4g} USD"
    say(f"money: spent {spent}{unknown}; ratings from {found.keep_from} upwards brought {gained}{per}{even}")


def _show_parts(title: str, parts: Sequence[Period]) -> None:
    if not parts:
        return
    show_table(
        title,
        ("part", "signals", "mean R", "rank correlation", "interval", "p", ""),
        [
            (part.name, part.n, _number(part.mean_r), _number(part.rank_ic.value),
             _between(part.rank_ic.low, part.rank_ic.high), _p(part.rank_ic.p), _few(enough=part.enough))
            for part in parts
        ],
    )  # fmt: skip


def show_self_test(test: SelfTest) -> None:
    """One line, and whether it is as it should be."""
    if test.kind != "planted":
        what = "noise" if test.kind == "noise" else "noise over symbols that move together"
        asked = f"{what} was called evidence in {test.share:.1%} of {test.repetitions:,} repetitions"
        due = f"{test.expected:.0%} at most"
    else:
        asked = (
            f"a planted rank correlation of {test.planted:.2f} (measured {test.mean_value:.2f} in the mean)"
            f" was found in {test.share:.1%} of {test.repetitions:,} repetitions"
        )
        due = f"{test.expected:.0%}"
    ending = "as it should be" if test.passed else "WRONG"
    say(f"{asked}; due {due}, standard error {test.error:.1%}: {ending}")
