"""Prompts as files: what the model is told, in words that a user can read, change and compare."""

from llm_integration.prompts.library import DEFAULT_PROMPT, PromptLibrary, builtin_prompt
from llm_integration.prompts.parts import PromptParts, estimated_tokens, prompt_parts
from llm_integration.prompts.template import PromptTemplate, PromptText

__all__ = [
    "DEFAULT_PROMPT",
    "PromptLibrary",
    "PromptParts",
    "PromptTemplate",
    "PromptText",
    "builtin_prompt",
    "estimated_tokens",
    "prompt_parts",
]
