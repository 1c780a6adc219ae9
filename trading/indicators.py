"""The technical indicators named in ``indicators_to_include``, computed with TA-Lib at signal time.

A value is a function of the last ``IndicatorSet.history`` bars and of nothing else. Two things follow. No
value can depend on a later bar. And a process that replays that many bars after a restart gets the values
it would have had. Recursive indicators (EMA, RSI, ATR, ADX, MACD ...) therefore start anew at the beginning
of the window instead of at the beginning of time; with at least 500 bars, and never less than twenty times
the period, what the earlier bars would still contribute is less than a millionth of what they once moved.
Cumulative ones (OBV) count from the beginning of the window, so only their changes carry meaning.

Formulas: TA-Lib, https://ta-lib.org/functions/, but for two that stand here. The stochastic oscillator is
George Lane's slow one as in TA-Lib's STOCH. The volume ratio, which TA-Lib lacks, is the relative volume of
trading platforms: a bar's volume over the simple average of the last 20, its own included. Wilder's RSI and
average true range are those of "New Concepts in Technical Trading Systems" (1978); Bollinger bands lie two
standard deviations of the population around the average, as John Bollinger defines them.

What is not defined is missing, never a number: a stochastic or RSI of a market that did not move, a ratio to
an average volume of zero, and whatever needs a volume that a bar does not have.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import talib
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from llm_integration import Bar
from trading.errors import IndicatorError
from trading.text import shown

__all__ = ["ALIASES", "FAMILIES", "Family", "IndicatorSet"]

Column = NDArray[np.float64]

MIN_HISTORY = 500
HISTORY_PER_PERIOD = 20
SHORTEST_HISTORY = 40
MAX_PERIOD = 500
SMOOTHED_OVER = 3
"""Bars in the averages that make a fast stochastic a slow one, and %D of %K."""
MISSING: NDArray[np.float64] = np.array([math.nan])
SUFFIXED_NAME = re.compile(r"([a-z_]{1,30})_([0-9]{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Window:
    """The bars that a value is computed from, one array for each price, oldest first."""

    high: Column
    low: Column
    close: Column
    volume: Column


@dataclass(frozen=True, slots=True)
class Family:
    """One indicator for any period: ``default`` is the period of the plain name, None if it takes none."""

    compute: Callable[[Window, int], Column]
    default: int | None
    meaning: str
    shortest: int = 2


def _closes(function: Callable[..., Any]) -> Callable[[Window, int], Column]:
    return lambda w, period: function(w.close, timeperiod=period)


def _ranges(function: Callable[..., Any]) -> Callable[[Window, int], Column]:
    return lambda w, period: function(w.high, w.low, w.close, timeperiod=period)


def _macd(output: int) -> Callable[[Window, int], Column]:
    return lambda w, _: talib.MACD(w.close, fastperiod=12, slowperiod=26, signalperiod=9)[output]


def _bands(output: int) -> Callable[[Window, int], Column]:
    return lambda w, period: talib.BBANDS(w.close, timeperiod=period, nbdevup=2.0, nbdevdn=2.0)[output]


def _rsi(w: Window, period: int) -> Column:
    """Missing while the close has not moved at all: nothing was gained or lost, of which it is the ratio."""
    strength: Column = talib.RSI(w.close, timeperiod=period)
    return strength if w.close.min() < w.close.max() else MISSING


def _fast_stochastic(w: Window, period: int, count: int) -> Column | None:
    """The place of each of the last ``count`` closes between the lowest low and the highest high of
    ``period`` bars, in percent; None while there are too few bars, or where that range is nothing.
    """
    bars = period + count - 1
    if len(w.close) < bars:
        return None
    lowest = sliding_window_view(w.low[-bars:], period).min(axis=1)
    spans = sliding_window_view(w.high[-bars:], period).max(axis=1) - lowest
    if not (spans > 0).all():
        return None
    places: Column = 100.0 * ((w.close[-count:] - lowest) / spans)
    return places


def _stochastic_k(w: Window, period: int) -> Column:
    """%K: the average of the last three places."""
    fast = _fast_stochastic(w, period, SMOOTHED_OVER)
    return MISSING if fast is None else np.array([fast.mean()])


def _stochastic_d(w: Window, period: int) -> Column:
    """%D: the average of the last three %K."""
    fast = _fast_stochastic(w, period, 2 * SMOOTHED_OVER - 1)
    return MISSING if fast is None else np.array([sliding_window_view(fast, SMOOTHED_OVER).mean()])


def _volume_ratio(w: Window, period: int) -> Column:
    """The last volume over the simple average of the last ``period``; missing if that is zero or unknown."""
    average = w.volume[-period:].mean() if len(w.volume) >= period else math.nan
    return w.volume[-1:] / average if 0 < average < math.inf else MISSING


def _money_flow(w: Window, period: int) -> Column:
    flow: Column = talib.MFI(w.high, w.low, w.close, w.volume, timeperiod=period)
    return flow


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "sma": Family(_closes(talib.SMA), 20, "simple moving average"),
        "ema": Family(_closes(talib.EMA), 20, "exponential moving average"),
        "wma": Family(_closes(talib.WMA), 20, "weighted moving average"),
        "rsi": Family(_rsi, 14, "relative strength index"),
        "roc": Family(_closes(talib.ROC), 10, "rate of change, percent", shortest=1),
        "mom": Family(_closes(talib.MOM), 10, "momentum, in price", shortest=1),
        "stddev": Family(_closes(talib.STDDEV), 20, "standard deviation of the close"),
        "atr": Family(_ranges(talib.ATR), 14, "average true range", shortest=1),
        "natr": Family(_ranges(talib.NATR), 14, "average true range, percent of the close", shortest=1),
        "adx": Family(_ranges(talib.ADX), 14, "average directional index"),
        "plus_di": Family(_ranges(talib.PLUS_DI), 14, "directional indicator, up", shortest=1),
        "minus_di": Family(_ranges(talib.MINUS_DI), 14, "directional indicator, down", shortest=1),
        "cci": Family(_ranges(talib.CCI), 20, "commodity channel index"),
        "willr": Family(_ranges(talib.WILLR), 14, "Williams %R"),
        "mfi": Family(_money_flow, 14, "money flow index"),
        "macd": Family(_macd(0), None, "MACD line of 12, 26 and 9"),
        "macd_signal": Family(_macd(1), None, "MACD signal line"),
        "macd_hist": Family(_macd(2), None, "MACD line less its signal line"),
        "bb_upper": Family(_bands(0), 20, "Bollinger band, average plus 2 standard deviations"),
        "bb_middle": Family(_bands(1), 20, "Bollinger band, average"),
        "bb_lower": Family(_bands(2), 20, "Bollinger band, average less 2 standard deviations"),
        "stoch_k": Family(_stochastic_k, 14, "slow stochastic %K", shortest=1),
        "stoch_d": Family(_stochastic_d, 14, "slow stochastic %D", shortest=1),
        "volume_ratio": Family(_volume_ratio, 20, "volume over its average", shortest=1),
        "obv": Family(lambda w, _: talib.OBV(w.close, w.volume), None, "on-balance volume over the window"),
    }
)
"""Every indicator there is, by the name that goes before the period."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "bollinger_upper": "bb_upper",
        "bollinger_middle": "bb_middle",
        "bollinger_lower": "bb_lower",
        "bb_mid": "bb_middle",
        "macdsignal": "macd_signal",
        "macdhist": "macd_hist",
        "macd_histogram": "macd_hist",
        "stochastic_k": "stoch_k",
        "stochastic_d": "stoch_d",
        "momentum": "mom",
        "williams_r": "willr",
        "di_plus": "plus_di",
        "di_minus": "minus_di",
    }
)
"""Other spellings in use."""


class IndicatorSet:
    """Keeps the last bars and computes the named indicators from them.

    ``names`` are families of ``FAMILIES`` or their aliases, in any case, with a period appended where the
    family takes one: ``rsi``, ``RSI_14``, ``bb_upper_20``, ``macd``. ``history`` is the length of the window
    in bars; the default is 500, or twenty times the longest period if that is more. Raises IndicatorError
    for a name that is unknown, a period out of bounds, and a history too short for the longest period.
    """

    def __init__(self, names: Iterable[str], *, history: int | None = None) -> None:
        self._wanted = {name.strip(): _parse(name) for name in names}
        longest = max((period for _, period in self._wanted.values()), default=0)
        self.history = max(MIN_HISTORY, HISTORY_PER_PERIOD * longest) if history is None else history
        if self.history < max(SHORTEST_HISTORY, 2 * longest + 1):
            raise IndicatorError(f"a history of {self.history} bars is too short for these indicators")
        # Twice the window: a bar is written once, and the window moves to the front only when the end is hit.
        self._columns = np.empty((4, 2 * self.history), dtype=np.float64)
        self._end = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The names as they were given, without repetitions: the keys of ``values()``."""
        return tuple(self._wanted)

    def update(self, bar: Bar) -> None:
        """Take in the next bar; costs about a microsecond."""
        if self._end == self._columns.shape[1]:
            kept = self.history - 1
            self._columns[:, :kept] = self._columns[:, self._end - kept :]
            self._end = kept
        self._columns[:, self._end] = bar.high, bar.low, bar.close, _number(bar.volume)
        self._end += 1

    def values(self) -> dict[str, float | None]:
        """Every indicator as of the last bar, by its name as given; None while there are too few bars."""
        if not self._end:
            return dict.fromkeys(self._wanted)
        window = Window(*self._columns[:, max(0, self._end - self.history) : self._end])
        with np.errstate(all="ignore"):  # what is not finite in the end is missing
            return {
                name: _last(family.compute(window, period)) for name, (family, period) in self._wanted.items()
            }


def _number(value: float | None) -> float:
    """A bar without a volume has one that is not a number."""
    return math.nan if value is None else value


def _last(column: Column) -> float | None:
    value = float(column[-1])
    return value if math.isfinite(value) else None


def _parse(name: str) -> tuple[Family, int]:
    """The family and the period of a name; a period of 0 for a family that takes none."""
    wanted = name.strip().lower()
    family = FAMILIES.get(ALIASES.get(wanted, wanted))
    if family:
        return family, family.default or 0
    suffixed = SUFFIXED_NAME.fullmatch(wanted)
    family = FAMILIES.get(ALIASES.get(suffixed[1], suffixed[1])) if suffixed else None
    if family is None or suffixed is None:
        raise IndicatorError(f"unknown indicator {shown(name)}{_nearest(wanted)}; known: {_known()}")
    return family, _period(name, family, int(suffixed[2]))


def _period(name: str, family: Family, period: int) -> int:
    if family.default is None:
        raise IndicatorError(f"indicator {shown(name)}: takes no period, leave the number out")
    if not family.shortest <= period <= MAX_PERIOD:
        raise IndicatorError(
            f"indicator {shown(name)}: the period must be {family.shortest} to {MAX_PERIOD}, not {period}"
        )
    return period


def _nearest(wanted: str) -> str:
    stem = wanted[:40].rstrip("0123456789").rstrip("_")
    near = difflib.get_close_matches(stem, [*FAMILIES, *ALIASES], n=1, cutoff=0.5)
    if not near:
        return ""
    number = wanted[:40][len(stem) :].lstrip("_")
    takes_one = FAMILIES[ALIASES.get(near[0], near[0])].default is not None
    return f" (did you mean {f'{near[0]}_{number}' if number and takes_one else near[0]!s}?)"


def _known() -> str:
    return ", ".join(f"{name}_N" if family.default else name for name, family in FAMILIES.items())
