"""What servers really send, from the socket to the rating: each file of ``tests/data/replies`` is served.

``expect`` names what must come of it: ``rating`` lists the ratings that are right (null: unrated),
``choppiness`` the verdict, ``warning`` a word that a warning has, ``error`` the class of the error there is
instead of an answer, and ``requests`` how many of them are made with no retries allowed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from llm_integration import errors
from llm_integration.config import LLMConfig
from llm_integration.llm_processor import Completion, LLMProcessor
from llm_integration.response_parser import LLMResponseParser, ParsedResponse

FILES: Final = sorted((Path(__file__).parent.parent / "data" / "replies").glob("*.json"))
CASES: Final[dict[Path, dict[str, Any]]] = {file: json.loads(file.read_text("utf-8")) for file in FILES}
PARSER: Final = LLMResponseParser()


class Server:
    """Sends one reply as it stands, and counts how often it is asked for it."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.requests = 0
        self._case = case

    async def answer(self, _: web.Request) -> web.Response:
        self.requests += 1
        return web.json_response(self._case["body"], status=self._case["status"])

    @asynccontextmanager
    async def processor(self) -> AsyncIterator[LLMProcessor]:
        """A client of this server that makes no second attempt."""
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        async with TestServer(app) as server:
            url = str(server.make_url("/v1"))
            client = LLMProcessor(LLMConfig(model="m", base_url=url, max_retries=0))
            try:
                yield client
            finally:
                await client.close()


def read(completion: Completion) -> ParsedResponse:
    return PARSER.parse(completion.text, completion.finish_reason)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_every_reply_gives_its_right_value(file: Path) -> None:
    """The rating that stands there, an honest "unrated", or the right error, and nothing is asked twice."""
    case = CASES[file]
    expected = case["expect"]
    server = Server(case)
    async with server.processor() as client:
        if "error" in expected:
            with pytest.raises(getattr(errors, expected["error"])):
                await client.complete("rate")
        else:
            completion = await client.complete("rate")
            reading = read(completion)
            assert reading.rating in expected["rating"], reading
            assert reading.choppiness == expected.get("choppiness", reading.choppiness)
            warnings = (*reading.warnings, *completion.warnings)
            assert expected.get("warning", "") in "; ".join(warnings)
            assert warnings or reading.rating is not None
    assert server.requests == expected.get("requests", server.requests)


def test_there_are_enough_of_them() -> None:
    """The given cases and more than five brothers of each kind."""
    assert len(FILES) > 50
