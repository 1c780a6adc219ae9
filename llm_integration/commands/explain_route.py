"""``explain-route``: which rule a signal takes, and why."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from llm_integration.commands.arguments import count, since
from llm_integration.commands.errors import UsageError
from llm_integration.commands.prompt_source import (
    PER_MILLION,
    Asked,
    add_signal_arguments,
    asked,
    catalogue_of,
    chosen_way,
    library_of,
    prompt_facts,
    stored_signal,
)
from llm_integration.commands.settings import Settings, add_common_arguments, load
from llm_integration.commands.terminal import json_line, say, show_table
from llm_integration.config import LLMConfig
from llm_integration.domain import Signal
from llm_integration.prompts import PromptTemplate
from llm_integration.record.command_signals import StoredSignal
from llm_integration.routing import RouteChoice, RuleReport, router_for

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Say which routing rule (the setting "routes") a signal takes and why: every rule with the conditions that
decided, then the models that would be asked, the form of the reply, prices, and the prompt.

Name a stored signal, or describe one: --symbol ES --type BUY --risk-reward 2 --indicator adx_14=31. What you
leave out the signal does not have, and no bound matches that. Nothing is asked and nothing costs anything.
Prices are from the list that the program keeps, or the one that ships; an unknown one stays unknown."""

DESCRIBED = ("symbol", "type", "risk_reward", "indicator", "time")


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is said about one signal."""

    stored: StoredSignal
    backlog: int
    rules: Sequence[RuleReport]
    choice: RouteChoice
    models: Sequence[Asked]
    prompt: PromptTemplate
    max_tokens: int
    temperature: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    add = parser.add_argument
    add_signal_arguments(parser)
    add("--symbol", metavar="S", help="describe a signal: its symbol")
    add("--type", metavar="T", help="its type, such as BUY or SELL")
    add("--risk-reward", type=_ratio, metavar="R", help="its reward per unit of risk, such as 2.0")
    add(
        "--indicator",
        type=_indicator,
        action="append",
        metavar="NAME=VALUE",
        help="the value of an indicator; may be given several times",
    )
    add("--time", type=since, metavar="WHEN", help="its time, such as 2026-01-31T14:00 (default: now)")
    add("--backlog", type=count, metavar="N", default=1, help="signals waiting, this one too (default 1)")
    add_common_arguments(parser, tables=True)


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    described = [name for name in DESCRIBED if getattr(args, name) is not None]
    from_database = args.signal is not None or args.last
    if from_database and described:
        raise UsageError("name a stored signal or describe one, not both")
    if not from_database and not described:
        raise UsageError("say which signal: --signal ID, --last, or --symbol S --type BUY ...")
    settings = load(args)
    stored = await stored_signal(args, settings) if from_database else StoredSignal(_described(args))
    told = await _explained(settings, stored, args.backlog)
    if args.json:
        json_line(_as_json(told))
    else:
        _show(told, settings.llm)
    return 0


async def _explained(settings: Settings, stored: StoredSignal, backlog: int) -> Explanation:
    config = settings.llm
    choice = chosen_way(config, stored, backlog)
    plan = choice.plan
    return Explanation(
        stored,
        backlog,
        router_for(config).explain(stored.signal, backlog=backlog),
        choice,
        asked(config, choice, await catalogue_of(config)),
        library_of(config).get(choice.prompt or config.prompt),
        config.max_tokens if plan.max_tokens is None else plan.max_tokens,
        config.temperature if plan.temperature is None else plan.temperature,
    )


def _described(args: argparse.Namespace) -> Signal:
    """A signal with just these properties; around an entry at 0 the ratio is exactly the given one."""
    ratio: float | None = args.risk_reward
    entry, stop = (None, None) if ratio is None else (0.0, -1.0)
    moment = args.time or datetime.now(UTC)
    indicators = dict(args.indicator or ())
    return Signal("described", moment, args.symbol or "", args.type or "", entry, stop, ratio, indicators)


def _as_json(told: Explanation) -> dict[str, Any]:
    signal, choice = told.stored.signal, told.choice
    return {
        "signal": {
            "signal_id": None if told.stored.status is None else signal.signal_id,
            "symbol": signal.symbol,
            "signal_type": signal.signal_type,
            "timestamp": signal.timestamp,
            "risk_reward": signal.risk_reward_ratio,
            "indicators": dict(signal.indicators),
        },
        "backlog": told.backlog,
        "rules": [{**asdict(rule), "line": rule.line()} for rule in told.rules],
        "rule": choice.rule_name,
        "model_of_a_retry": told.stored.model,
        "models": [model.as_json() for model in told.models],
        "max_tokens": told.max_tokens,
        "temperature": told.temperature,
        "prompt": prompt_facts(told.prompt),
    }


def _show(told: Explanation, config: LLMConfig) -> None:
    signal = told.stored.signal
    ratio = "unknown" if signal.risk_reward_ratio is None else f"{signal.risk_reward_ratio:.3g}"
    time = "unknown" if signal.timestamp is None else f"{signal.timestamp:%Y-%m-%d %H:%M} UTC"
    say(
        f"signal {signal.signal_id}: {signal.symbol or 'no symbol'} {signal.signal_type or 'no type'},"
        f" risk/reward {ratio}, time {time}, backlog {told.backlog}"
    )
    for rule in told.rules:
        say(f"- {rule.line()}")
    if told.choice.rule_name is None:
        say("- default: chosen (" + ("no rule matches" if told.rules else "there are no rules") + ")")
    if told.stored.model is not None:
        say(f"a retry asked for the model {told.stored.model}, which takes the place of the rule's")
    show_table(
        "who is asked" + (" (all of them, and their ratings agreed on)" if told.choice.ensemble else ""),
        ("model", "as", "reply as", "USD a million prompt tokens", "reply tokens"),
        [_row(model) for model in told.models],
    )
    prompt = told.prompt
    say(
        f"max_tokens {told.max_tokens}, temperature {told.temperature:g},"
        f" prompt {prompt.name} {prompt.version} ({prompt.short_hash})"
    )
    cheaper = dict.fromkeys(budget.downgrade_to for budget in config.budgets if budget.downgrade_to)
    if cheaper:
        say(f"a budget that is used up may send it to {', '.join(cheaper)} instead")


def _row(model: Asked) -> tuple[object, ...]:
    price = model.price
    prices = (None, None) if price is None else (price.prompt * PER_MILLION, price.completion * PER_MILLION)
    return (model.model, model.role, model.response_format, *map(_price, prices))


def _price(usd: Decimal | None) -> object:
    return "unknown" if usd is None else usd


def _ratio(text: str) -> float:
    number = _number(text)
    if number is None or number <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def _indicator(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    number = _number(value)
    if not name.strip() or number is None:
        raise argparse.ArgumentTypeError(f"{text!r} should be written NAME=VALUE, such as rsi_14=55")
    return name.strip(), number


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
