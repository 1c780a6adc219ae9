"""Prompts: what the model is told about a signal, and how it is asked to answer."""

from llm_integration.signal_formatter.formatter import SignalFormatter
from llm_integration.signal_formatter.measures import choppiness_index, efficiency_ratio

__all__ = ["SignalFormatter", "choppiness_index", "efficiency_ratio"]
