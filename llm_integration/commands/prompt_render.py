"""``prompt render``: the messages about one signal, as they would be sent or as they were."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from llm_integration.calls import ChatRequest
from llm_integration.commands.errors import CommandError, UsageError
from llm_integration.commands.prompt_show import show_text
from llm_integration.commands.prompt_source import (
    Asked,
    add_signal_arguments,
    asked,
    catalogue_of,
    chosen_way,
    highest_usd,
    library_of,
    prompt_facts,
    stored_signal,
)
from llm_integration.commands.settings import Settings, add_common_arguments, load, open_database
from llm_integration.commands.terminal import digits, json_line, say, show_table
from llm_integration.config import LLMConfig
from llm_integration.llm_processor.wire import prompt_tokens
from llm_integration.prompts import PromptParts, PromptTemplate, PromptText, prompt_parts
from llm_integration.prompts.compare import render_stored
from llm_integration.providers import provider_for
from llm_integration.record.command_signals import StoredSignal
from llm_integration.routing import RouteChoice

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Print the messages that would be sent now about a stored signal, to the letter, how many tokens each part of
them takes, and what the request may cost at most. With --stored: the messages that were really sent.

Characters that a terminal would obey or not show are printed as \\x1b; with --json the text is whole, and
"request" is the body of the request. Token counts are estimates, rather too high. A signal is shown alone
also where the settings ask about several at once (batch_size)."""


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """A request about one signal that was not sent."""

    stored: StoredSignal
    choice: RouteChoice
    template: PromptTemplate
    text: PromptText
    parts: PromptParts
    models: Sequence[Asked]
    max_tokens: int
    body: dict[str, Any]

    @property
    def tokens(self) -> int:
        """What is put aside for the prompt."""
        return prompt_tokens(self.text.user, self.text.system)

    @property
    def highest_usd(self) -> Decimal | None:
        """What sending it once may cost at most; None when a price is not known."""
        return highest_usd(self.models, self.tokens, self.max_tokens)

    def usd_of(self, model: Asked) -> Decimal | None:
        """What sending it to one of the models may cost at most; None when its price is not known."""
        return model.highest(self.tokens, self.max_tokens)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    add = parser.add_argument
    add_signal_arguments(parser)
    add("--prompt", metavar="NAME|FILE", help="this prompt instead of the one that the signal's route takes")
    add("--system", action="store_true", help="only the system message; needs no signal and no database")
    add("--stored", action="store_true", help="what was really sent about the signal, and the reply")
    add_common_arguments(parser, tables=True)


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    settings = load(args)
    if args.stored and (args.prompt is not None or args.system):
        raise UsageError("--stored shows what was sent; leave --prompt and --system out")
    if args.signal is None and not args.last:
        if not args.system:
            raise UsageError("say which signal: --signal ID or --last")
        return _system(args, library_of(settings.llm, args.prompt).get(args.prompt or settings.llm.prompt))
    stored = await stored_signal(args, settings)
    if args.stored:
        return await _really_sent(args, settings, stored)
    request = await _request(settings.llm, stored, args.prompt)
    if args.system:
        return _system(args, request.template)
    if args.json:
        json_line(_as_json(request))
    else:
        _show(request)
    return 0


async def _request(config: LLMConfig, stored: StoredSignal, prompt: str | None) -> PromptRequest:
    choice = chosen_way(config, stored, 1)
    template = library_of(config, prompt).get(prompt or choice.prompt or config.prompt)
    rendered = render_stored(template, stored.signal, config=config)
    models = asked(config, choice, await catalogue_of(config))
    plan = choice.plan
    room = config.max_tokens if plan.max_tokens is None else plan.max_tokens
    request = ChatRequest(
        rendered.text.user,
        rendered.text.system,
        models[0].model,
        room,
        config.temperature if plan.temperature is None else plan.temperature,
        config.reasoning_effort,
        models[0].response_format,
        plan.response_schema,
        plan.schema_name,
    )
    body = provider_for(config.base_url).encode(request).body
    parts, text = rendered.parts, rendered.text
    return PromptRequest(stored, choice, template, text, parts, models, room, json.loads(body))


def _as_json(request: PromptRequest) -> dict[str, Any]:
    signal = request.stored.signal
    return {
        "signal_id": signal.signal_id,
        "symbol": signal.symbol,
        "timestamp": signal.timestamp,
        "rule": request.choice.rule_name,
        "prompt": prompt_facts(request.template),
        "system": request.text.system,
        "user": request.text.user,
        "tokens": {**asdict(request.parts), "total": request.parts.total},
        "prompt_tokens_at_most": request.tokens,
        "max_tokens": request.max_tokens,
        "models": [{**model.as_json(), "usd_at_most": request.usd_of(model)} for model in request.models],
        "usd_at_most": request.highest_usd,
        "request": request.body,
    }


def _show(request: PromptRequest) -> None:
    show_text("system", request.text.system)
    show_text("user", request.text.user)
    show_table("estimated tokens", ("part", "tokens"), part_rows(request.parts))
    template = request.template
    ways = f"rule {request.choice.rule_name}" if request.choice.rule_name else "the default way"
    say(f"prompt {template.name} {template.version} ({template.short_hash}), by {ways}")
    names = [model.model for model in request.models if model.role != "fallback"]
    say(
        f"to {', '.join(names)}: {request.tokens:,} tokens at most, and {request.max_tokens:,} for the reply;"
        f" cost at most {_price(request.highest_usd)}"
    )
    for model in request.models:
        if model.role == "fallback":
            say(f"if that fails, to {model.model}: cost at most {_price(request.usd_of(model))}")


def _price(usd: Decimal | None) -> str:
    return "unknown, as the list of models has no price for it" if usd is None else f"{digits(usd)} USD"


def part_rows(parts: PromptParts) -> list[tuple[str, int]]:
    """The parts of a prompt, and all of it."""
    return [*asdict(parts).items(), ("all", parts.total)]


def _system(args: argparse.Namespace, template: PromptTemplate) -> int:
    if args.json:
        json_line({"prompt": prompt_facts(template), "system": template.system})
    else:
        show_text("system", template.system)
    return 0


async def _really_sent(args: argparse.Namespace, settings: Settings, stored: StoredSignal) -> int:
    name = stored.signal.signal_id
    async with open_database(settings) as database:
        messages = await database.get_messages(name)
        facts = await database.get_enhanced_signal_data(name)
    if messages is None or messages["prompt_text"] is None:
        raise CommandError(
            f"no messages are stored for signal {name!r}: it is {stored.status or 'not asked about'}"
        )
    parts = prompt_parts(messages["prompt_text"], messages["system_text"])
    if args.json:
        json_line(_sent_json(name, messages, facts, parts))
        return 0
    if messages["system_text"] is not None:
        show_text("system", messages["system_text"])
    show_text("user", messages["prompt_text"])
    show_text("reply", messages["raw_reply"] or "")
    show_table("estimated tokens", ("part", "tokens"), part_rows(parts))
    _say_billed(facts)
    return 0


_FACTS = (
    "prompt_name", "prompt_version", "prompt_hash", "route", "batch_size", "model_requested", "model_served",
    "prompt_tokens", "completion_tokens", "cost_usd", "cached_tokens", "cache_write_tokens",
    "reasoning_tokens", "service_tier",
)  # fmt: skip


def _sent_json(
    name: str, messages: dict[str, str | None], facts: dict[str, Any], parts: PromptParts
) -> dict[str, Any]:
    return {
        "signal_id": name,
        "system": messages["system_text"],
        "user": messages["prompt_text"],
        "reply": messages["raw_reply"],
        "tokens": {**asdict(parts), "total": parts.total},
        **{fact: facts[fact] for fact in _FACTS},
    }


def _say_billed(facts: dict[str, Any]) -> None:
    cost, tokens = facts["cost_usd"], facts["prompt_tokens"]
    share = f", its share of a request about {facts['batch_size']} signals" if facts["batch_size"] > 1 else ""
    say(
        f"prompt {facts['prompt_name'] or 'unknown'} {facts['prompt_version'] or ''}, answered by"
        f" {facts['model_served'] or 'unknown'};"
        f" billed: {'unknown' if tokens is None else format(tokens, ',')} prompt tokens,"
        f" {'unknown' if cost is None else digits(cost)} USD{share}"
    )
