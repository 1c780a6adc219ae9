"""The statements of signals, tasks and results: their files, filled in with what follows from the columns."""

from __future__ import annotations

from collections.abc import Mapping

from llm_integration.record.outcome_rows import OPINION_COLUMNS, OUTCOME_COLUMNS, TASK_COLUMNS
from llm_integration.record.rows import SIGNAL_COLUMNS
from llm_integration.record.statements import load

TEXT_COLUMNS: Mapping[str, str] = {"text_id": "bytea", "content": "text"}


def rows_of(columns: Mapping[str, str], alias: str, number: int = 1) -> str:
    """Parameter ``number``, the UTF-8 that storable.json_rows makes, turned into rows.

    One text costs the client half of what an array per column does; bytes it need not even read again.
    The condition holds always; it makes the planner expect one row. Otherwise it expects a hundred, and while
    the tables are young it keeps a plan that walks through them, however much they grow.
    """
    named = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
    text = f"convert_from(${number}::bytea, 'UTF8')"
    few = f'COALESCE(octet_length("{next(iter(columns))}"), 0) % 1 = 0'
    return f"SELECT * FROM json_to_recordset({text}::json) AS {alias}({named}) WHERE {few}"  # noqa: S608  constants


def _listed(names: list[str], pattern: str = "{0}") -> str:
    return ", ".join(pattern.format(name) for name in names)


_RESULT = [name for name in OUTCOME_COLUMNS if name not in TASK_COLUMNS]
_OPINION = [name for name in OPINION_COLUMNS if name != "signal_id"]

_TASKS = load("tasks.sql", {"incoming_signals": rows_of(SIGNAL_COLUMNS, "s")})
RECORD_SIGNALS = _TASKS["RECORD_SIGNALS"]
CLAIM_SIGNALS = _TASKS["CLAIM_SIGNALS"]
CLAIM_STORED = _TASKS["CLAIM_STORED"]
LEFT_ALONE = _TASKS["LEFT_ALONE"]
FOR_ELSEWHERE = _TASKS["FOR_ELSEWHERE"]
WAITING_TASKS = _TASKS["WAITING_TASKS"]
CLAIM_WAITING = _TASKS["CLAIM_WAITING"]
RELEASE = _TASKS["RELEASE"]
HEARTBEAT = _TASKS["HEARTBEAT"]
RETIRE_WORKER = _TASKS["RETIRE_WORKER"]
CREATE_TASK = _TASKS["CREATE_TASK"]
PENDING_TASKS = _TASKS["PENDING_TASKS"]
SET_STATUS = _TASKS["SET_STATUS"]
TASK_SIGNAL = _TASKS["TASK_SIGNAL"]

_RESULTS = load(
    "results.sql",
    {
        "incoming_outcomes": rows_of(OUTCOME_COLUMNS, "o"),
        "incoming_texts": rows_of(TEXT_COLUMNS, "x", 3),
        "incoming_opinions": rows_of(OPINION_COLUMNS, "p", 4),
        "given_opinions": rows_of(OPINION_COLUMNS, "x"),
        "result_names": _listed(_RESULT),
        "result_values": _listed(_RESULT, "i.{0}"),
        "result_updates": _listed(_RESULT, "{0} = EXCLUDED.{0}"),
        "opinion_names": _listed(_OPINION),
        "opinion_rest": _listed([name for name in _OPINION if name != "position"]),
        "opinion_given": _listed([name for name in _OPINION if name != "position"], "p.{0}"),
    },
)
SAVE_OUTCOMES = _RESULTS["SAVE_OUTCOMES"]
SAVE_OPINIONS = _RESULTS["SAVE_OPINIONS"]
