"""Texts from outside, as they may stand in a line of the log."""

from __future__ import annotations

from llm_integration.domain import LLMAnalysis

__all__ = ["log_line", "one_line"]


def log_line(analysis: LLMAnalysis) -> str:
    """One line for the log: id, rating or status, method, model, milliseconds, cost."""
    rating = "unrated" if analysis.rating is None else str(analysis.rating)
    return (
        f"signal {one_line(analysis.signal_id)}: "
        f"{rating if analysis.answered else analysis.status.value} "
        f"method={analysis.parse_method.value} "
        f"model={one_line(analysis.model_served or analysis.model_requested or '-')} "
        f"ms={analysis.total_ms or 0:.0f} "
        f"cost={'unknown' if analysis.cost_usd is None else f'{analysis.cost_usd:f}'}"
        + (f" reason: {one_line(analysis.error, 300)}" if analysis.error else "")
    )


def one_line(text: str, limit: int = 100) -> str:
    """``text`` without line breaks or control characters, so that it can forge no log line."""
    if len(text) <= limit and text.isprintable():
        return text
    shown = "".join(char if char.isprintable() else "?" for char in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
