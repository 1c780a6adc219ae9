"""What shall happen to the next chat request: header, marker in the prompt, script, or the dice. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from itertools import accumulate

from llm_integration.simulator.faults import OK, Fault

__all__ = ["SCRIPT_HEADER", "Script"]

SCRIPT_HEADER = "X-Simulate"
MARKER, MARKER_END = "[[simulate:", "]]"
MARKER_CHARS = 200
"""How far behind a marker its end is looked for."""

PLAIN = Fault(OK)


class Script:
    """Chooses a behaviour for each request. ``roll`` gives numbers from 0 up to 1."""

    def __init__(self, chances: Mapping[str, float], roll: Callable[[], float]) -> None:
        if any(not 0 <= chance <= 1 for chance in chances.values()) or sum(chances.values()) > 1 + 1e-9:
            raise ValueError("faults: probabilities must lie between 0 and 1 and add up to 1 at most")
        bounds = accumulate(chances.values())
        self._odds = [(bound, Fault.parse(name)) for bound, name in zip(bounds, chances, strict=True)]
        self._roll = roll
        self._steps: deque[Fault] = deque()

    def __len__(self) -> int:
        return len(self._steps)

    def append(self, *steps: str | Fault) -> None:
        """Queue steps; all of them or, with a ValueError for an unknown one, none."""
        self._steps.extend([step if isinstance(step, Fault) else Fault.parse(step) for step in steps])

    def clear(self) -> None:
        """Forget the steps that have not happened yet."""
        self._steps.clear()

    def choose(self, header: str | None, prompt: str) -> Fault:
        """The behaviour of the next request. Raises ValueError when header or marker name no fault."""
        named = header or _marked(prompt)
        if named:
            return Fault.parse(named)
        if self._steps:
            return self._steps.popleft()
        if not self._odds:
            return PLAIN
        number = self._roll()
        return next((fault for bound, fault in self._odds if number < bound), PLAIN)


def _marked(prompt: str) -> str | None:
    start = prompt.find(MARKER)
    if start < 0:
        return None
    start += len(MARKER)
    end = prompt.find(MARKER_END, start, start + MARKER_CHARS)
    return prompt[start:end] if end > 0 else None
