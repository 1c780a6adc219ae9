"""The parts of the report, as plain records; ``dataclasses.asdict`` makes JSON of them. Pure.

R counts in the risk that was really taken, net of costs where nothing else is said. ``enough`` is False for a
figure that stands on too few signals: it is shown in grey. Shares and probabilities lie between 0 and 1;
what cannot be computed is None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from llm_integration.worth.rater import Agreement, Calibration
from llm_integration.worth.rules import ResolverRules
from llm_integration.worth.trades import Outcome, Trade

__all__ = [
    "Accounting", "Choppiness", "Day", "Increment", "Indicator", "Level", "Money", "Monotone", "Period",
    "PolicyRow", "RankIC", "RatedSignal", "Rater", "RatingRow", "Reading", "Report", "ReportSettings",
    "Status", "Verdict",
]  # fmt: skip

Status = Literal["rated", "unrated", "failed", "expired"]
Level = Literal["no_evidence", "evidence_for", "evidence_against", "too_few"]


@dataclass(frozen=True, slots=True)
class RatedSignal:
    """A signal that has its end, and what was said of it. ``cost_usd`` None: unknown."""

    trade: Trade
    symbol: str
    status: Status
    rating: int | None = None
    choppiness: Literal["yes", "no"] | None = None
    model: str = ""
    prompt: str = ""
    cost_usd: float | None = None

    @property
    def signal_id(self) -> str:
        """The signal's."""
        return self.trade.signal_id


@dataclass(frozen=True, slots=True)
class Reading:
    """One model's rating of a signal that several were asked about, or one model several times."""

    signal_id: str
    rater: str
    rating: int


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """What the report is made with. ``cutoff`` in microseconds since 1970: the end of the model's training.

    ``earlier_p`` are the p-values of other looks, which the primary test is corrected for. ``spent_usd``
    stands in for costs that the signals do not know. ``keep_from``: the rating from which the money section
    takes a signal. ``notes`` are lines for the reader.
    """

    rules: ResolverRules = field(default_factory=ResolverRules)
    seed: int = 20_260_101
    keep_from: int = 4
    cutoff: int | None = None
    spent_usd: float | None = None
    earlier_p: tuple[float, ...] = ()
    title: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Accounting:
    """signals = rated + unrated + failed + expired; rated = resolved + open + unresolvable.

    ``ambiguous`` are among the resolved, ``reasons`` count the unresolvable.
    """

    signals: int
    rated: int
    unrated: int
    failed: int
    expired: int
    resolved: int
    open: int
    unresolvable: int
    ambiguous: int
    reasons: dict[str, int]

    def __post_init__(self) -> None:
        if self.signals != self.rated + self.unrated + self.failed + self.expired:
            raise ValueError(f"the signals do not add up: {self}")
        if self.rated != self.resolved + self.open + self.unresolvable:
            raise ValueError(f"the rated signals do not add up: {self}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The report in one sentence. ``more_needed``: resolved signals for the effect to be seen with 80%."""

    level: Level
    sentence: str
    more_needed: int | None = None


@dataclass(frozen=True, slots=True)
class RankIC:
    """Rank correlation of rating and net R. ``p`` by circular shifts, ``p_holm`` corrected for ``looks``."""

    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    looks: int = 1
    effective_n: float = 0.0
    minimum_detectable: float | None = None


@dataclass(frozen=True, slots=True)
class RatingRow:
    """The resolved signals of one rating. Wins are targets among ``decided`` trades, stop or target.

    ``null_win_rate``: the mean of 1 / (1 + reward:risk) over the same trades, what a fair game gives.
    """

    rating: int
    n: int
    share: float
    mean_r: float | None
    low: float | None
    high: float | None
    median_r: float | None
    decided: int
    win_rate: float | None
    win_low: float | None
    win_high: float | None
    null_win_rate: float | None
    enough: bool


@dataclass(frozen=True, slots=True)
class Monotone:
    """Jonckheere and Terpstra's test of a trend over ratings. ``p`` by shifts, ``p_normal`` as in books.

    ``fit``: mean R by rating 1 to 5, made to rise.
    """

    statistic: float | None
    z: float | None
    p: float | None
    p_normal: float | None
    fit: list[float | None]


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """Signals with at least this rating. The band holds 95% of what shifted ratings give for the mean.

    The naive band is that of a random filter of the same size, which knows nothing of clusters.
    """

    min_rating: int
    n: int
    share: float
    mean_r: float | None
    total_r: float
    drawdown_r: float
    band_low: float | None
    band_high: float | None
    naive_low: float | None
    naive_high: float | None
    enough: bool


@dataclass(frozen=True, slots=True)
class Indicator:
    """One free indicator alone: its rank correlation with net R."""

    name: str
    n: int
    value: float | None
    p: float | None


@dataclass(frozen=True, slots=True)
class Increment:
    """What the rating adds to the free indicators: the rank correlation that they leave over."""

    n: int
    value: float | None
    p: float | None
    beside: list[str]
    indicators: list[Indicator]
    enough: bool


@dataclass(frozen=True, slots=True)
class Rater:
    """How the scale is used, and who agrees with whom. ``repeats``: one rater asked more than once."""

    n: int
    modal_share: float | None
    entropy_bits: float | None
    agreements: list[Agreement]
    repeats: list[Agreement]


@dataclass(frozen=True, slots=True)
class Choppiness:
    """Of "yes" against measures. ``nowcast``: of the bars shown; ``forecast``: of the 10 bars after.

    ``kappa``: with a Choppiness Index over 61.8. The areas are under the curve, 0.5 is chance. Of the
    forecast ``beyond``: the rank correlation of "yes" with how little the price got on, beside the trailing
    measures, and its ``p``. ``r_yes`` and ``r_no``: mean net R.
    """

    n: int
    yes: int
    kappa: float | None
    nowcast: dict[str, float | None]
    forecast: float | None
    beyond: float | None
    p: float | None
    r_yes: float | None
    r_no: float | None
    enough: bool


@dataclass(frozen=True, slots=True)
class Money:
    """What ratings cost and what taking only those of ``keep_from`` and more brought beyond chance, in R.

    ``cost_unknown`` signals are in no sum. ``break_even_usd``: what 1 R must be worth for the ratings to pay;
    None while nothing was gained.
    """

    spent_usd: float | None
    cost_unknown: int
    keep_from: int
    gained_r: float | None
    low: float | None
    high: float | None
    r_per_usd: float | None
    r_per_usd_low: float | None
    r_per_usd_high: float | None
    break_even_usd: float | None


@dataclass(frozen=True, slots=True)
class Period:
    """A part of the resolved signals, on its own: before or after the cutoff, or a regime."""

    name: str
    n: int
    mean_r: float | None
    rank_ic: RankIC
    enough: bool


@dataclass(frozen=True, slots=True)
class Day:
    """The trades that ended on one day (UTC)."""

    date: str
    n: int
    total_r: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything, in the order in which it is shown."""

    title: str
    rules: ResolverRules
    notes: tuple[str, ...]
    accounting: Accounting
    verdict: Verdict
    by_rating: list[RatingRow]
    all_signals: RatingRow
    monotone: Monotone
    rank_ic: RankIC
    policy: list[PolicyRow]
    increment: Increment
    calibration: Calibration
    rater: Rater
    choppiness: Choppiness
    money: Money
    cutoff: list[Period]
    regimes: list[Period]
    calendar: list[Day]
    outcomes: list[Outcome]
