"""``prompt list``: which prompts there are."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass

from llm_integration.commands.prompt_source import library_of
from llm_integration.commands.settings import add_common_arguments, load
from llm_integration.commands.terminal import json_line, say, show_table
from llm_integration.config import LLMConfig
from llm_integration.errors import ConfigError
from llm_integration.prompts import PromptLibrary
from llm_integration.routing import router_for

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
List the prompts: those that the settings name, those in prompt_directory, and the built-in ones.

Name, version and hash are stored with each rating, so that ratings of two versions can be told apart.
Exit status 1: one of them cannot be used."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One prompt. ``fault`` says why it cannot be used; what its file would say is None then."""

    name: str
    in_use: bool
    place: str
    version: str | None = None
    hash: str | None = None
    language: str | None = None
    batches: bool | None = None
    description: str | None = None
    fault: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    add_common_arguments(parser, tables=True)


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    config = load(args).llm
    library = library_of(config)
    used = _in_use(config)
    found = [_listed(library, name, name in used) for name in [*_others(used, library), *library.names()]]
    if args.json:
        json_line({"prompts": [asdict(one) for one in found]})
    else:
        _show(found)
    return 1 if any(one.fault for one in found) else 0


def _in_use(config: LLMConfig) -> set[str]:
    shadows = {shadow.prompt for shadow in config.shadow if shadow.prompt}
    return {config.prompt, *router_for(config).prompts, *shadows}


def _others(used: set[str], library: PromptLibrary) -> list[str]:
    """What the settings name and the library does not know by itself: files elsewhere, what is missing."""
    return sorted(used.difference(library.names()))


def _listed(library: PromptLibrary, name: str, in_use: bool) -> Listed:
    path = library.file_of(name)
    place = "built-in" if path is None else str(path)
    try:
        template = library.get(name)
    except ConfigError as error:
        return Listed(name, in_use, place, fault=str(error))
    facts = template.facts
    return Listed(
        name,
        in_use,
        place,
        facts.version,
        template.hash,
        facts.language,
        template.can_batch,
        facts.description,
    )


def _show(found: list[Listed]) -> None:
    show_table(
        "prompts",
        ("name", "version", "hash", "language", "batches", "in use", "place", "description"),
        [
            (
                one.name, one.version, one.hash and one.hash[:12], one.language,
                None if one.batches is None else "yes" if one.batches else "no",
                "yes" if one.in_use else "no", one.place, one.description,
            )
            for one in found
        ],
    )  # fmt: skip
    for one in found:
        if one.fault:
            say(f"{one.name} cannot be used: {one.fault}")
