"""What rating health tells: alarms, and how each version stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Alarm", "AlarmKind", "VersionHealth", "version_names"]


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
