"""What the client says about a reply reaches the parser, and what it warns of reaches the result."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llm_integration.domain import LLMAnalysis
from llm_integration.fairness import LONG_REPLY_CHARS
from llm_integration.llm_processor import Completion
from tests.unit.test_worker import build, running
from tests.unit.worker_parts import GOOD_REPLY, ScriptedProcessor, completion, signal_mapping

WARNING = "the answer stood in reasoning_content, not in the text of the reply"


class FinishingProcessor(ScriptedProcessor):
    """Answers every call with the same completion."""

    def __init__(self, answer: Completion) -> None:
        super().__init__()
        self.answer = answer

    async def complete(self, prompt: str, **options: Any) -> Completion:
        await super().complete(prompt, **options)
        return self.answer


async def ended(answer: Completion, **settings: Any) -> LLMAnalysis:
    """How a signal ends that is answered so."""
    results = asyncio.Queue[LLMAnalysis]()
    worker, store, _ = build(FinishingProcessor(answer), **settings)
    worker.subscribe(results.put)
    async with running(worker):
        assert store.add_signal(signal_mapping("s1"))
        return await asyncio.wait_for(results.get(), 5)


@pytest.mark.parametrize("size", [0, LONG_REPLY_CHARS])
async def test_a_cut_draft_is_no_rating_of_the_signal(size: int) -> None:
    """However long the reply is, the parser is told that it was cut, and the result says so."""
    cut = completion("Rating: 2. But the trend" + " is up" * size)._replace(finish_reason="length")
    analysis = await ended(cut)
    assert analysis.rating is None
    assert "cut" in (analysis.error or "")
    assert (await ended(completion(cut.text))).rating == 2


async def test_warnings_of_the_client_stand_in_the_result() -> None:
    """A rated result says where its answer stood."""
    analysis = await ended(completion()._replace(warnings=(WARNING,)))
    assert (analysis.rating, analysis.warnings) == (4, (WARNING,))


async def test_a_cut_batch_reply_is_read_as_such() -> None:
    """Of a reply about several signals that was cut behind words nothing counts, and each is asked alone."""
    results = asyncio.Queue[LLMAnalysis]()
    processor = FinishingProcessor(completion(f"Here: {GOOD_REPLY}")._replace(finish_reason="length"))
    worker, store, _ = build(processor, batch_size=2, max_concurrency=1)
    worker.subscribe(results.put)
    for number in range(2):
        assert store.add_signal(signal_mapping(f"s{number}"))
    async with running(worker):
        ends = [await asyncio.wait_for(results.get(), 5) for _ in range(2)]
    assert [end.rating for end in ends] == [None, None]
    assert len(processor.prompts) == 3
