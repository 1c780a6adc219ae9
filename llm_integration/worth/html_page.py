"""The report as one HTML file: opens without a network, light or dark as the reader has it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from llm_integration.worth import drawing
from llm_integration.worth.drawing import escaped
from llm_integration.worth.sections import Day, Period, Report

__all__ = ["page"]

MOST_MONTHS: Final = 24
MOST_AGREEMENTS: Final = 12
LEVELS: Final = {
    "no_evidence": "No evidence yet",
    "evidence_for": "Evidence for",
    "evidence_against": "Evidence against",
    "too_few": "Too few signals",
}
STYLE: Final = """
:root{color-scheme:light dark;--paper:#f7f4ee;--card:#fffdf9;--ink:#1d1b18;--soft:#6c665c;--line:#e3ddd1;
--blue:#1f6f9f;--orange:#c4562f;--band:#1f6f9f26;--blind:#8a806f1c;--bar:#e6dfd0;--none:#ece6da;--grey:#aaa294}
@media (prefers-color-scheme:dark){:root{--paper:#12151a;--card:#191d24;--ink:#ece8df;--soft:#9a968c;
--line:#2b3039;--blue:#6cb6e2;--orange:#ef8d63;--band:#6cb6e22b;--blind:#c9c2b314;--bar:#2a303a;--none:#232831;
--grey:#616773}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 ui-sans-serif,system-ui,"Segoe UI",
"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1180px;margin:0 auto;padding:44px 28px 64px}
header{display:grid;gap:14px;margin-bottom:30px}
.kicker{color:var(--soft);font-size:12px;letter-spacing:.14em;text-transform:uppercase;overflow-wrap:anywhere}
h1{font:400 clamp(34px,6vw,64px)/1.04 ui-serif,Georgia,"Times New Roman",serif;margin:0;
letter-spacing:-.015em}
.evidence_for{color:var(--blue)}.evidence_against{color:var(--orange)}
.sentence{font:400 clamp(17px,2.1vw,22px)/1.45 ui-serif,Georgia,"Times New Roman",serif;margin:0;
max-width:52em;overflow-wrap:anywhere}
.gauge{max-width:560px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(132px,1fr));gap:1px;background:var(--line);
border:1px solid var(--line);border-radius:14px;overflow:hidden;margin:0 0 26px}
.tiles div{background:var(--card);padding:14px 16px}
.tiles b{display:block;font:400 27px/1.15 ui-serif,Georgia,serif;font-variant-numeric:tabular-nums}
.tiles span{color:var(--soft);font-size:12.5px}
.grid{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:20px}
section{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:20px 22px;min-width:0}
section.wide{grid-column:1/-1}
h2{font:400 21px/1.25 ui-serif,Georgia,serif;margin:0 0 4px}
section>p{color:var(--soft);margin:0 0 12px;font-size:13.5px;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto;overflow:visible}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
th,td{padding:6px 8px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:500}
th:first-child,td:first-child{text-align:left;padding-left:0;white-space:normal;min-width:5.5em}
td.words{white-space:normal}
tr:last-child td{border-bottom:0}
tr.few td{color:var(--grey)}
.months{display:grid;grid-template-columns:repeat(auto-fill,minmax(118px,1fr));gap:16px 20px}
footer{color:var(--soft);font-size:13px;margin-top:26px;display:grid;gap:5px;overflow-wrap:anywhere}
.tick{fill:var(--soft);font-size:12.5px}.axis{fill:var(--ink);font-size:14px}
.rule{stroke:var(--line)}.zero{stroke:var(--soft);stroke-width:1.2}
.whisker{stroke:var(--blue);stroke-width:2;stroke-linecap:round}.wide.whisker{stroke-width:5;opacity:.55}
.mark{fill:var(--blue);stroke:var(--card);stroke-width:2}
.whisker.few{stroke:var(--grey)}.mark.few{fill:var(--grey)}
.band{fill:var(--band)}.blind{fill:var(--blind)}.bar{fill:var(--bar)}
.curve{fill:none;stroke:var(--blue);stroke-width:2.5;stroke-linejoin:round}.under{fill:var(--band)}
.naive{fill:none;stroke:var(--grey);stroke-dasharray:4 4}
.fit{fill:none;stroke:var(--orange);stroke-width:1.5;stroke-dasharray:2 4}
.fair{stroke:var(--orange);stroke-width:2.5}
.gain{fill:var(--blue)}.loss{fill:var(--orange)}.none{fill:var(--none)}
@media (max-width:760px){main{padding:26px 14px 40px}.grid{grid-template-columns:minmax(0,1fr);gap:14px}
section{padding:16px 14px}}
@media print{body{background:#fff}section,.tiles{break-inside:avoid}}
"""


def page(report: Report) -> str:
    """The whole file. Text from outside is escaped, and nothing in it can load or run anything."""
    found = report.verdict
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escaped(LEVELS[found.level])}: are the ratings worth their price?</title>
<style>{STYLE}</style></head>
<body><main>
<header>
<div class="kicker">Is a rating worth its price? &middot; {escaped(report.title, 300)}</div>
<h1 class="{found.level}">{escaped(LEVELS[found.level])}</h1>
<p class="sentence">{escaped(found.sentence)}</p>
<div class="gauge">{drawing.effect(report.rank_ic)}</div>
</header>
{_tiles(report)}
<div class="grid">
{"".join(_sections(report))}
</div>
{_footer(report)}
</main></body></html>
"""


def _tiles(report: Report) -> str:
    test, account, money = report.rank_ic, report.accounting, report.money
    tiles = [
        (f"{account.signals:,}", "signals"),
        (f"{account.resolved:,}", "rated and resolved"),
        (f"{test.effective_n:,.0f}", "independent ones"),
        (_signed(test.value), "rank correlation"),
        (
            "–" if test.minimum_detectable is None else f"{test.minimum_detectable:.2f}",
            "smallest to be seen",
        ),
        (_p(test.p_holm), f"p after {test.looks} look{'s' if test.looks > 1 else ''}"),
        (_signed(report.all_signals.mean_r), "mean R, net"),
        ("–" if money.spent_usd is None else f"${money.spent_usd:,.2f}", "spent on ratings"),
    ]
    return (
        '<div class="tiles">'
        + "".join(f"<div><b>{escaped(value)}</b><span>{escaped(name)}</span></div>" for value, name in tiles)
        + "</div>"
    )


def _sections(report: Report) -> Iterable[str]:
    yield _card("Accounting", _accounting(report), "Every signal is somewhere, or there is no report.")
    yield _card("The rater", _rater(report), "Does it use its scale, does it agree with others and itself?")
    yield _card(
        "Result by rating",
        drawing.by_rating(report.by_rating, report.monotone.fit),
        "Mean net R with its 95% interval by stationary bootstrap; dotted, the best fit that rises."
        f" Jonckheere-Terpstra p {_p(report.monotone.p)} by shifts.",
    )
    yield _card(
        "Policy",
        drawing.policy(report.policy),
        "Keep ratings from k upwards. The band holds 95% of what the same ratings give when they are shifted"
        " in time; dashed, a random filter that knows nothing of clusters.",
    )
    yield _card(
        "Wins by rating",
        drawing.ratings(report.by_rating),
        "Targets among decided trades; the bar is the rating's share, the orange line a fair game, 1 / (1 +"
        " reward:risk).",
    )
    yield _card("Reliability", _reliability(report), _skill(report))
    yield _card("By rating", _rating_table(report), wide=True)
    yield _card("Beside what is free", _increment(report), "Rank correlation with net R.")
    yield _card("Choppiness", _choppiness(report), "Now and ahead are two questions.")
    yield _card("Policy in figures", _policy_table(report))
    yield _card(
        "Money", _money(report), "What was paid, and what the kept signals brought beyond the mean of all."
    )
    if report.cutoff:
        words = "What came before may be known to the model."
        yield _card("Training cutoff", _parts(report.cutoff), words, wide=True)
    words = "By the Choppiness Index at the signal."
    yield _card("Regimes", _parts(report.regimes), words, wide=not report.calendar)
    if report.calendar:
        yield _card("Over time", drawing.curve(report.calendar))
        words = "Net R by the day on which trades ended."
        yield _card("Calendar", _calendar(report.calendar), words, wide=True)


def _card(title: str, body: str, words: str = "", *, wide: bool = False) -> str:
    kind = ' class="wide"' if wide else ""
    said = f"<p>{escaped(words)}</p>" if words else ""
    return f"<section{kind}><h2>{escaped(title)}</h2>{said}{body}</section>\n"


def _table(columns: Sequence[str], rows: Iterable[tuple[Sequence[object], bool]]) -> str:
    """Rows with whether they stand on enough signals."""
    head = "".join(f"<th>{escaped(name)}</th>" for name in columns)
    body = "".join(f"<tr{'' if enough else ' class=few'}>{_cells(row)}</tr>" for row, enough in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cells(row: Sequence[object]) -> str:
    kind = ' class="words"'
    return "".join(
        f"<td{kind if isinstance(cell, str) and len(cell) > 24 else ''}>{escaped(cell, 120)}</td>"
        for cell in row
    )


def _signed(value: float | None, places: int = 2) -> str:
    if value is None:
        return "–"
    return f"{0.0 if abs(value) < 0.5 / 10**places else value:+.{places}f}".replace("-", "−")


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _between(low: float | None, high: float | None, places: int = 2) -> str:
    return "–" if low is None or high is None else f"{_signed(low, places)} to {_signed(high, places)}"


def _accounting(report: Report) -> str:
    a = report.accounting
    rows: list[tuple[Sequence[object], bool]] = [
        (("signals", f"{a.signals:,}", "= rated + unrated + failed + expired"), True),
        (("rated", f"{a.rated:,}", "= resolved + open + unresolvable"), True),
        (("unrated", f"{a.unrated:,}", ""), True),
        (("failed", f"{a.failed:,}", ""), True),
        (("expired", f"{a.expired:,}", ""), True),
        (("resolved", f"{a.resolved:,}", f"{a.ambiguous:,} ambiguous"), True),
        (("open", f"{a.open:,}", "never averaged in"), True),
        (
            ("unresolvable", f"{a.unresolvable:,}", ", ".join(name.replace("_", " ") for name in a.reasons)),
            True,
        ),
    ]
    return _table(("", "n", ""), rows)


def _rater(report: Report) -> str:
    found = report.rater
    rows: list[tuple[Sequence[object], bool]] = [
        (("rated", f"{found.n:,}"), True),
        (("share of the most frequent rating", _share(found.modal_share)), True),
        (
            (
                "entropy, of 2.32 bits",
                "–" if found.entropy_bits is None else f"{found.entropy_bits:.2f}",
            ),
            True,
        ),
    ]
    for pair in [*found.agreements, *found.repeats][:MOST_AGREEMENTS]:
        other = "the same again" if pair.one == pair.other else pair.other
        rows.append(
            (
                (
                    f"{pair.one} and {other}, kappa",
                    f"{_signed(pair.kappa)} ({_share(pair.same)} of {pair.n} same)",
                ),
                pair.n >= 30,
            )
        )
    if not found.agreements and not found.repeats:
        rows.append((("agreement and test-retest", "no signal was rated twice"), False))
    return _table(("", ""), rows)


def _rating_table(report: Report) -> str:
    rows = [
        (
            (
                row.rating or "all", f"{row.n:,}", _share(row.share), _signed(row.mean_r),
                _between(row.low, row.high), _signed(row.median_r), _share(row.win_rate),
                "–" if row.win_low is None else f"{_share(row.win_low)} to {_share(row.win_high)}",
                _share(row.null_win_rate),
            ),
            row.enough,
        )
        for row in (*report.by_rating, report.all_signals)
    ]  # fmt: skip
    names = ("rating", "n", "share", "mean R", "95%", "median R", "won", "95%", "fair game")
    return _table(names, rows)


def _policy_table(report: Report) -> str:
    rows = [
        (
            (f"≥ {row.min_rating}", f"{row.n:,}", _signed(row.mean_r), _signed(row.total_r, 1),
             f"{row.drawdown_r:.1f}", _between(row.band_low, row.band_high)),
            row.enough,
        )
        for row in report.policy
    ]  # fmt: skip
    return _table(("kept", "n", "mean R", "total R", "drawdown", "band of chance"), rows)


def _reliability(report: Report) -> str:
    return drawing.reliability(report.calibration.bins)


def _skill(report: Report) -> str:
    found = report.calibration
    if found.skill is None:
        return "Too few decided trades to tell any chance."
    return (
        f"Chances told to {found.n:,} trades from those that had ended before. Brier skill"
        f" {_signed(found.skill, 3)}; 0 is as good as no rating at all."
    )


def _increment(report: Report) -> str:
    found = report.increment
    rows: list[tuple[Sequence[object], bool]] = [
        ((one.name.replace("_", " "), one.n, _signed(one.value), _p(one.p)), True) for one in found.indicators
    ]
    rows.append(
        (("the rating, beside all of these", found.n, _signed(found.value), _p(found.p)), found.enough)
    )
    return _table(("", "n", "value", "p"), rows)


def _choppiness(report: Report) -> str:
    found = report.choppiness
    area = [
        (
            (f"now: area under the curve by {name.replace('_', ' ')}", "–" if v is None else f"{v:.2f}"),
            found.enough,
        )
        for name, v in found.nowcast.items()
    ]
    rows: list[tuple[Sequence[object], bool]] = [
        (("“yes”", f"{found.yes:,} of {found.n:,}"), True),
        (("now: kappa with an index over 61.8", _signed(found.kappa)), found.enough),
        *area,
        (
            (
                "ahead: area under the curve, 10 bars",
                "–" if found.forecast is None else f"{found.forecast:.2f}",
            ),
            found.enough,
        ),
        (("ahead, beyond what the measures knew", f"{_signed(found.beyond)}, p {_p(found.p)}"), found.enough),
        (("mean R after yes, after no", f"{_signed(found.r_yes)}, {_signed(found.r_no)}"), found.enough),
    ]
    return _table(("", ""), rows)


def _money(report: Report) -> str:
    found = report.money
    rows: list[tuple[Sequence[object], bool]] = [
        (("spent", "unknown" if found.spent_usd is None else f"{found.spent_usd:.4f} USD"), True),
        (("signals of unknown cost", f"{found.cost_unknown:,}"), True),
        ((f"R gained by ratings from {found.keep_from}", _signed(found.gained_r, 1)), True),
        (("95%", _between(found.low, found.high, 1)), True),
        (("R per dollar", "–" if found.r_per_usd is None else f"{found.r_per_usd:,.1f}"), True),
        (("95%", _between(found.r_per_usd_low, found.r_per_usd_high, 1)), True),
        (
            (
                "pays if 1 R is over",
                "–" if found.break_even_usd is None else f"{found.break_even_usd:.4g} USD",
            ),
            True,
        ),
    ]
    return _table(("", ""), rows)


def _parts(parts: Sequence[Period]) -> str:
    rows = [
        (
            (part.name, f"{part.n:,}", _signed(part.mean_r), _signed(part.rank_ic.value),
             _between(part.rank_ic.low, part.rank_ic.high), _p(part.rank_ic.p)),
            part.enough,
        )
        for part in parts
    ]  # fmt: skip
    return _table(("", "n", "mean R", "rank corr.", "95%", "p"), rows)


def _calendar(days: Sequence[Day]) -> str:
    months: dict[tuple[int, int], dict[int, Day]] = defaultdict(dict)
    for day in days:
        moment = date.fromisoformat(day.date)
        months[moment.year, moment.month][moment.day] = day
    sizes = sorted(abs(day.total_r) for day in days)
    largest = max(sizes[int(len(sizes) * 0.95)] if len(sizes) > 20 else sizes[-1], 1e-9)
    shown = sorted(months)[-MOST_MONTHS:]
    drawn = "".join(f"<div>{drawing.month(*key, months[key], largest)}</div>" for key in shown)
    left_out = len(months) - len(shown)
    said = f"<p>{left_out} months before these are not shown.</p>" if left_out else ""
    return f'{said}<div class="months">{drawn}</div>'


def _footer(report: Report) -> str:
    lines = [
        report.rules.described(),
        "Primary test: rank correlation of rating and net R, two-sided at 5%, against circular shifts of the"
        " ratings within each symbol. Grey figures stand on too few signals.",
        *report.notes,
    ]
    return "<footer>" + "".join(f"<div>{escaped(line)}</div>" for line in lines) + "</footer>"
