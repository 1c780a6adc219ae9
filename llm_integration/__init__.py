"""A second opinion from a large language model on every trading signal, inside your own process.

Put signals into a ``SignalMemoryStore``, run an ``LLMWorker`` as a task, and take the answers from a
callback, from the files of an ``LLMCSVExporter``, or from PostgreSQL. ``llm_integration/README.md`` shows
it in full.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from llm_integration.config import LLMConfig
from llm_integration.csv_exporter import LLMCSVExporter
from llm_integration.domain import Bar, LLMAnalysis, ParseMethod, Signal, TaskStatus
from llm_integration.errors import CallError, ConfigError, InvalidSignalError, TradentError
from llm_integration.llm_processor import Completion, LLMProcessor
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.response_parser import LLMResponseParser, ParsedResponse
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.worker import LLMWorker

if TYPE_CHECKING:
    from llm_integration.sidecar import Sidecar, SidecarThread, Verdict

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
    "Sidecar",
    "SidecarThread",
    "Signal",
    "SignalFormatter",
    "SignalMemoryStore",
    "TaskStatus",
    "TradentError",
    "Verdict",
]


def __getattr__(name: str) -> object:
    """The sidecar as a whole brings the driver of PostgreSQL along: it is imported when it is asked for."""
    if name in ("Sidecar", "SidecarThread", "Verdict"):
        return getattr(importlib.import_module("llm_integration.sidecar"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
