"""Ratings as the bundled host uses them: beside their signals on the dashboard, and judged after a demo."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from pathlib import Path

from llm_integration import Bar, LLMAnalysis, Signal
from trading.dashboard import RatedSignal

__all__ = ["Ratings"]

MOST_ASKED = 1_000
"""Unanswered signals whose answer can still be put beside their time and symbol."""
MOST_JUDGED = 20_000
"""The signals of a demo that its last lines judge: the latest so many."""
MOST_SHOWN = 5


class Ratings:
    """The signals that were asked about, and how the latest of them ended."""

    def __init__(self, *, judged: bool) -> None:
        self._asked: dict[str, Signal] = {}
        self._recent: deque[RatedSignal] = deque(maxlen=MOST_SHOWN)
        self._ended: deque[tuple[Signal, LLMAnalysis]] = deque(maxlen=MOST_JUDGED if judged else 0)

    @property
    def recent(self) -> tuple[RatedSignal, ...]:
        """The last five, newest last."""
        return tuple(self._recent)

    def asked(self, signal: Signal) -> None:
        """The sidecar has the signal now."""
        self._asked[signal.signal_id] = signal
        if len(self._asked) > MOST_ASKED:
            del self._asked[next(iter(self._asked))]

    def came(self, analysis: LLMAnalysis) -> None:
        """A signal has its end."""
        signal = self._asked.pop(analysis.signal_id, None)
        if signal is None:
            return
        self._ended.append((signal, analysis))
        text = analysis.recommendations or analysis.analysis if analysis.rated else analysis.error
        self._recent.append(
            RatedSignal(
                timestamp=signal.timestamp,
                symbol=signal.symbol,
                signal_type=signal.signal_type,
                rating=analysis.rating,
                choppiness=analysis.choppiness,
                method=analysis.parse_method.value,
                status=analysis.status.value,
                text=text or "",
            )
        )

    def judge(self, bars: Iterable[Bar], folder: Path) -> list[str]:
        """Whether the ratings were worth anything: lines for the end of a demo, and a page in ``folder``.

        Blocks for about a second.
        """
        from trading.verdict import PAGE, write_verdict  # noqa: PLC0415  numpy, for the end of a demo alone

        note = "a simulated model rated these signals: nothing here says anything about a real one"
        try:
            sentence = write_verdict(list(self._ended), bars, folder, note=note)
        except OSError as error:
            return [f"worth: {folder / PAGE} cannot be written: {error.strerror or error}"]
        return [f"worth (of a simulated model): {sentence}", f"report: {folder / PAGE}"]
