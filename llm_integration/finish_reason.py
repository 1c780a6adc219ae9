"""What a server's ``finish_reason`` says about a reply: whether it was cut before its end. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["CUT", "is_cut"]

CUT: Final = "length"
"""The usual word for a reply that ended at the token limit; also for a stream that ended without a word."""

_CUT_WORDS: Final = frozenset(
    {
        CUT,
        "max_tokens",
        "max_output_tokens",
        "max_completion_tokens",
        "max_length",
        "model_length",
        "model_context_window_exceeded",
        "context_length",
        "token_limit",
        "incomplete",
        "truncated",
    }
)
_LONGEST_WORD: Final = 40


def is_cut(finish_reason: object) -> bool:
    """True when ``finish_reason`` says that the reply was cut; words that nobody knows do not say so."""
    if not isinstance(finish_reason, str) or len(finish_reason) > _LONGEST_WORD:
        return False
    return finish_reason.strip().lower().replace("-", "_").removeprefix("finish_reason_") in _CUT_WORDS
