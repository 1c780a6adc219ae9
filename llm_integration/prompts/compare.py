"""What a prompt makes of signals that were stored, and how two prompts differ on them. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from llm_integration.config import LLMConfig
from llm_integration.domain import Signal
from llm_integration.prompts.parts import PromptParts, prompt_parts
from llm_integration.prompts.template import PromptTemplate, PromptText
from llm_integration.signal_formatter import SignalFormatter

__all__ = ["Difference", "Rendered", "Savings", "batch_savings", "diff", "render_stored"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """Exactly what would be sent for a signal, and where its estimated tokens go."""

    text: PromptText
    parts: PromptParts

    @property
    def tokens(self) -> int:
        """Estimated tokens of both messages."""
        return self.parts.total


@dataclass(frozen=True, slots=True)
class Difference:
    """How the requests of two prompts for one signal differ: a unified diff, and tokens of B minus A."""

    signal_id: str
    lines: tuple[str, ...]
    tokens_a: int
    tokens_b: int

    @property
    def tokens(self) -> int:
        """How many tokens more B takes."""
        return self.tokens_b - self.tokens_a


@dataclass(frozen=True, slots=True)
class Savings:
    """Estimated tokens of prompts for the same signals, asked one by one and in batches.

    ``shared_bars`` is the part of the difference that comes from showing each bar of a symbol once; the
    rest are instructions that are sent once for a batch.
    """

    signals: int
    requests: int
    alone: int
    together: int
    shared_bars: int


def render_stored(template: PromptTemplate, signal: Signal, *, config: LLMConfig | None = None) -> Rendered:
    """What ``template`` sends for ``signal``. Raises ConfigError when it cannot be written."""
    return _rendered(SignalFormatter(config, template), signal)


def diff(
    template_a: PromptTemplate,
    template_b: PromptTemplate,
    signals: Sequence[Signal],
    *,
    config: LLMConfig | None = None,
) -> list[Difference]:
    """For each signal, how the two prompts' requests differ; no lines when they do not.

    Raises ConfigError when one of them cannot be written.
    """
    first = SignalFormatter(config, template_a)
    second = first.using(template_b)
    names = [f"{template.name} {template.version}" for template in (template_a, template_b)]
    return [_difference(first, second, signal, names) for signal in signals]


def batch_savings(
    signals: Sequence[Signal], limit: int, *, across_time: bool, formatter: SignalFormatter | None = None
) -> Savings:
    """What asking ``signals`` in batches of at most ``limit`` saves in prompt tokens."""
    used = formatter or SignalFormatter()
    found = used.batchable(signals, limit, across_time=across_time)
    together = shared = 0
    for group in found:
        if len(group) == 1:
            together += _rendered(used, signals[group[0]]).tokens
            continue
        batch = used.batch_prompt([signals[position] for position in group])
        together += prompt_parts(batch.text, batch.system).total
        shared += batch.shared_tokens_saved
    alone = sum(_rendered(used, signal).tokens for signal in signals)
    return Savings(len(signals), len(found), alone, together, shared)


def _rendered(formatter: SignalFormatter, signal: Signal) -> Rendered:
    text = formatter.prompt(signal)
    return Rendered(text, prompt_parts(text.user, text.system))


def _difference(
    first: SignalFormatter, second: SignalFormatter, signal: Signal, names: Sequence[str]
) -> Difference:
    a, b = _rendered(first, signal), _rendered(second, signal)
    lines = difflib.unified_diff(_lines(a.text), _lines(b.text), names[0], names[1], lineterm="", n=2)
    return Difference(signal.signal_id, tuple(lines), a.tokens, b.tokens)


def _lines(text: PromptText) -> list[str]:
    return [*text.system.splitlines(), "", *text.user.splitlines()]
