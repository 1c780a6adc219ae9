"""The field's own clients, each making the same call and reading the rating out of the reply."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Awaitable
from typing import Any

from pydantic import create_model

from benchmarks.calls import KEY, MODEL, Calls
from benchmarks.instant_server import GOOD_CONTENT

__all__ = ["Instructor", "LiteLLM", "LiteLLMRouter", "OpenAI"]


class OpenAI(Calls):
    """The openai package."""

    async def connect(self) -> None:
        openai = importlib.import_module("openai")
        self._client = openai.AsyncOpenAI(base_url=self._setup.base_url, api_key=KEY, max_retries=0)
        self._close = self._client.close

    async def call(self, number: int) -> None:
        reply = await self._client.chat.completions.create(
            model=MODEL,
            messages=self.messages(number),
            max_tokens=2000,
            temperature=0.0,
            response_format={"type": "json_object"},
        )
        json.loads(reply.choices[0].message.content)["rating"]


class LiteLLM(Calls):
    """litellm.acompletion."""

    async def connect(self) -> None:
        self._completion = _litellm().acompletion

    async def call(self, number: int) -> None:
        reply = await self._completion(
            model=f"openai/{MODEL}",
            api_base=self._setup.base_url,
            api_key=KEY,
            messages=self.messages(number),
            max_tokens=2000,
            temperature=0.0,
            response_format={"type": "json_object"},
            num_retries=0,
        )
        json.loads(reply.choices[0].message.content)["rating"]


class LiteLLMRouter(LiteLLM):
    """litellm's Router, which is where its rate limits and fallbacks are."""

    async def connect(self) -> None:
        parameters = {"model": f"openai/{MODEL}", "api_base": self._setup.base_url, "api_key": KEY}
        router = _litellm().Router(
            model_list=[{"model_name": f"openai/{MODEL}", "litellm_params": parameters}], num_retries=0
        )

        def completion(**options: Any) -> Awaitable[Any]:
            wanted = {"model", "messages", "max_tokens", "temperature", "response_format"}
            call: Awaitable[Any] = router.acompletion(
                **{name: value for name, value in options.items() if name in wanted}
            )
            return call

        self._completion = completion


class Instructor(Calls):
    """instructor over the openai package, in JSON mode."""

    async def connect(self) -> None:
        instructor, openai = importlib.import_module("instructor"), importlib.import_module("openai")
        client = openai.AsyncOpenAI(base_url=self._setup.base_url, api_key=KEY, max_retries=0)
        self._client = instructor.from_openai(client, mode=instructor.Mode.JSON)
        fields: dict[str, Any] = dict.fromkeys(json.loads(GOOD_CONTENT), (str, ...))
        self._reply = create_model("Rating", **{**fields, "rating": (int, ...)})
        self._close = client.close

    async def call(self, number: int) -> None:
        await self._client.chat.completions.create(
            model=MODEL,
            messages=self.messages(number),
            max_tokens=2000,
            temperature=0.0,
            response_model=self._reply,
            max_retries=1,
        )


def _litellm() -> Any:
    module: Any = importlib.import_module("litellm")
    module.suppress_debug_info = True
    module.telemetry = False
    logging.getLogger("LiteLLM").setLevel(logging.ERROR)
    return module
