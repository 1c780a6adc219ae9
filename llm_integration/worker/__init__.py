"""The worker: takes signals from memory and PostgreSQL, has them rated, and hands out the answers."""

from llm_integration.worker.core import LLMWorker
from llm_integration.worker.ports import AnalysisSink, Processor

__all__ = ["AnalysisSink", "LLMWorker", "Processor"]
