"""A second opinion from a large language model on every trading signal, inside your own process.

Put signals into a ``SignalMemoryStore``, run an ``LLMWorker`` as a task, and take the answers from a
callback, from the files of an ``LLMCSVExporter``, or from PostgreSQL. ``llm_integration/README.md`` shows
it in full.
"""

from llm_integration.config import LLMConfig
from llm_integration.csv_exporter import LLMCSVExporter
from llm_integration.domain import Bar, LLMAnalysis, ParseMethod, Signal, TaskStatus
from llm_integration.errors import CallError, ConfigError, InvalidSignalError, TradentError
from llm_integration.llm_processor import Completion, LLMProcessor
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.response_parser import LLMResponseParser, ParsedResponse
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.worker import LLMWorker

__all__ = [
    "Bar",
    "CallError",
    "Completion",
    "ConfigError",
    "InvalidSignalError",
    "LLMAnalysis",
    "LLMCSVExporter",
    "LLMConfig",
    "LLMProcessor",
    "LLMResponseParser",
    "LLMWorker",
    "ParseMethod",
    "ParsedResponse",
    "Signal",
    "SignalFormatter",
    "SignalMemoryStore",
    "TaskStatus",
    "TradentError",
]
