"""RatingHealth: which results are held against which, and when an alarm begins and ends. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from llm_integration.rating_health.results import VALUES, Results
from llm_integration.rating_health.statistics import entropy_bits, entropy_fall, excess, share_rise
from llm_integration.rating_health.told import Alarm, AlarmKind, VersionHealth

__all__ = ["RatingHealth"]

MOST_VERSIONS = 100
REFERENCE_WINDOWS = 5
"""The history that a window is held against is up to five windows long."""


@dataclass(slots=True)
class _Version:
    """One model and prompt: the window, the history before it, and the one it took over at its start."""

    window: Results
    own: Results
    inherited: Results | None
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

    Five standard errors, because a window is looked at anew with every result: five million independent
    ratings of five healthy distributions raised no false alarm (100,000 of them are a test). Ratings of
    neighbouring signals are not quite independent, hence the least differences.
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
        inherited: Results | None = None
        if self._versions:
            last = next(reversed(self._versions.values()))
            inherited = self._reference(last)[0]
            inherited = Results(most) if inherited is None else inherited.copy()
            if not last.alarms:
                inherited.extend(last.window)
            inherited = inherited if len(inherited) >= self._minimum else None
        version = _Version(Results(self._window), Results(most), inherited)
        self._versions[key] = version
        if len(self._versions) > MOST_VERSIONS:
            self._versions.popitem(last=False)
        return version

    def _reference(self, version: _Version) -> tuple[Results | None, bool]:
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
            size, errors = excess(max(window.counts), window.rated, 0.7)
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
            size, errors = excess(window.unrated, len(window), 0.05)
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


def _takeover_text(window: Results, reference: Results | None) -> str:
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


def _unrated_text(window: Results, reference: Results | None) -> str:
    text = f"{window.unrated / len(window):.0%} of the last {len(window)} answers have no rating"
    if reference is None or not len(reference):
        return text
    return f"{text}, before it was {reference.unrated / len(reference):.0%}"
