"""Prompts: what the model is told about a signal, and how it is asked to answer."""

from llm_integration.signal_formatter.batching import LATER_BARS, LATER_SUFFIX, BatchPrompt
from llm_integration.signal_formatter.formatter import Prepared, SignalFormatter
from llm_integration.signal_formatter.measures import choppiness_index, efficiency_ratio

__all__ = [
    "LATER_BARS",
    "LATER_SUFFIX",
    "BatchPrompt",
    "Prepared",
    "SignalFormatter",
    "choppiness_index",
    "efficiency_ratio",
]
