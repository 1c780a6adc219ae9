"""A model's reply about one or several signals: prompt written, sent, and what came back read."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from llm_integration.config import LLMConfig
from llm_integration.domain import Signal
from llm_integration.fairness import LONG_REPLY_CHARS, MANY_BARS, Turns, in_turns
from llm_integration.llm_processor import Completion
from llm_integration.llm_processor.wire import estimate_tokens
from llm_integration.reply_schema import BATCH_SCHEMA
from llm_integration.response_parser import Expected, LLMResponseParser, ParsedResponse
from llm_integration.routing import CallPlan
from llm_integration.signal_formatter import LATER_BARS, LATER_SUFFIX, BatchPrompt, SignalFormatter
from llm_integration.worker.analyses import Prompt
from llm_integration.worker.ports import Processor
from llm_integration.worker.tasks import Task

__all__ = ["ReadReply", "Replies"]

logger = logging.getLogger(__name__)

LARGEST_REPLY_TOKENS = 65_536


@dataclass(frozen=True, slots=True)
class ReadReply:
    """What one model said about the signals of a request: a reading for each that it answered.

    ``later`` are those that had something from after their time in view.
    """

    prompt: Prompt
    completion: Completion
    readings: Mapping[str, ParsedResponse]
    later: frozenset[str] = frozenset()

    def prompt_for(self, signal_id: str) -> Prompt:
        """The prompt as it is stored with one of the signals."""
        if signal_id not in self.later:
            return self.prompt
        return replace(self.prompt, version=self.prompt.version + LATER_SUFFIX, warnings=(LATER_BARS,))


class Replies:
    """Asks models. Raises what ``processor`` raises; ``most_tokens`` says how long a prompt may be."""

    def __init__(
        self,
        config: LLMConfig,
        processor: Processor,
        parser: LLMResponseParser,
        *,
        most_tokens: Callable[[CallPlan], int],
        turns: Turns,
    ) -> None:
        self._config = config
        self._processor = processor
        self._parser = parser
        self._most_tokens = most_tokens
        self._turns = turns
        self.in_flight = 0

    async def about_one(
        self, signal: Signal, deadline: float | None, plan: CallPlan, formatter: SignalFormatter
    ) -> ReadReply:
        """What one model says about one signal."""
        await self._read_ahead(signal, formatter)
        text = formatter.prompt(signal)
        prompt = Prompt(
            text.user, formatter.prompt_version, formatter.prompt_name, formatter.prompt_hash, text.system
        )
        if len(signal.bars) > MANY_BARS:
            await self._turns.turn()
        completion = await self._complete(text.user, text.system, deadline, plan, [signal])
        return ReadReply(prompt, completion, {signal.signal_id: await self._read(completion)})

    async def batch_about(
        self, signals: Sequence[Signal], plan: CallPlan, formatter: SignalFormatter
    ) -> BatchPrompt | None:
        """The prompt about as many of ``signals``, from the first on, as it has room for; None for one."""
        prepared = []
        for signal in signals:
            await self._read_ahead(signal, formatter)
            prepared.append(formatter.prepare(signal))
            await asyncio.sleep(0)  # each is a slice of its own
        count = len(prepared)
        while count > 1:
            batch = await in_turns(formatter.batch_in_pieces(prepared[:count]), self._turns.turn)
            size = estimate_tokens(batch.text, batch.system, 0)
            most = self._most_tokens(self._room_for(plan, count))
            if size <= most:
                return batch
            count = max(1, count * most // (size + 1))
        return None

    async def about_several(
        self, tasks: Sequence[Task], batch: BatchPrompt, plan: CallPlan, formatter: SignalFormatter
    ) -> ReadReply:
        """What one model says about the signals of ``batch``, each by its label."""
        completion = await self._complete(
            batch.text, batch.system, min(task.deadline for task in tasks), self._room_for(plan, len(tasks)),
            [task.signal for task in tasks],
        )  # fmt: skip
        expected = [
            Expected(label, symbol, task.signal.signal_type)
            for label, symbol, task in zip(batch.labels, batch.symbols, tasks, strict=True)
        ]
        reading = await self._parser.parse_batch_in_turns(
            completion.text, expected, self._turns.turn_with_reply, completion.finish_reason
        )
        if reading.missing or reading.duplicated or reading.unknown:
            logger.debug(
                "a reply about %d signals misses %d, repeats %d and invents %d",
                len(tasks), len(reading.missing), len(reading.duplicated), len(reading.unknown),
            )  # fmt: skip
        prompt = Prompt(
            batch.text, formatter.prompt_version, batch.name, batch.hash, batch.system, len(tasks)
        )
        found = {
            task.signal_id: reading.readings[label]
            for label, task in zip(batch.labels, tasks, strict=True)
            if label in reading.readings
        }
        later = frozenset(task.signal_id for task, saw in zip(tasks, batch.saw_later, strict=True) if saw)
        return ReadReply(prompt, completion, found, later)

    def _room_for(self, plan: CallPlan, count: int) -> CallPlan:
        """A reply about several signals needs more room than one about a single signal."""
        room = (plan.max_tokens or self._config.max_tokens) + (count - 1) * self._config.batch_reply_tokens
        return replace(
            plan,
            max_tokens=min(room, LARGEST_REPLY_TOKENS),
            response_schema=BATCH_SCHEMA,
            schema_name="signal_ratings",
        )

    async def _read_ahead(self, signal: Signal, formatter: SignalFormatter) -> None:
        if len(signal.bars) > MANY_BARS:
            await in_turns(formatter.read_ahead(signal), self._turns.turn)

    async def _read(self, completion: Completion) -> ParsedResponse:
        text, finish = completion.text, completion.finish_reason
        if len(text) <= LONG_REPLY_CHARS:
            return self._parser.parse(text, finish)
        return await self._parser.parse_in_turns(text, self._turns.turn_with_reply, finish)

    async def _complete(
        self, text: str, system: str, deadline: float | None, plan: CallPlan, signals: Sequence[Signal]
    ) -> Completion:
        symbols = Counter(signal.symbol for signal in signals)
        self.in_flight += 1
        try:
            completion = await self._processor.complete(
                text, system=system, deadline=deadline, plan=plan, symbols=symbols
            )
            await self._turns.turn_with_reply()
            return completion
        finally:
            self.in_flight -= 1
