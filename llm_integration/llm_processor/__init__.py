"""LLMProcessor: one answered call to OpenRouter, or to a server that speaks its protocol."""

from llm_integration.llm_processor.core import LLMProcessor
from llm_integration.llm_processor.guard import Grant, SpendGuard, SpendRequest
from llm_integration.llm_processor.wire import Completion
from llm_integration.routing import CallPlan

__all__ = [
    "CallPlan",
    "Completion",
    "Grant",
    "LLMProcessor",
    "SpendGuard",
    "SpendRequest",
]
