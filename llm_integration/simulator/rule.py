"""How the simulator rates a signal: a published rule over the facts that the prompt states. Pure.

The rule is simple on purpose. It exists so that a demo shows ratings that hang together and so that a
test knows beforehand what must come back; it is no trading advice.

Facts are read from the prompt by their labels (any case; ``:``, ``=`` or ``|`` before the value; a
period in parentheses is allowed): ``Symbol``, ``Signal type`` or ``Direction``, ``Entry price``,
``Stop loss``, ``Target price``, ``Risk/reward ratio``, ``Choppiness Index``, ``Efficiency ratio`` and
``RSI``. The first readable value of a label counts; ``missing`` is not readable. Nothing
behind the first ``MAX_READ_CHARS`` characters of the prompt is looked at.

Rating, 1 (avoid) to 5 (excellent), from risk/reward (computed from entry, stop and target when it is
not stated):

    risk/reward     below 1: 1     below 1.5: 2     below 2.5: 3     otherwise: 4     unknown: 2
    efficiency      0.6 and more: +2     0.4 and more: +1     below 0.2: -1
    Choppiness Index 61.8 and more: -1
    RSI             a buy at 70 and more, a sell at 30 and less: -1

and the sum is kept between 1 and 5. Choppiness: ``yes`` at a Choppiness Index of 61.8 and more, ``no`` at
38.2 and less; between them or without one, ``yes`` when the efficiency ratio is below 0.3; without that
too, ``yes`` at an index of 50 and more. A prompt without risk/reward, efficiency ratio and Choppiness Index
is rated by a hash of its text, and so is choppiness when nothing speaks about it. The same prompt always
gets the same answer. In a prompt about several signals each is rated so by its own lines (``batches``).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

__all__ = ["MAX_READ_CHARS", "Facts", "Reading", "rate", "read_facts"]

MAX_READ_CHARS = 8_192
"""How much of a prompt is searched for facts; bounds the work on the event loop."""

CHOPPY_FROM = 61.8
TRENDING_TO = 38.2

_NUMBER = r"[-+]?\d{1,15}(?:\.\d{1,15})?(?![\d.]*\d)"
_SEPARATOR = r"\"?[ \t]{0,4}(?:\([^()\n]{0,24}\))?\"?[ \t]{0,4}[:=|][ \t]{0,4}[\"'`$]{0,2}"
_FACT = re.compile(
    rf"""(?<![A-Za-z0-9_])(?=[rcestd])(?:
      (?:risk[ ]?[/_:-][ ]?reward(?:[ _]ratio)?{_SEPARATOR}(?:1[ ]?:[ ]?)?(?P<risk_reward>{_NUMBER}))
    | (?:choppiness[ _]index(?:_\d+)?{_SEPARATOR}(?P<choppiness_index>{_NUMBER}))
    | (?:efficiency[ _]ratio(?:_\d+)?{_SEPARATOR}(?P<efficiency_ratio>{_NUMBER}))
    | (?:rsi(?:_\d+)?{_SEPARATOR}(?P<rsi>{_NUMBER}))
    | (?:entry(?:[ _]price)?{_SEPARATOR}(?P<entry>{_NUMBER}))
    | (?:stop(?:[ _]?loss)?{_SEPARATOR}(?P<stop>{_NUMBER}))
    | (?:(?:target(?:[ _]price)?|take[ _]profit){_SEPARATOR}(?P<target>{_NUMBER}))
    | (?:(?:signal[ _]type|direction|side){_SEPARATOR}(?P<direction>buy|sell|long|short)\b)
    | (?:symbol{_SEPARATOR}(?P<symbol>[A-Za-z0-9^][A-Za-z0-9./^_-]{{0,23}}))
    )""",
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a prompt says about its signal; None for what it does not say."""

    symbol: str | None = None
    direction: Literal["buy", "sell"] | None = None
    entry: float | None = None
    stop: float | None = None
    target: float | None = None
    risk_reward: float | None = None
    choppiness_index: float | None = None
    efficiency_ratio: float | None = None
    rsi: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The simulator's honest answer to one prompt."""

    rating: int
    choppiness: Literal["yes", "no"]
    analysis: str
    recommendations: str

    def as_dict(self) -> dict[str, object]:
        """The four keys of a reply, in the order in which they are written."""
        return {
            "rating": self.rating,
            "choppiness": self.choppiness,
            "analysis": self.analysis,
            "recommendations": self.recommendations,
        }

    def as_json(self) -> str:
        """The reply as a well-behaved model writes it."""
        return json.dumps(self.as_dict(), ensure_ascii=False)


def read_facts(prompt: str) -> Facts:
    """The facts stated in ``prompt``; the first readable value of each label."""
    found: dict[str, str] = {}
    for match in _FACT.finditer(prompt, 0, MAX_READ_CHARS):
        name = match.lastgroup
        if name is not None:
            found.setdefault(name, match[name])
            if len(found) == _FACT.groups:
                break
    entry, stop, target = (_number(found.get(name)) for name in ("entry", "stop", "target"))
    stated = _number(found.get("risk_reward"))
    return Facts(
        symbol=found.get("symbol"),
        direction=_direction(found.get("direction")),
        entry=entry,
        stop=stop,
        target=target,
        risk_reward=stated if stated is not None else _ratio(entry, stop, target),
        choppiness_index=_number(found.get("choppiness_index")),
        efficiency_ratio=_number(found.get("efficiency_ratio")),
        rsi=_number(found.get("rsi")),
    )


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _direction(text: str | None) -> Literal["buy", "sell"] | None:
    if text is None:
        return None
    return "buy" if text.lower() in ("buy", "long") else "sell"


def _ratio(entry: float | None, stop: float | None, target: float | None) -> float | None:
    if entry is None or stop is None or target is None:
        return None
    risk, reward = entry - stop, target - entry
    ratio = abs(reward / risk) if risk * reward > 0 else math.inf
    return ratio if math.isfinite(ratio) else None


def rate(prompt: str) -> Reading:
    """The rule of this module applied to ``prompt``."""
    facts = read_facts(prompt)
    digest = blake2b(prompt[:MAX_READ_CHARS].encode("utf-8", "surrogatepass"), digest_size=2).digest()
    rating = _rating(facts, digest[0])
    choppiness: Literal["yes", "no"] = "yes" if _choppy(facts, digest[1]) else "no"
    return Reading(rating, choppiness, _analysis(facts, choppiness), _RECOMMENDATIONS[rating])


def _rating(facts: Facts, dice: int) -> int:
    efficiency, index = facts.efficiency_ratio, facts.choppiness_index
    if facts.risk_reward is None and efficiency is None and index is None:
        return 1 + dice % 5
    score = _base(facts.risk_reward) + _efficiency_points(efficiency)
    score -= index is not None and index >= CHOPPY_FROM
    score -= _late(facts)
    return min(5, max(1, score))


def _base(risk_reward: float | None) -> int:
    if risk_reward is None:
        return 2
    return 1 + sum(risk_reward >= bound for bound in (1.0, 1.5, 2.5))


def _efficiency_points(efficiency: float | None) -> int:
    if efficiency is None:
        return 0
    return sum(efficiency >= bound for bound in (0.2, 0.4, 0.6)) - 1


def _late(facts: Facts) -> bool:
    """Whether the move has already run: an overbought buy or an oversold sell."""
    if facts.rsi is None or facts.direction is None:
        return False
    return facts.rsi >= 70 if facts.direction == "buy" else facts.rsi <= 30


def _choppy(facts: Facts, dice: int) -> bool:
    index, efficiency = facts.choppiness_index, facts.efficiency_ratio
    if index is not None and not TRENDING_TO < index < CHOPPY_FROM:
        return index >= CHOPPY_FROM
    if efficiency is not None:
        return efficiency < 0.3
    if index is not None:
        return index >= 50
    return dice % 2 == 1


def _analysis(facts: Facts, choppiness: str) -> str:
    what = f"{(facts.direction or 'signal').upper()} {facts.symbol or 'of an unnamed symbol'}"
    market = "a choppy market" if choppiness == "yes" else "a market with direction"
    values = (
        ("risk/reward", facts.risk_reward, 2),
        ("efficiency ratio", facts.efficiency_ratio, 2),
        ("Choppiness Index", facts.choppiness_index, 1),
        ("RSI", facts.rsi, 1),
    )
    known = [f"{name} {value:.{digits}f}" for name, value, digits in values if value is not None]
    basis = ", ".join(known) or "no figures, so by a hash of the prompt"
    return f"Simulated by a fixed rule, no model was asked: {what} in {market}. Basis: {basis}."


_RECOMMENDATIONS = {
    1: "Leave this one out; what it can win does not pay for what it risks.",
    2: "Stand aside unless something outside these figures speaks for it.",
    3: "Acceptable at reduced size with the stop where it is.",
    4: "Worth taking at normal size; keep the stop and the target as given.",
    5: "Strong; take it at normal size and let it run to the target.",
}
