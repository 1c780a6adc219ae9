"""Bars as JSON, each written once: most come again with the next signal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from llm_integration.domain import Bar
from llm_integration.record.storable import json_bytes

__all__ = ["BarTexts"]


class BarTexts:
    """Remembers the texts of up to ``most`` bars."""

    def __init__(self, most: int) -> None:
        self._most = most
        # Texts by the ids of their bars, and the bars: as long as they live, nothing else has their ids.
        # Always replaced together, never emptied, as another thread may be at it.
        self._known: tuple[dict[int, bytes], list[Bar]] = {}, []

    def __len__(self) -> int:
        return len(self._known[0])

    def join(self, bars: Sequence[Bar]) -> bytes:
        """The bars as a JSON array, each as ``json_bytes`` writes its values."""
        texts: list[Any] = [*map(self._known[0].get, map(id, bars))]
        if not all(texts):
            missing = [at for at, text in enumerate(texts) if not text]
            fresh = [bars[at] for at in missing]
            written = _write(fresh)
            for at, text in zip(missing, written, strict=True):
                texts[at] = text
            self._remember(fresh, written)
        return b"[[%b]]" % b"],[".join(texts) if texts else b"[]"

    def _remember(self, bars: Sequence[Bar], texts: Sequence[bytes]) -> None:
        if len(bars) > self._most or {*map(type, bars)} != {Bar}:
            return  # a list, if somebody made a signal of such, may change
        known, alive = self._known
        if len(alive) + len(bars) > self._most:
            self._known = known, alive = {}, []
        alive += bars
        known.update(zip(map(id, bars), texts, strict=True))


def _write(bars: Sequence[Bar]) -> list[bytes]:
    """The inside of each bar's array. Times as ISO 8601, by orjson itself; all at once costs half."""
    rows = [*map(tuple, bars)]
    try:
        array = orjson.dumps(rows)
    except TypeError:
        array = b""
    texts = array[2:-2].split(b"],[")
    if len(texts) == len(rows) and b"\\u0000" not in array and array:
        return texts
    return [json_bytes(row)[1:-1] for row in rows]
