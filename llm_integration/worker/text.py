"""What the log says of one analysis."""

from __future__ import annotations

from llm_integration.domain import LLMAnalysis
from llm_integration.one_line import one_line

__all__ = ["log_line"]


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
