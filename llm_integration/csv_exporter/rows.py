"""The rows of the two CSV files, as text. Pure: the same input gives the same bytes, live or rebuilt.

A row of ``llm_strategy_results.csv`` is put together from three pieces, because the middle of it is known
when the bar closes and the end only when the model has answered:
``bar_cells`` + ``signal_cells`` + ``outcome_cells``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from llm_integration.csv_exporter.escape import id_cell, number_cell, prose_cell, quoted, text_cell, time_cell
from llm_integration.domain import Bar, LLMAnalysis, Signal, TaskStatus

__all__ = [
    "NO_SIGNAL",
    "PENDING",
    "RESULT_COLUMNS",
    "RESULT_FILE",
    "SIGNAL_COLUMNS",
    "SIGNAL_FILE",
    "StreamKey",
    "answer_cells",
    "bar_cells",
    "is_whole_result_row",
    "is_whole_signal_row",
    "outcome_cells",
    "signal_cells",
    "signal_row",
    "stream_key",
]

SIGNAL_FILE = "llm_signals.csv"
RESULT_FILE = "llm_strategy_results.csv"

SIGNAL_COLUMNS = (
    "timestamp",
    "signal_id",
    "symbol",
    "signal_type",
    "entry_price",
    "stop_loss",
    "target_price",
    "risk_reward_ratio",
    "llm_rating",
    "llm_choppiness",
    "llm_analysis",
    "llm_recommendations",
    "llm_processing_time_ms",
    "llm_model_used",
    "processed_at",
)
RESULT_COLUMNS = (
    "session_id",
    "timestamp",
    "symbol",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "signal_id",
    "signal_type",
    "entry_price",
    "stop_loss",
    "target_price",
    "llm_status",
    "llm_rating",
    "llm_choppiness",
    "llm_analysis",
    "llm_recommendations",
)

NO_SIGNAL = "," * 10 + "\n"
"""The end of a row whose bar brought no signal."""
PENDING = f",{TaskStatus.PENDING},,,,\n"
"""The LLM cells of a signal that had no outcome when its bar had to be written."""


class StreamKey(NamedTuple):
    """The bars of one symbol in one session, named by their cells in the file."""

    session: str
    symbol: str


def stream_key(session_id: object, symbol: object) -> StreamKey:
    """The key under which bars of ``session_id`` (None: no session) and ``symbol`` are found in the file."""
    return StreamKey(
        id_cell(None if session_id is None else str(session_id)),
        id_cell(None if symbol is None else str(symbol)),
    )


def signal_row(signal: Signal, analysis: LLMAnalysis, answer: str) -> str:
    """One row of ``llm_signals.csv``; ``answer`` is the answer's cells.

    The ratio is rounded to ten digits, against float noise.
    """
    ratio = signal.risk_reward_ratio
    cells = (
        time_cell(signal.timestamp),
        quoted(id_cell(signal.signal_id)),
        quoted(id_cell(signal.symbol)),
        quoted(text_cell(signal.signal_type)),
        number_cell(signal.entry_price),
        number_cell(signal.stop_loss),
        number_cell(signal.target_price),
        "" if ratio is None else repr(float(f"{ratio:.10g}")),
        answer,
        "" if analysis.total_ms is None else str(round(analysis.total_ms)),
        quoted(text_cell(analysis.model_served or analysis.model_requested)),
        time_cell(analysis.processed_at),
    )
    return ",".join(cells) + "\n"


def bar_cells(key: StreamKey, bar: Bar) -> str:
    """The first eight cells of a row of ``llm_strategy_results.csv``. ValueError without a time."""
    moment = time_cell(bar.timestamp)
    if not moment:
        raise ValueError("a bar without a time cannot be placed in the file")
    prices = ",".join([number_cell(value) for value in bar[1:6]])
    return f"{quoted(key.session)},{moment},{quoted(key.symbol)},{prices}"


def signal_cells(signal: Signal) -> str:
    """The signal's five cells, behind those of its bar."""
    prices = ",".join(map(number_cell, (signal.entry_price, signal.stop_loss, signal.target_price)))
    return f",{quoted(id_cell(signal.signal_id))},{quoted(text_cell(signal.signal_type))},{prices}"


def answer_cells(analysis: LLMAnalysis) -> str:
    """Rating, choppiness, analysis and recommendations; empty without an answer."""
    if not analysis.answered:
        return ",,,"
    rating = "" if analysis.rating is None else str(int(analysis.rating))
    texts = (analysis.choppiness, analysis.analysis, analysis.recommendations)
    return ",".join((rating, *[quoted(prose_cell(text)) for text in texts]))


def outcome_cells(analysis: LLMAnalysis, answer: str) -> str:
    """The LLM's five cells, which end the row: how the signal ended, and the cells of the answer.

    The last cell of an answer is always quoted, so that a whole row can be told from one that was cut.
    """
    if analysis.answered and not answer.endswith('"'):
        rest, _, last = answer.rpartition(",")
        answer = f'{rest},"{last}"'
    return f",{analysis.status},{answer}\n"


def is_whole_signal_row(cells: Sequence[str]) -> bool:
    """Whether a row of ``llm_signals.csv`` that lacks its end has lost nothing else: its last cell is a whole
    time, with its zone.
    """
    return len(cells) == len(SIGNAL_COLUMNS) and _WHOLE_TIME(cells[-1]) is not None


def is_whole_result_row(cells: Sequence[str], line: str) -> bool:
    """The same for ``llm_strategy_results.csv``: no signal, no answer, or one whose quotes are closed."""
    if len(cells) != len(RESULT_COLUMNS):
        return False
    status, answer = cells[_STATUS], cells[_STATUS + 1 :]
    if status == TaskStatus.COMPLETED:
        return line.endswith('"')
    return not any(answer) and (status in _UNANSWERED or not any(cells[_SIGNAL_ID:]))


_WHOLE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?[+-][0-9]{2}:[0-9]{2}"
).fullmatch
_STATUS, _SIGNAL_ID = RESULT_COLUMNS.index("llm_status"), RESULT_COLUMNS.index("signal_id")
_UNANSWERED = {TaskStatus.PENDING.value, TaskStatus.FAILED.value, TaskStatus.EXPIRED.value}
