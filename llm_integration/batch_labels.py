"""Labels: short codes by which a prompt and its reply name the signals of a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

__all__ = ["batch_label", "batch_labels"]

_LETTERS: Final = "cdfghjkmnpqrtvwx"
"""No vowels, so that no label is a word; no letter that looks like a digit."""
_CHARS: Final = "234678" + _LETTERS
_LENGTH: Final = 6
_LONGEST: Final = 12


def batch_label(signal_id: str) -> str:
    """A code of six characters that depends on ``signal_id`` alone. It begins with a letter."""
    return _code(signal_id, _LENGTH)


def batch_labels(signal_ids: Sequence[str]) -> list[str]:
    """A label for each signal of a batch, all different, whatever the order of the signals.

    Signals whose labels collide get longer ones. An id that is given more than once cannot be told apart by
    its hash; its further occurrences are counted into theirs.
    """
    labels = [batch_label(signal_id) for signal_id in signal_ids]
    for length in range(_LENGTH + 1, _LONGEST + 1):
        for group in _collisions(labels):
            for place in group:
                labels[place] = _code(signal_ids[place], length)
    occurrence = 0
    while groups := _collisions(labels):
        occurrence += 1
        for group in groups:
            for place in group[1:]:
                labels[place] = _code(f"{occurrence}:{signal_ids[place]}", _LONGEST)
    return labels


def _collisions(labels: Sequence[str]) -> list[list[int]]:
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        places[label].append(place)
    return [group for group in places.values() if len(group) > 1]


def _code(text: str, length: int) -> str:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    number, first = divmod(int.from_bytes(digest, "big"), len(_LETTERS))
    code = _LETTERS[first]
    while len(code) < length:
        number, place = divmod(number, len(_CHARS))
        code += _CHARS[place]
    return code
