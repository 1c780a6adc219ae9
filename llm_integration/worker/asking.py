"""Asking: one load of signals becomes an analysis for each of them, or goes back to be asked again."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from llm_integration.config import LLMConfig
from llm_integration.domain import LLMAnalysis, Opinion, Signal
from llm_integration.errors import (
    BudgetExceededError,
    CallError,
    ConfigError,
    DeadlineError,
    LineStoppedError,
    OversizeRequestError,
    RequestRejectedError,
    ServerError,
)
from llm_integration.llm_processor import Completion
from llm_integration.llm_processor.wire import estimate_tokens
from llm_integration.pieces import in_turns
from llm_integration.reply_schema import BATCH_SCHEMA
from llm_integration.response_parser import Expected, LLMResponseParser, ParsedResponse
from llm_integration.routing import CallPlan
from llm_integration.second_opinion import agree
from llm_integration.signal_formatter import LATER_BARS, LATER_SUFFIX, BatchPrompt, SignalFormatter
from llm_integration.worker.jobs import (
    Job,
    Prompt,
    added,
    answered,
    expired,
    failed,
    one_line,
    shares,
    unrated_reason,
)
from llm_integration.worker.loads import Load
from llm_integration.worker.patience import pause_after_failure
from llm_integration.worker.ports import Processor
from llm_integration.worker.turnstile import Turnstile

__all__ = ["Asker", "Voice", "opinion_of"]

logger = logging.getLogger(__name__)

LARGEST_REPLY_TOKENS = 65_536
MANY_BARS = 50
"""More bars than this are read in several turns of the loop."""
LONG_REPLY_CHARS = 8_192
"""A longer reply is read in several turns of the loop; a shorter one takes half a millisecond at most."""


@dataclass(frozen=True, slots=True)
class Voice:
    """What one model said about the signals of a load: a reading for each that it answered.

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


class Asker:
    """Asks about loads. ``finish`` takes each signal's end, ``again`` a signal to be asked about once more.

    ``later`` takes one that is to be asked about again after so many seconds, with the reason.

    ``ask`` raises LineStoppedError or BudgetExceededError when nothing was to be had, and has then done
    nothing for the load.
    """

    def __init__(
        self,
        config: LLMConfig,
        processor: Processor,
        parser: LLMResponseParser,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], datetime],
        finish: Callable[[Job, LLMAnalysis], None],
        again: Callable[[Job], None],
        later: Callable[[Job, float, str], None],
        most_tokens: Callable[[CallPlan], int],
        turnstile: Turnstile,
    ) -> None:
        self._config = config
        self._processor = processor
        self._parser = parser
        self._clock = clock
        self._wall = wall_clock
        self._finish = finish
        self._again = again
        self._later = later
        self._most_tokens = most_tokens
        self._turnstile = turnstile
        self.in_flight = 0

    async def ask(self, load: Load) -> None:
        """Have every signal of ``load`` finished or asked again."""
        await self._turnstile.turn()
        started = self._clock()
        jobs = [job for job in load.jobs if not self._too_old(job, started)]
        if not jobs:
            return
        if load.choice.ensemble and len(jobs) == 1:
            await self._ask_ensemble(jobs[0], load, started)
            return
        try:
            batch = await self._batch(jobs, load)
            voice = await self._voice(jobs, batch, load)
        except (LineStoppedError, BudgetExceededError):
            raise
        except (CallError, OversizeRequestError, ConfigError) as error:
            self._failed(jobs, error, load)
            return
        self._answered(jobs, voice, load, started)

    def _too_old(self, job: Job, now: float) -> bool:
        if now < job.deadline:
            return False
        self.expire(job, job.held_up or "it waited too long")
        return True

    def expire(self, job: Job, reason: str) -> None:
        """End a signal that has grown too old."""
        self._finish(job, self._too_late(job, reason))

    def _too_late(self, job: Job, reason: str, error: CallError | None = None) -> LLMAnalysis:
        limit = self._config.signal_max_age_seconds
        text = f"older than signal_max_age_seconds={limit:g}: {reason}"
        return expired(job, text, now=self._clock(), processed_at=self._wall(), error=error)

    # One model, one or several signals

    async def _batch(self, jobs: list[Job], load: Load) -> BatchPrompt | None:
        """The request about all of ``jobs``; those for which it has no room leave the list. None for one."""
        if len(jobs) < 2:
            return None
        prepared = []
        for job in jobs:
            await self._read_ahead(job.signal, load.formatter)
            prepared.append(load.formatter.prepare(job.signal))
            await asyncio.sleep(0)  # each is a slice of its own
        while len(jobs) > 1:
            batch = await in_turns(
                load.formatter.batch_in_pieces(prepared[: len(jobs)]), self._turnstile.turn
            )
            size = estimate_tokens(batch.text, batch.system, 0)
            most = self._most_tokens(_room_for(load.choice.plan, len(jobs), self._config))
            if size <= most:
                return batch
            fitting = max(1, len(jobs) * most // (size + 1))
            for job in jobs[fitting:]:
                self._again(job)
            del jobs[fitting:]
        return None

    async def _voice(self, jobs: Sequence[Job], batch: BatchPrompt | None, load: Load) -> Voice:
        plan = load.choice.plan
        if batch is None:
            return await self.voice_alone(jobs[0].signal, jobs[0].deadline, plan, load.formatter)
        completion = await self._complete(
            batch.text, batch.system, min(job.deadline for job in jobs),
            _room_for(plan, len(jobs), self._config), [job.signal for job in jobs],
        )  # fmt: skip
        expected = [
            Expected(label, symbol, job.signal.signal_type)
            for label, symbol, job in zip(batch.labels, batch.symbols, jobs, strict=True)
        ]
        reading = await self._parser.parse_batch_in_turns(
            completion.text, expected, self._turnstile.turn_with_reply, completion.finish_reason
        )
        if reading.missing or reading.duplicated or reading.unknown:
            logger.debug(
                "a reply about %d signals misses %d, repeats %d and invents %d",
                len(jobs), len(reading.missing), len(reading.duplicated), len(reading.unknown),
            )  # fmt: skip
        prompt = Prompt(
            batch.text, load.formatter.prompt_version, batch.name, batch.hash, batch.system, len(jobs)
        )
        found = {
            job.signal_id: reading.readings[label]
            for label, job in zip(batch.labels, jobs, strict=True)
            if label in reading.readings
        }
        later = frozenset(job.signal_id for job, saw in zip(jobs, batch.saw_later, strict=True) if saw)
        return Voice(prompt, completion, found, later)

    async def voice_alone(
        self, signal: Signal, deadline: float | None, plan: CallPlan, formatter: SignalFormatter
    ) -> Voice:
        """What one model says about one signal."""
        await self._read_ahead(signal, formatter)
        text = formatter.prompt(signal)
        prompt = Prompt(
            text.user, formatter.prompt_version, formatter.prompt_name, formatter.prompt_hash, text.system
        )
        if len(signal.bars) > MANY_BARS:
            await self._turnstile.turn()
        completion = await self._complete(text.user, text.system, deadline, plan, [signal])
        return Voice(prompt, completion, {signal.signal_id: await self._read(completion)})

    async def _read_ahead(self, signal: Signal, formatter: SignalFormatter) -> None:
        if len(signal.bars) > MANY_BARS:
            await in_turns(formatter.read_ahead(signal), self._turnstile.turn)

    async def _read(self, completion: Completion) -> ParsedResponse:
        text, finish = completion.text, completion.finish_reason
        if len(text) <= LONG_REPLY_CHARS:
            return self._parser.parse(text, finish)
        return await self._parser.parse_in_turns(text, self._turnstile.turn_with_reply, finish)

    async def _complete(
        self, text: str, system: str, deadline: float | None, plan: CallPlan, signals: Sequence[Signal]
    ) -> Completion:
        symbols = Counter(signal.symbol for signal in signals)
        self.in_flight += 1
        try:
            completion = await self._processor.complete(
                text, system=system, deadline=deadline, plan=plan, symbols=symbols
            )
            await self._turnstile.turn_with_reply()
            return completion
        finally:
            self.in_flight -= 1

    # How it ends

    def _answered(self, jobs: Sequence[Job], voice: Voice, load: Load, started: float) -> None:
        parts = shares(voice.completion, len(jobs))
        missing = []
        for job, part in zip(jobs, parts, strict=True):
            reading = voice.readings.get(job.signal_id)
            if reading is None:
                job.charge(part.cost_usd, voice.completion.attempts)
                missing.append(job)
                continue
            self._finish(job, answered(
                job, voice.prompt_for(job.signal_id), voice.completion, reading, started=started,
                now=self._clock(), processed_at=self._wall(), share=part, route=load.choice.rule_name,
            ))  # fmt: skip
        self._ask_alone(missing)

    def _ask_alone(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            job.alone = True
            self._again(job)

    def _failed(
        self, jobs: Sequence[Job], error: CallError | OversizeRequestError | ConfigError, load: Load
    ) -> None:
        """A load that failed as a whole is taken apart: what spoilt it cannot spoil the others twice."""
        if len(jobs) > 1:
            self._take_apart(jobs, error)
        else:
            self._wait_or_fail(jobs[0], error, load)

    def _wait_or_fail(
        self,
        job: Job,
        error: CallError | OversizeRequestError | ConfigError,
        load: Load,
        opinions: tuple[Opinion, ...] = (),
    ) -> None:
        """What is the model's or the line's fault is no end for a signal that has time left."""
        pause = pause_after_failure(job, error)
        if pause is None:
            end = self._without_answer(job, error, load)
            self._finish(job, replace(end, opinions=opinions) if opinions else end)
            return
        if isinstance(error, CallError):
            job.charge(error.cost_usd, error.attempts)
        logger.info(
            "signal %s: no answer (%s); asked again in %.0f s",
            one_line(job.signal_id), one_line(str(error), 200), pause,
        )  # fmt: skip
        self._later(job, pause, str(error))

    def _without_answer(
        self, job: Job, error: CallError | OversizeRequestError | ConfigError, load: Load
    ) -> LLMAnalysis:
        if isinstance(error, DeadlineError):
            return self._too_late(job, str(error), error)
        return failed(
            job, str(error), now=self._clock(), processed_at=self._wall(),
            error=error if isinstance(error, CallError) else None,
            model=load.choice.plan.model, route=load.choice.rule_name,
        )  # fmt: skip

    def _take_apart(self, jobs: Sequence[Job], error: Exception) -> None:
        logger.info(
            "a request about %d signals failed (%s); each is asked about alone",
            len(jobs), one_line(str(error), 200),
        )  # fmt: skip
        cost = error.cost_usd if isinstance(error, CallError) else None
        attempts = error.attempts if isinstance(error, CallError) else 0
        for index, job in enumerate(jobs):
            job.charge(cost if index == 0 else None, attempts)
        self._ask_alone(jobs)

    # Several models, one signal

    async def _ask_ensemble(self, job: Job, load: Load, started: float) -> None:
        models = load.choice.ensemble
        plans = [replace(load.choice.plan, model=model, fallbacks=()) for model in models]
        voices = await asyncio.gather(
            *(self.voice_alone(job.signal, job.deadline, plan, load.formatter) for plan in plans),
            return_exceptions=True,
        )
        if refusal := _refusal(voices):
            raise refusal
        opinions = tuple(
            opinion_of("ensemble", model, job.signal_id, voice)
            for model, voice in zip(models, voices, strict=True)
        )
        heard = [voice for voice in voices if isinstance(voice, Voice)]
        if not heard:
            self._wait_or_fail(job, _whole_failure(voices, opinions), load, opinions)
            return
        self._finish(job, self._agreed(job, opinions, heard, load, started))

    def _agreed(
        self, job: Job, opinions: tuple[Opinion, ...], heard: Sequence[Voice], load: Load, started: float
    ) -> LLMAnalysis:
        """The agreed reading, in the words of the first model that rated as all of them together do."""
        agreed = agree(opinions, quorum=self._config.ensemble_quorum)
        words = next(
            (voice for voice in heard if voice.readings[job.signal_id].rating == agreed.rating), heard[0]
        )
        reading = replace(words.readings[job.signal_id], rating=agreed.rating, choppiness=agreed.choppiness)
        single = answered(
            job, words.prompt, words.completion, reading, started=started, now=self._clock(),
            processed_at=self._wall(), route=load.choice.rule_name,
        )  # fmt: skip
        cost = job.spent
        for opinion in opinions:
            cost = added(cost, opinion.cost_usd)
        return replace(
            single,
            error=agreed.error,
            cost_usd=cost,
            prompt_tokens=_sum(opinion.prompt_tokens for opinion in opinions),
            completion_tokens=_sum(opinion.completion_tokens for opinion in opinions),
            cached_tokens=_sum(opinion.cached_tokens for opinion in opinions),
            cache_write_tokens=_sum(opinion.cache_write_tokens for opinion in opinions),
            reasoning_tokens=_sum(opinion.reasoning_tokens for opinion in opinions),
            attempts=job.sent + sum(opinion.attempts for opinion in opinions),
            rating_spread=agreed.spread,
            opinions=opinions,
        )


def opinion_of(
    role: Literal["ensemble", "shadow"], model: str, signal_id: str, voice: Voice | BaseException
) -> Opinion:
    """One model's part in an ensemble, or what a shadow said."""
    if not isinstance(voice, Voice):
        return Opinion(
            role, model, error=one_line(str(voice) or type(voice).__name__, 300),
            cost_usd=voice.cost_usd if isinstance(voice, CallError) else None,
            attempts=voice.attempts if isinstance(voice, CallError) else 0,
        )  # fmt: skip
    reading, completion = voice.readings[signal_id], voice.completion
    return Opinion(
        role,
        model,
        rating=reading.rating,
        choppiness=reading.choppiness,
        analysis=reading.analysis,
        recommendations=reading.recommendations,
        parse_method=reading.method,
        error=None if reading.rating is not None else unrated_reason(completion, reading),
        model_served=completion.model_served,
        provider=completion.provider,
        generation_id=completion.generation_id,
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        cost_usd=completion.cost_usd,
        api_ms=completion.api_ms,
        attempts=completion.attempts,
        prompt_name=voice.prompt.name,
        prompt_version=voice.prompt.version,
        prompt_hash=voice.prompt.hash,
        raw_reply=completion.text,
        cached_tokens=completion.cached_tokens,
        cache_write_tokens=completion.cache_write_tokens,
        reasoning_tokens=completion.reasoning_tokens,
        service_tier=completion.service_tier,
    )


def _refusal(voices: Sequence[Voice | BaseException]) -> BaseException | None:
    """What makes the whole ensemble wait: a fault of ours, or nobody was allowed to be asked."""
    faults = [voice for voice in voices if isinstance(voice, BaseException)]
    ours = [
        fault for fault in faults if not isinstance(fault, (CallError, OversizeRequestError, ConfigError))
    ]
    if ours:
        return ours[0]
    waits = [fault for fault in faults if isinstance(fault, (LineStoppedError, BudgetExceededError))]
    return waits[0] if waits and len(waits) == len(voices) else None


def _whole_failure(voices: Sequence[Voice | BaseException], opinions: Sequence[Opinion]) -> CallError:
    """Nobody answered: one error that names every reason and what all of them cost."""
    if all(isinstance(voice, DeadlineError) for voice in voices):
        kind: type[CallError] = DeadlineError
    elif all(_passing(voice) for voice in voices):
        kind = ServerError
    else:
        kind = RequestRejectedError
    cost = None
    for opinion in opinions:
        cost = added(cost, opinion.cost_usd)
    reasons = "; ".join(f"{opinion.model_requested}: {opinion.error}" for opinion in opinions)
    return kind(
        f"no model of the ensemble answered: {reasons}",
        attempts=sum(opinion.attempts for opinion in opinions),
        cost_usd=cost,
    )


def _passing(voice: Voice | BaseException) -> bool:
    return isinstance(voice, (LineStoppedError, BudgetExceededError)) or (
        isinstance(voice, CallError) and voice.retryable
    )


def _room_for(plan: CallPlan, count: int, config: LLMConfig) -> CallPlan:
    """A reply about several signals needs more room than one about a single signal."""
    room = (plan.max_tokens or config.max_tokens) + (count - 1) * config.batch_reply_tokens
    return replace(
        plan,
        max_tokens=min(room, LARGEST_REPLY_TOKENS),
        response_schema=BATCH_SCHEMA,
        schema_name="signal_ratings",
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
