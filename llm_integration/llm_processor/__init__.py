"""LLMProcessor: one answered call to OpenRouter, or to a server that speaks its protocol."""

from llm_integration.llm_processor.core import LLMProcessor
from llm_integration.llm_processor.wire import Completion

__all__ = ["Completion", "LLMProcessor"]
