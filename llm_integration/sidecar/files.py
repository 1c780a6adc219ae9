"""The CSV files of a session that may go on."""

from __future__ import annotations

from llm_integration.csv_exporter import LLMCSVExporter

__all__ = ["SessionFiles"]


class SessionFiles(LLMCSVExporter):
    """While ``goes_on`` bars that wait for an answer at the end are left for the run that goes on."""

    goes_on = False

    def close(self, timeout: float = 10.0, *, flush_held: bool = True) -> bool:
        """See LLMCSVExporter."""
        return super().close(timeout, flush_held=flush_held and not self.goes_on)
