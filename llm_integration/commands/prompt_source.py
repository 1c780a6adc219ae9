"""What ``prompt`` and ``explain-route`` share: which signal, which way it takes, and what that may cost."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from llm_integration.budget.prices import Price, highest_cost
from llm_integration.commands.errors import UsageError
from llm_integration.commands.settings import Settings, open_database
from llm_integration.commands.terminal import clean
from llm_integration.config import LLMConfig
from llm_integration.llm_processor.guard import SpendRequest
from llm_integration.model_catalogue import ModelCatalogue
from llm_integration.prompts import PromptLibrary, PromptTemplate
from llm_integration.providers.formats import choose_format
from llm_integration.record.command_signals import StoredSignal
from llm_integration.record.embedded import default_base
from llm_integration.routing import CallPlan, RouteChoice, router_for

__all__ = [
    "PER_MILLION",
    "Asked",
    "add_signal_arguments",
    "asked",
    "catalogue_of",
    "chosen_way",
    "highest_usd",
    "library_of",
    "prompt_facts",
    "stored_signal",
]

PER_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Asked:
    """One model of a plan, in which form it would be asked to reply, and its listed price.

    ``role`` is ``first``, ``fallback`` or ``ensemble``; of an ensemble all are asked.
    """

    model: str
    role: str
    response_format: str
    price: Price | None
    listed: bool

    def highest(self, prompt_tokens: int, max_tokens: int) -> Decimal | None:
        """USD that one request to it may cost at most; None when its price is not known."""
        return highest_cost(self.price, SpendRequest(self.model, prompt_tokens, max_tokens, {})).usd

    def as_json(self) -> dict[str, Any]:
        """For scripts: prices in USD per million tokens, null when unknown."""
        price = self.price
        values = asdict(self)
        values["usd_per_million_prompt_tokens"] = None if price is None else price.prompt * PER_MILLION
        values["usd_per_million_reply_tokens"] = None if price is None else price.completion * PER_MILLION
        values["usd_per_request"] = None if price is None else price.request
        del values["price"]
        return values


def add_signal_arguments(parser: argparse.ArgumentParser) -> None:
    """``--signal`` or ``--last``."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--signal", metavar="ID", help="a signal that is stored in PostgreSQL")
    which.add_argument("--last", action="store_true", help="the signal that was stored last")


async def stored_signal(args: argparse.Namespace, settings: Settings) -> StoredSignal:
    """The signal that ``args`` name. Raises UsageError when it is not there."""
    async with open_database(settings) as database:
        if args.signal is not None:
            found = await database.stored_signal(args.signal)
            if found is None:
                raise UsageError(f"there is no signal {clean(args.signal, 100)!r} in this database")
            return found
        latest = await database.latest_signals(1)
    if not latest:
        raise UsageError("there is no signal in this database yet")
    return latest[0]


def chosen_way(config: LLMConfig, stored: StoredSignal, backlog: int) -> RouteChoice:
    """The way that a worker sends this signal."""
    choice = router_for(config).choose(stored.signal, backlog=backlog)
    if stored.model is None:
        return choice
    plan = replace(choice.plan, model=stored.model, fallbacks=())
    return replace(choice, plan=plan, ensemble=())


def asked(config: LLMConfig, choice: RouteChoice, catalogue: ModelCatalogue) -> list[Asked]:
    """Whom a signal that goes this way is sent to, in their order."""
    if choice.ensemble:
        return [_asked(config, choice.plan, model, "ensemble", catalogue) for model in choice.ensemble]
    roles = ["first", *["fallback"] * len(choice.plan.models)]
    pairs = zip(choice.plan.models, roles, strict=False)
    return [_asked(config, choice.plan, model, role, catalogue) for model, role in pairs]


def _asked(config: LLMConfig, plan: CallPlan, model: str, role: str, catalogue: ModelCatalogue) -> Asked:
    listed = catalogue.find(model)
    form = choose_format(config.response_format, listed, (), schema=plan.response_schema is not None)
    return Asked(model, role, form, catalogue.price(model), listed is not None)


def highest_usd(models: Sequence[Asked], prompt_tokens: int, max_tokens: int) -> Decimal | None:
    """What a signal may cost at most, sent once: to the first model, or to all of an ensemble.

    None when a price of these is not known.
    """
    sent = [one for one in models if one.role != "fallback"]
    costs = [one.highest(prompt_tokens, max_tokens) for one in sent]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None


async def catalogue_of(config: LLMConfig) -> ModelCatalogue:
    """What is known about models without asking: the copy that the program keeps, or the shipped one."""
    catalogue = ModelCatalogue(config.base_url, cache_folder=default_base() / "models")
    await catalogue.load()
    return catalogue


def library_of(config: LLMConfig, *typed: str | None) -> PromptLibrary:
    """The prompts that the settings know; a file that was ``typed`` is one of the working folder."""
    files = {name: file for name, file in config.prompt_files.items() if name not in typed}
    return PromptLibrary(config.prompt_folder, files)


def prompt_facts(template: PromptTemplate) -> dict[str, str]:
    """Name, version and hash, for scripts."""
    return {"name": template.name, "version": template.version, "hash": template.hash}
