"""SignalFormatter: from a signal and its bars to the text that the model reads. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from llm_integration.batch_labels import batch_labels
from llm_integration.config import LLMConfig
from llm_integration.domain import Signal
from llm_integration.fairness import Steps, at_once
from llm_integration.prompts import PromptTemplate, PromptText, builtin_prompt, estimated_tokens
from llm_integration.signal_formatter.batching import (
    LATER_SUFFIX,
    BatchPrompt,
    Span,
    groups,
    in_view_of_later,
)
from llm_integration.signal_formatter.facts import signal_facts
from llm_integration.signal_formatter.reading import Reader, Reading
from llm_integration.signal_formatter.tables import BarTable, shared_tables

__all__ = ["Prepared", "SignalFormatter"]

Source = Mapping[str, Any] | Signal

_BUILTIN: Final = builtin_prompt()
"""Read on import, as a formatter may be made on an event loop, where nothing should wait for a disk."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A signal as one formatter will tell it in a batch."""

    reading: Reading
    facts: dict[str, Any]


class SignalFormatter:
    """Writes prompts. The same signal, settings and prompt file always give the same text, and no value makes
    it fail with the built-in prompt.

    Each piece of data stands on one line of its own inside a ``<data>`` block; text from outside is cleaned
    of line breaks, invisible characters and angle brackets, and cut to a limit. Prices keep the digits that
    the bars have. Formatters share nothing, except those that ``using`` makes.
    """

    def __init__(
        self,
        config: LLMConfig | None = None,
        template: PromptTemplate | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``template`` is the prompt to use, None for the built-in one; ``clock`` gives the time (aware),
        as none that lies more than a day after it is believed. Raises ConfigError when the prompt asks for
        an indicator that the settings do not include."""
        self._reader = Reader(config or LLMConfig(), clock)
        self._template = template or _BUILTIN
        self._try_out()

    def using(self, template: PromptTemplate) -> SignalFormatter:
        """A formatter with these settings and another prompt, which shares the bars already read."""
        other = SignalFormatter.__new__(type(self))
        other._reader, other._template = self._reader, template
        other._try_out()
        return other

    @property
    def template(self) -> PromptTemplate:
        """The prompt file in use."""
        return self._template

    @property
    def prompt_name(self) -> str:
        """The prompt's name, to be stored with each answer."""
        return self._template.name

    @property
    def prompt_version(self) -> str:
        """The prompt's version."""
        return self._template.version

    @property
    def prompt_hash(self) -> str:
        """SHA-256 of the prompt's file, in hexadecimal digits."""
        return self._template.hash

    @property
    def system_prompt(self) -> str:
        """What to send as the system message beside either kind of prompt."""
        return self._template.system

    def format_signal_data(self, signal_data: Source, market_df: object = None) -> str:
        """The request to rate one signal.

        ``signal_data`` is a Signal or the host's mapping; ``market_df`` a pandas DataFrame or a collection of
        bars, oldest or newest first, and None for the bars of the signal itself. Bars that cannot be used,
        or are of another instrument than the signal's symbol, are left out with a warning. Shown are the last
        ``lookback_periods`` bars stamped at or before the signal's time. The measures look further back
        where there is more. A signal without a time gets no bars, as none can be shown to have closed.
        """
        return self.prompt(signal_data, market_df).user

    def prompt(self, signal_data: Source, market_df: object = None) -> PromptText:
        """Both messages of the request to rate one signal; as ``format_signal_data``."""
        facts = signal_facts(self._reader.read(signal_data, market_df), self._template.used("user"))
        return self._template.render({"signal": facts})

    def read_ahead(self, signal: Signal) -> Steps[None]:
        """Do most of the work of a prompt about ``signal``, with a pause wherever this yields.

        For an event loop, and signals with hundreds of bars that no signal brought before.
        """
        return self._reader.read_ahead(signal)

    def format_batch(self, signals: Iterable[Source]) -> str:
        """The request to rate several signals at once: the text of ``batch_prompt``."""
        return self.batch_prompt(list(signals)).text

    def prepare(self, signal: Source | Prepared) -> Prepared:
        """``signal`` read and put into words for a batch: most of the work of a batch, one signal at a time.

        A mapping is ``{"signal_id": ..., "signal_data": {...}}``.
        """
        if isinstance(signal, Prepared):
            return signal
        reading = self._reader.read(signal)
        return Prepared(reading, signal_facts(reading, self._template.used("batch")))

    def batch_prompt(self, signals: Sequence[Source | Prepared]) -> BatchPrompt:
        """The request to rate several signals at once, answered by a JSON object with a list.

        The bars of a symbol stand there once for all of its signals, and each signal says up to which time it
        may be judged by them. No bar is later than the last of these times; which signals may be asked about
        together so that none has a bar from after its own time in view, ``batchable`` tells. Signals that
        ``prepare`` has read already leave little work to be done here.

        Raises ConfigError when the prompt's file has no section for it.
        """
        return at_once(self.batch_in_pieces([self.prepare(signal) for signal in signals]))

    def batch_in_pieces(self, prepared: Sequence[Prepared]) -> Steps[BatchPrompt]:
        """``batch_prompt`` for an event loop, with a pause wherever this yields."""
        labels = tuple(batch_labels([signal.reading.source_id for signal in prepared]))
        found = yield from shared_tables([(one.reading.signal.symbol, one.reading.shown) for one in prepared])
        tables = []
        for number, table in enumerate(found, start=1):
            lines = yield from table.lines()
            tables.append({"number": str(number), "symbol": table.symbol, "bars": "\n".join(lines)})
        yield
        values = {"count": str(len(prepared)), "signals": _told(prepared, labels, found), "tables": tables}
        text = self._template.render_batch(values)
        saw_later = in_view_of_later([signal.reading.span for signal in prepared])
        return BatchPrompt(
            text=text.user,
            system=text.system,
            labels=labels,
            symbols=tuple(signal.reading.signal.symbol for signal in prepared),
            shared_tokens_saved=_saved(prepared, tables),
            saw_later=saw_later,
            name=self._template.name,
            version=self._template.version + (LATER_SUFFIX if any(saw_later) else ""),
            hash=self._template.hash,
        )

    def batchable(
        self, signals: Sequence[Source | Prepared], limit: int, *, across_time: bool = False
    ) -> list[list[int]]:
        """Positions of signals to ask about together, at most ``limit`` in a request, in their order.

        Signals share a request only when no bar that any of them shows is later than the time of any other,
        as when they arose at the close of the same bar. With ``across_time`` they share it whatever their
        times, so that an earlier signal has bars from after its time in view. A prompt that has no section
        for batches lets every signal stand alone.
        """
        if not self._template.can_batch or limit < 2:
            return [[position] for position in range(len(signals))]
        if across_time:
            everyone = range(len(signals))
            return [list(everyone[start : start + limit]) for start in range(0, len(signals), limit)]
        return groups([self.span(signal) for signal in signals], limit)

    def span(self, signal: Source | Prepared) -> Span | None:
        """From the newest bar that ``signal`` shows to its own time; None when it has no time."""
        return signal.reading.span if isinstance(signal, Prepared) else self._reader.span(signal)

    def _try_out(self) -> None:
        """Let a prompt that cannot be written fail now, and not with the first signal."""
        self.prompt({})
        if self._template.can_batch:
            self.batch_prompt([{}, {}])


def _told(
    prepared: Sequence[Prepared], labels: Sequence[str], tables: Sequence[BarTable]
) -> list[dict[str, Any]]:
    """What the prompt says of each signal, with its label and its table."""
    tabled = {user: str(number) for number, table in enumerate(tables, start=1) for user in table.users}
    return [
        signal.facts | {"id": label, "position": str(position + 1), "table": tabled.get(position, "")}
        for position, (signal, label) in enumerate(zip(prepared, labels, strict=True))
    ]


def _saved(prepared: Sequence[Prepared], tables: Sequence[Mapping[str, str]]) -> int:
    """Tokens of the rows that do not stand there again, by the average of those that do."""
    texts = [table["bars"] for table in tables]
    shown = sum(text.count("\n") + 1 for text in texts)
    again = sum(len(signal.reading.shown) for signal in prepared) - shown
    return round(again * sum(map(estimated_tokens, texts)) / shown) if shown else 0
