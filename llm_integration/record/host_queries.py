"""The statements of sessions, bars, reports and exports."""

from __future__ import annotations

from llm_integration.record.columns import RESULT
from llm_integration.record.statements import load

_ELSEWHERE = {
    "error": "r.unrated_reason",
    "prompt_text": "COALESCE(r.prompt_text, prompt.content) AS prompt_text",
    "system_text": "system.content AS system_text",
}
"""Fields of a result that are not a column of its row by their name."""

_SESSIONS = load("sessions.sql")
START_SESSION = _SESSIONS["START_SESSION"]
END_SESSION = _SESSIONS["END_SESSION"]
UNFINISHED_SESSION = _SESSIONS["UNFINISHED_SESSION"]
ONE_SESSION = _SESSIONS["ONE_SESSION"]
LAST_BAR_TIME = _SESSIONS["LAST_BAR_TIME"]
RECORD_BARS = _SESSIONS["RECORD_BARS"]

_REPORTS = load(
    "reports.sql",
    {"result_fields": ", ".join(_ELSEWHERE.get(name, f"r.{name}") for name in RESULT.kinds)},
)
SIGNAL_WITH_OUTCOME = _REPORTS["SIGNAL_WITH_OUTCOME"]
FINISHED_SIGNALS = _REPORTS["FINISHED_SIGNALS"]
FINISHED_OF_THESE = _REPORTS["FINISHED_OF_THESE"]
BARS_WITH_SIGNALS = _REPORTS["BARS_WITH_SIGNALS"]
OPINIONS = _REPORTS["OPINIONS"]
MESSAGES = _REPORTS["MESSAGES"]
STATISTICS = _REPORTS["STATISTICS"]
