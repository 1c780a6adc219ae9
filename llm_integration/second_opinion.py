"""Several models' readings of one signal: what they agree on, and which signals a shadow sees. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from llm_integration.config.routes import quorum_of
from llm_integration.domain import Choppiness, Opinion

__all__ = ["Agreed", "agree", "in_shadow_sample"]


@dataclass(frozen=True, slots=True)
class Agreed:
    """The reading that several opinions amount to.

    ``rating`` is their median, of an even number the lower of the two in the middle: the scale has no
    halves, and of two doubts the more careful one counts. ``choppiness`` is what more of them say, None
    for a tie. ``spread`` is the largest rating minus the smallest, None when nobody rated. ``rated`` of
    ``asked`` gave a rating; below the quorum ``rating`` and ``choppiness`` are None and ``error`` says so.
    """

    rating: int | None
    choppiness: Choppiness | None
    spread: int | None
    rated: int
    asked: int
    error: str | None = None


def agree(opinions: Sequence[Opinion], *, quorum: int | None = None) -> Agreed:
    """What the ensemble's opinions amount to; those of shadows are left out.

    ``quorum`` is how many must have rated; without one, more than half of those asked.
    """
    voices = [opinion for opinion in opinions if opinion.role == "ensemble"]
    ratings = sorted(
        voice.rating for voice in voices if _is_rating(voice.rating) and voice.rating is not None
    )
    spread = ratings[-1] - ratings[0] if ratings else None
    needed = max(1, quorum_of(len(voices)) if quorum is None else quorum)
    if len(ratings) < needed:
        reason = f"{len(ratings)} of {len(voices)} models rated the signal, {needed} are needed"
        return Agreed(None, None, spread, len(ratings), len(voices), reason + _reasons(voices))
    median = ratings[(len(ratings) - 1) // 2]
    return Agreed(median, _majority(voices), spread, len(ratings), len(voices))


def in_shadow_sample(signal_id: str, share: float, salt: str = "") -> bool:
    """Whether a shadow sees this signal: always the same answer for an id, yes for a ``share`` of all ids.

    ``salt`` (the shadow's name) makes the samples of two shadows independent of each other.
    """
    digest = blake2b(f"{salt}\0{signal_id}".encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def _is_rating(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 5


def _majority(voices: Iterable[Opinion]) -> Choppiness | None:
    said = [voice.choppiness for voice in voices]
    yes, no = said.count("yes"), said.count("no")
    if yes == no:
        return None
    return "yes" if yes > no else "no"


def _reasons(voices: Iterable[Opinion]) -> str:
    told = [f"{voice.model_requested}: {voice.error}" for voice in voices if voice.error]
    return f" ({'; '.join(told)[:400]})" if told else ""
