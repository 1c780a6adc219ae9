"""``check``: the API key and the models, by the two requests that cost nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp

from llm_integration.calls import Profile
from llm_integration.commands.check_database import skew
from llm_integration.commands.check_item import Item, failed, fine, warned
from llm_integration.commands.terminal import digits
from llm_integration.config import KEY_VARIABLE, LLMConfig
from llm_integration.config.origin import address_origin
from llm_integration.domain import parse_time
from llm_integration.errors import ConfigError
from llm_integration.http_client import (
    Limits,
    describe,
    key_objection,
    open_session,
    proxy_for,
    proxy_options,
)
from llm_integration.model_catalogue import ModelCatalogue
from llm_integration.providers import provider_for
from llm_integration.providers.dialect import note
from llm_integration.providers.learnt import KEEP_SECONDS, LearntDialects

__all__ = ["check"]

SECONDS = 15.0
MOST_BYTES = 65_536
LIMITS = Limits(raw_bytes=4 * MOST_BYTES, lines=4_096)
SOON = timedelta(days=7)
LITTLE_CREDIT = Decimal("0.1")
PER_MILLION = Decimal(1_000_000)
ROOM_FOR_PROMPT = 4_000


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What came back on ``GET /key``, and the server's clock."""

    status: int
    data: dict[str, Any]
    clock: datetime | None
    before: datetime
    after: datetime


async def check(config: LLMConfig, today: date, *, dialect_folder: Path | None = None) -> list[Item]:
    """Address, key, clock and models of the server at ``base_url``, and what was learnt of its ways."""
    if not config.enabled:
        return []
    return [
        _address(config),
        *await _key(config, today),
        *await _models(config, today),
        *_dialects(config, dialect_folder),
    ]


def _address(config: LLMConfig) -> Item:
    origin = address_origin(config)
    try:
        proxy = proxy_for(config.base_url)
    except ConfigError as error:
        return failed("address", str(error))
    through = "" if proxy is None else f", through the proxy {proxy.name}"
    text = f"{config.base_url} ({origin.address_from}){through}"
    if origin.suspicious:
        return warned("address", f"{text}; the key comes from {origin.key_from}: is that file yours?")
    return fine("address", text)


def _dialects(config: LLMConfig, folder: Path | None) -> Iterator[Item]:
    """What the server refused in the last days; none of it is asked for until it is forgotten."""
    known = LearntDialects(config.base_url, folder=folder)
    known.load_now()
    for model, changes in sorted(known.learnt().items()):
        told = []
        for change, moment in changes.items():
            end = datetime.fromtimestamp(moment + KEEP_SECONDS, UTC).date()
            told.append(f"{note(change)} (until {end})")
        yield fine(f"model {model}", "; ".join(told))


async def _key(config: LLMConfig, today: date) -> list[Item]:
    profile = provider_for(config.base_url).profile
    if config.api_key is None:
        say = failed if profile.needs_key else warned
        return [say("key", f"{KEY_VARIABLE} is not set: put it into the environment or into .env")]
    if objection := key_objection(config.base_url, allowed=config.allow_plain_http):
        return [failed("key", objection)]
    try:
        async with asyncio.timeout(SECONDS):
            answer = await _ask(config)
    except ConfigError as error:
        return [failed("key", str(error))]
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        reason = describe(error, config.base_url).replace(_secret(config), "***")
        return [failed("key", f"{config.base_url} does not answer: {reason}; check the network or base_url")]
    items = list(_judged(answer, today, profile))
    if answer.clock is not None:
        items.append(skew("clock of the server", answer.clock, answer.before, answer.after))
    return items


def _secret(config: LLMConfig) -> str:
    return config.api_key.get_secret_value() if config.api_key else ""


async def _ask(config: LLMConfig) -> ServerAnswer:
    headers = {"Authorization": f"Bearer {_secret(config)}"}
    options = proxy_options(proxy_for(config.base_url), headers)
    before = datetime.now(UTC)
    async with (
        open_session(LIMITS) as session,
        session.get(
            f"{config.base_url}/key",
            allow_redirects=False,
            **options,
        ) as response,
    ):
        after = datetime.now(UTC)
        body = await response.content.read(MOST_BYTES)
        return ServerAnswer(response.status, _data(body), _clock(response.headers.get("Date")), before, after)


def _clock(text: str | None) -> datetime | None:
    try:
        return parse_time(parsedate_to_datetime(text)) if text else None
    except ValueError:
        return None


def _data(body: bytes) -> dict[str, Any]:
    try:
        whole = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        return {}
    data = whole.get("data") if isinstance(whole, dict) else None
    return data if isinstance(data, dict) else {}


def _judged(answer: ServerAnswer, today: date, profile: Profile) -> Iterator[Item]:
    if answer.status in (401, 403):
        yield failed("key", f"refused (HTTP {answer.status}); make a new one and set {KEY_VARIABLE}")
        return
    if answer.status == 404 and not profile.tells_of_keys:
        yield warned(
            "key", "this server does not tell about keys; whether it takes yours shows the first call"
        )
        return
    if answer.status != 200 or not answer.data:
        yield failed(
            "key", f"HTTP {answer.status} without a word about the key; try again, or check base_url"
        )
        return
    if answer.data.get("is_management_key") is True or answer.data.get("is_provisioning_key") is True:
        yield failed("key", "this key manages keys and can ask no model; make an ordinary one")
        return
    yield from _credit(answer.data)
    yield from _end(answer.data.get("expires_at"), today)


def _credit(data: dict[str, Any]) -> Iterator[Item]:
    limit, left = _number(data.get("limit")), _number(data.get("limit_remaining"))
    if left is None:
        yield fine("key", "accepted; it has no limit of its own")
    elif left <= 0:
        yield failed(
            "key", "accepted, but its limit is used up; raise it at the server, or wait for its reset"
        )
    elif limit is not None and left < limit * LITTLE_CREDIT:
        yield warned("key", f"accepted; only {digits(left)} of {digits(limit)} USD are left")
    else:
        yield fine(
            "key", f"accepted; {digits(left)} USD are left" + (f" of {digits(limit)}" if limit else "")
        )
    if data.get("is_free_tier") is True:
        yield warned("key", "the account never bought credit: :free models only, a few requests a day")


def _end(expires: object, today: date) -> Iterator[Item]:
    moment = parse_time(expires)
    if moment is None:
        return
    day = moment.date()
    if day < today:
        yield failed("key", f"expired on {day}; make a new one")
    elif day <= today + SOON:
        yield warned("key", f"expires on {day}; make a new one in time")


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


async def _models(config: LLMConfig, today: date) -> list[Item]:
    catalogue = ModelCatalogue(config.base_url)
    if await catalogue.refresh():
        return [_model(catalogue, name, config, today) for name in config.models_named]
    await catalogue.load()
    return _unread(catalogue, config, today)


def _unread(catalogue: ModelCatalogue, config: LLMConfig, today: date) -> list[Item]:
    """What is known of the models without the server: those that the shipped list knows to be gone."""
    named = config.models_named
    say = failed if provider_for(config.base_url).profile.lists_all else warned
    unread = say("models", f"{config.base_url}/models cannot be read; whether they are served is unknown")
    gone = [name for name in named if catalogue.is_gone(name, today)]
    told = catalogue.warnings(gone, today, named)
    return [unread, *(failed(f"model {name}", line) for name, line in zip(gone, told, strict=True))]


def _model(catalogue: ModelCatalogue, name: str, config: LLMConfig, today: date) -> Item:
    title = f"model {name}"
    info = catalogue.find(name)
    told = "; ".join(catalogue.warnings([name], today, config.models_named))
    lists_all = provider_for(config.base_url).profile.lists_all
    if info is None and told and (lists_all or catalogue.is_retired(name)):
        return failed(title, told)
    if info is None:  # other servers' lists are often not what they serve
        return warned(title, f"{told or 'not in the list of the server'}; the first request decides")
    facts = _facts(catalogue, name)
    if info.expiration_date is not None and info.expiration_date <= today:
        return failed(title, told)
    if told:
        return warned(title, f"{told}; {facts}")
    if info.context_length is not None and info.context_length < config.max_tokens + ROOM_FOR_PROMPT:
        return warned(title, f"{facts}: that leaves little room for a prompt beside max_tokens")
    return fine(title, facts)


def _facts(catalogue: ModelCatalogue, name: str) -> str:
    info, price = catalogue.find(name), catalogue.price(name)
    if info is None:
        return "unknown"
    facts = ["context unknown" if info.context_length is None else f"context {info.context_length:,} tokens"]
    if price is None:
        facts.append("price unknown")
    else:
        facts.append(
            f"{digits(price.prompt * PER_MILLION)} USD a million prompt tokens,"
            f" {digits(price.completion * PER_MILLION)} reply"
        )
    parameters = info.supported_parameters
    if parameters is None:
        facts.append("parameters unknown")
    elif "structured_outputs" in parameters:
        facts.append("replies by schema")
    elif "response_format" in parameters:
        facts.append("replies as JSON")
    else:
        facts.append("no JSON mode, plain text")
    return ", ".join(facts)
