"""Whether ratings still say something: one value that takes over, replies that cannot be read any more.

Pure: results go in one by one, alarms come out. Memory is bounded, and ``add`` takes some microseconds.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "Alarm",
    "AlarmKind",
    "RatingHealth",
    "VersionHealth",
    "entropy_bits",
    "entropy_fall",
    "share_rise",
]

VALUES = 5
MOST_VERSIONS = 100
REFERENCE_WINDOWS = 5
"""The history that a window is held against is up to five windows long."""


class AlarmKind(StrEnum):
    """What is wrong: the ratings lose information, or ever more replies have no rating."""

    TAKEOVER = "takeover"
    UNRATED = "unrated"


@dataclass(frozen=True, slots=True)
class Alarm:
    """A change of state; ``raised`` is False when the trouble is over. ``message`` is one line."""

    kind: AlarmKind
    raised: bool
    model: str
    prompt: str
    message: str


@dataclass(frozen=True, slots=True)
class VersionHealth:
    """One model and prompt. ``counts`` and ``shares`` are those of the ratings 1 to 5 in the window.

    ``total`` counts all its results so far. Entropies are in bits, 0 when all ratings are the same and 2.32
    when all five are equally frequent; None while there are too few. ``reference_*`` are those of the
    history it is held against, which is ``inherited`` while its own is too short.
    """

    model: str
    prompt: str
    total: int
    results: int
    rated: int
    unrated: int
    counts: tuple[int, ...]
    entropy_bits: float | None
    reference_bits: float | None
    top_rating: int | None
    top_share: float | None
    unrated_share: float | None
    reference_unrated_share: float | None
    inherited: bool
    alarms: tuple[AlarmKind, ...]


def version_names(
    model_served: str | None, model_requested: str | None, prompt_name: str | None, prompt_version: str | None
) -> tuple[str, str]:
    """The names under which an answer is counted: its model and its prompt."""
    prompt = " ".join(part for part in (prompt_name, prompt_version) if part)
    return model_served or model_requested or "(unknown)", prompt or "(unknown)"


def entropy_bits(counts: Sequence[int]) -> float:
    """Shannon entropy of a sample, in bits, with Miller's correction; 0 for an empty one.

    The plain estimate is too low by about (K - 1) / (2 n ln 2) bits for n values in K classes: G. A. Miller,
    Note on the bias of information estimates, 1955.
    """
    total, classes, plain, _ = _moments(counts)
    return plain + (classes - 1) / (2 * total * math.log(2)) if total else 0.0


def _moments(counts: Sequence[int]) -> tuple[int, int, float, float]:
    """How many values, in how many classes, the plain entropy, and Var(log2 p(X))."""
    total = sum(counts)
    classes, mean, square = 0, 0.0, 0.0
    for count in counts:
        if count:
            log = math.log2(count / total)
            classes += 1
            mean += count / total * log
            square += count / total * log * log
    return total, classes, 0.0 - mean, max(0.0, square - mean * mean)


def entropy_fall(window: Sequence[int], reference: Sequence[int]) -> tuple[float, float]:
    """By how many bits ``window`` has less entropy than ``reference``, and by how many standard errors.

    The entropy of n values drawn from p is asymptotically normal with variance Var(log2 p(X)) / n
    (G. P. Basharin, On a statistical estimate for the entropy of a sequence of independent random variables,
    1959). Where p is nearly uniform that vanishes and n times the entropy follows a chi-square law with K - 1
    degrees of freedom, whose variance, (K - 1) / (2 n^2 ln^2 2), is added. p is that of both together.
    """
    fall = entropy_bits(reference) - entropy_bits(window)
    one, other = sum(window), sum(reference)
    _, classes, _, spread = _moments([a + b for a, b in zip(window, reference, strict=True)])
    if not one or not other or classes < 2:
        return fall, 0.0
    second = (classes - 1) / (2 * math.log(2) ** 2)
    variance = spread * (1 / one + 1 / other) + second * (1 / one**2 + 1 / other**2)
    return fall, fall / math.sqrt(variance)


def share_rise(count: int, total: int, before: int, before_total: int) -> tuple[float, float]:
    """By how much a share has risen, and by how many standard errors: the two-proportion test, pooled.

    (For instance A. Agresti, Categorical Data Analysis, section 3.2.)
    """
    if not total or not before_total:
        return 0.0, 0.0
    rise = count / total - before / before_total
    pooled = (count + before) / (total + before_total)
    variance = pooled * (1 - pooled) * (1 / total + 1 / before_total)
    return rise, rise / math.sqrt(variance) if variance > 0 else 0.0


class _Results:
    """The last results of a kind, up to a number, counted."""

    __slots__ = ("_kept", "_most", "counts", "unrated")

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: deque[int] = deque()
        self.counts = [0] * VALUES
        self.unrated = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def rated(self) -> int:
        return len(self._kept) - self.unrated

    def add(self, result: int) -> int | None:
        """Take a rating (0: none); what falls out at the other end."""
        self._kept.append(result)
        self._count(result, 1)
        if len(self._kept) <= self._most:
            return None
        oldest = self._kept.popleft()
        self._count(oldest, -1)
        return oldest

    def copy(self) -> _Results:
        other = _Results(self._most)
        other._kept, other.counts, other.unrated = self._kept.copy(), [*self.counts], self.unrated
        return other

    def extend(self, results: _Results) -> None:
        for result in results._kept:
            self.add(result)

    def _count(self, result: int, step: int) -> None:
        if result:
            self.counts[result - 1] += step
        else:
            self.unrated += step


@dataclass(slots=True)
class _Version:
    """One model and prompt: the window, the history before it, and the one it took over at its start."""

    window: _Results
    own: _Results
    inherited: _Results | None
    total: int = 0
    alarms: list[AlarmKind] = field(default_factory=list)


class RatingHealth:
    """Watches the ratings of each model and prompt version.

    An alarm is raised when, in the last ``window`` results (at least ``minimum`` of them),

    - the entropy of the ratings has fallen by ``fall_bits`` or more below that of the history, and by
      ``deviations`` standard errors or more: one value is taking over; or
    - the share of unrated replies has risen by ``unrated_rise`` or more, and as significantly.

    The history is the version's own, up to five windows of results older than the window. While that is
    shorter than one window, the history of the version that was in use before it stands in: a prompt whose
    ratings all are 3 from its first day on has no better past of its own. With neither, one value above
    70% or unrated replies above 5%, as significantly, count as trouble.

    While an alarm stands, the history takes nothing in, so that bad results do not become the measure. It is
    over when the difference has come down to half. Each change is announced once.

    Five standard errors, because a window is looked at anew with every result: of independent ratings less
    than one in 100,000 raises a false alarm (tests/unit/test_rating_health.py). Ratings of neighbouring
    signals are not quite independent, hence the least differences.
    """

    def __init__(
        self,
        window: int = 200,
        minimum: int = 50,
        *,
        deviations: float = 5.0,
        fall_bits: float = 0.4,
        unrated_rise: float = 0.05,
    ) -> None:
        self._window = max(2, window)
        self._minimum = min(max(2, minimum), self._window)
        self._deviations = deviations
        self._fall_bits = fall_bits
        self._unrated_rise = unrated_rise
        self._versions: OrderedDict[tuple[str, str], _Version] = OrderedDict()

    def add(self, rating: int | None, *, model: str, prompt: str) -> Alarm | None:
        """Take one answered signal's rating, None if it was unrated; the change it brought, if any."""
        key = model, prompt
        version = self._versions.get(key) or self._new(key)
        self._versions.move_to_end(key)
        known = rating is not None and 1 <= rating <= VALUES
        version.total += 1
        left = version.window.add(rating if known and rating else 0)
        if left is not None and not version.alarms:
            version.own.add(left)
        if len(version.window) < self._minimum:
            return None
        return self._judge_takeover(key, version) or self._judge_unrated(key, version)

    def report(self) -> list[VersionHealth]:
        """Every version seen, the one in use last."""
        return [self._told(key, version) for key, version in self._versions.items()]

    def _new(self, key: tuple[str, str]) -> _Version:
        most = REFERENCE_WINDOWS * self._window
        inherited: _Results | None = None
        if self._versions:
            last = next(reversed(self._versions.values()))
            inherited = self._reference(last)[0]
            inherited = _Results(most) if inherited is None else inherited.copy()
            if not last.alarms:
                inherited.extend(last.window)
            inherited = inherited if len(inherited) >= self._minimum else None
        version = _Version(_Results(self._window), _Results(most), inherited)
        self._versions[key] = version
        if len(self._versions) > MOST_VERSIONS:
            self._versions.popitem(last=False)
        return version

    def _reference(self, version: _Version) -> tuple[_Results | None, bool]:
        """The history to hold the window against, and whether it is an inherited one."""
        if len(version.own) >= self._window or version.inherited is None:
            return (version.own, False) if len(version.own) >= self._minimum else (None, False)
        return version.inherited, True

    def _judge_takeover(self, key: tuple[str, str], version: _Version) -> Alarm | None:
        window = version.window
        if window.rated < self._minimum:
            return None
        reference, _ = self._reference(version)
        if reference is not None and reference.rated >= self._minimum:
            size, errors = entropy_fall(window.counts, reference.counts)
            least = self._fall_bits
        else:
            size, errors = _excess(max(window.counts), window.rated, 0.7)
            least = 0.1
        if not self._changes(AlarmKind.TAKEOVER, version, size / least, errors):
            return None
        return _alarm(AlarmKind.TAKEOVER, key, version, _takeover_text(window, reference))

    def _judge_unrated(self, key: tuple[str, str], version: _Version) -> Alarm | None:
        window = version.window
        reference, _ = self._reference(version)
        if reference is not None:
            size, errors = share_rise(window.unrated, len(window), reference.unrated, len(reference))
        else:
            size, errors = _excess(window.unrated, len(window), 0.05)
        if not self._changes(AlarmKind.UNRATED, version, size / self._unrated_rise, errors):
            return None
        return _alarm(AlarmKind.UNRATED, key, version, _unrated_text(window, reference))

    def _changes(self, kind: AlarmKind, version: _Version, size: float, errors: float) -> bool:
        """``size`` is the difference in units of the least one that counts."""
        if kind in version.alarms:
            return size < 0.5
        return size >= 1 and errors >= self._deviations

    def _told(self, key: tuple[str, str], version: _Version) -> VersionHealth:
        window = version.window
        reference, inherited = self._reference(version)
        top = max(window.counts)
        return VersionHealth(
            model=key[0],
            prompt=key[1],
            total=version.total,
            results=len(window),
            rated=window.rated,
            unrated=window.unrated,
            counts=tuple(window.counts),
            entropy_bits=entropy_bits(window.counts) if window.rated >= self._minimum else None,
            reference_bits=entropy_bits(reference.counts) if reference and reference.rated else None,
            top_rating=window.counts.index(top) + 1 if window.rated else None,
            top_share=top / window.rated if window.rated else None,
            unrated_share=window.unrated / len(window) if len(window) else None,
            reference_unrated_share=reference.unrated / len(reference) if reference else None,
            inherited=inherited,
            alarms=tuple(version.alarms),
        )


def _alarm(kind: AlarmKind, key: tuple[str, str], version: _Version, text: str) -> Alarm:
    """Turn the alarm of this kind on or off."""
    raised = kind not in version.alarms
    if raised:
        version.alarms.append(kind)
    else:
        version.alarms.remove(kind)
    return Alarm(kind, raised, *key, text if raised else f"over: {text}")


def _excess(count: int, total: int, bound: float) -> tuple[float, float]:
    """By how much a share is above a fixed bound, and by how many standard errors."""
    size = count / total - bound
    return size, size / math.sqrt(bound * (1 - bound) / total)


def _takeover_text(window: _Results, reference: _Results | None) -> str:
    top = max(window.counts)
    rating = window.counts.index(top) + 1
    text = f"{top / window.rated:.0%} of the last {window.rated} ratings are {rating}"
    if reference is None or not reference.rated:
        return text
    before = reference.counts[rating - 1] / reference.rated
    return (
        f"{text}, before it was {before:.0%}; entropy {entropy_bits(window.counts):.2f} bits,"
        f" before {entropy_bits(reference.counts):.2f}"
    )


def _unrated_text(window: _Results, reference: _Results | None) -> str:
    text = f"{window.unrated / len(window):.0%} of the last {len(window)} answers have no rating"
    if reference is None or not len(reference):
        return text
    return f"{text}, before it was {reference.unrated / len(reference):.0%}"
