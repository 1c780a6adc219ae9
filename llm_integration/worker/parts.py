"""The parts of a worker, put together in the order in which a signal passes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llm_integration.config import LLMConfig
from llm_integration.fairness import Turns
from llm_integration.prompts import PromptLibrary
from llm_integration.response_parser import LLMResponseParser
from llm_integration.routing import CallPlan, Router, router_for
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.worker.asking import Asker
from llm_integration.worker.claims import Claims
from llm_integration.worker.delivering import Delivering
from llm_integration.worker.elsewhere import Elsewhere
from llm_integration.worker.housekeeping import Housekeeping
from llm_integration.worker.intake import Intake
from llm_integration.worker.lanes import Lanes
from llm_integration.worker.ownership import Ownership
from llm_integration.worker.ports import AnalysisSink, Processor
from llm_integration.worker.reading import SignalReader
from llm_integration.worker.recording import SignalRecording
from llm_integration.worker.replies import Replies
from llm_integration.worker.shadows import Shadows
from llm_integration.worker.shared import Shared
from llm_integration.worker.storing import Storing
from llm_integration.worker.subscribers import Subscribers
from llm_integration.worker.tally import Tally
from llm_integration.worker.tasks import Request

__all__ = ["WorkerParts", "put_together"]


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """Intake, ``ready``, lanes, storing, delivering: each tells the book in ``shared``, and the next."""

    shared: Shared
    intake: Intake
    ready: asyncio.Queue[Request]
    lanes: Lanes
    replies: Replies
    storing: Storing
    delivering: Delivering
    housekeeping: Housekeeping
    elsewhere: Elsewhere
    shadows: Shadows
    tally: Tally


def put_together(
    shared: Shared,
    processor: Processor,
    *,
    parser: LLMResponseParser,
    formatter: SignalFormatter | None,
    sink: AnalysisSink | None,
    subscribers: Subscribers,
    turns: Turns,
    ownership: Ownership,
    stores_signals: bool,
    most_tokens: Callable[[CallPlan], int],
) -> WorkerParts:
    """All parts. Raises ConfigError for a prompt's file that is missing or faulty."""
    config = shared.config
    router = router_for(config)
    formatters = _formatters(config, router, formatter)
    delivering = Delivering(shared, sink, subscribers.deliver)
    storing = Storing(shared, delivering)
    tally = Tally(ownership, health_window=config.rating_health_window)
    replies = Replies(config, processor, parser, most_tokens=most_tokens, turns=turns)
    shadows = Shadows(config.shadow, replies, shared.database, formatters, storing.wait_until_stored)
    ready: asyncio.Queue[Request] = asyncio.Queue(config.max_concurrency)
    lanes = Lanes(
        shared, processor, ready, storing=storing, shadows=shadows, tally=tally,
        asker=Asker(config, replies, clock=shared.clock, wall_clock=shared.wall),
    )  # fmt: skip
    reader = SignalReader(turns.turn, config.bars_timezone)
    recording = SignalRecording(shared, reader, on=stores_signals)
    claims = Claims(shared, recording, ownership)
    intake = Intake(
        shared, processor, ready, router=router, formatters=formatters, reader=reader, claims=claims,
        recording=recording, expire=lanes.expire,
    )  # fmt: skip
    elsewhere = Elsewhere(shared, delivering, tally)
    housekeeping = Housekeeping(shared, intake, elsewhere=elsewhere, ownership=ownership)
    return WorkerParts(
        shared, intake, ready, lanes, replies, storing, delivering, housekeeping, elsewhere, shadows, tally
    )


def _formatters(
    config: LLMConfig, router: Router, given: SignalFormatter | None
) -> Mapping[str | None, SignalFormatter]:
    """A formatter for every prompt that settings, routes or shadows name; ``given`` is the usual one."""
    library = PromptLibrary(config.prompt_folder, config.prompt_files)
    usual = given or SignalFormatter(config, library.get(config.prompt))
    names = {*router.prompts, *(shadow.prompt for shadow in config.shadow if shadow.prompt)}
    found: dict[str | None, SignalFormatter] = {None: usual, config.prompt: usual}
    found.update((name, usual.using(library.get(name))) for name in names - {config.prompt})
    return found
