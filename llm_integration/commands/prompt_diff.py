"""``prompt diff``: what two prompts make of the same signals."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from llm_integration.commands.arguments import count
from llm_integration.commands.prompt_samples import Tried, signals_to_try
from llm_integration.commands.prompt_show import say_lines
from llm_integration.commands.prompt_source import library_of, prompt_facts
from llm_integration.commands.settings import add_common_arguments, load
from llm_integration.commands.terminal import json_line, say
from llm_integration.prompts import PromptTemplate
from llm_integration.prompts.compare import Difference, diff

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Show how the requests of two prompts differ, signal by signal, and how many tokens more the second takes.

The signals are the newest ones that are stored in PostgreSQL; where there are none, a few built-in ones.
Token counts are estimates by one measure for both. Exit status 0, whether they differ or not."""

SIGNALS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    add = parser.add_argument
    add("a", metavar="A", help="a prompt by name, or a file: ./mine.md")
    add("b", metavar="B", help="the prompt to compare with it")
    add(
        "--signals", type=count, metavar="N", default=SIGNALS,
        help=f"over the N newest stored signals (default {SIGNALS})",
    )  # fmt: skip
    add_common_arguments(parser)


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    settings = load(args)
    library = library_of(settings.llm, args.a, args.b)
    first, second = library.get(args.a), library.get(args.b)
    tried = await signals_to_try(settings, args.signals)
    found = diff(first, second, tried.signals, config=settings.llm)
    if args.json:
        json_line(_as_json(first, second, found, tried))
    else:
        _show(found, tried)
    return 0


def _as_json(
    first: PromptTemplate, second: PromptTemplate, found: Sequence[Difference], tried: Tried
) -> dict[str, object]:
    return {
        "a": prompt_facts(first),
        "b": prompt_facts(second),
        "tried_on": tried.source,
        "stored_signals": tried.stored,
        "tokens_a": sum(one.tokens_a for one in found),
        "tokens_b": sum(one.tokens_b for one in found),
        "tokens": sum(one.tokens for one in found),
        "signals": [
            {
                "signal_id": one.signal_id,
                "tokens_a": one.tokens_a,
                "tokens_b": one.tokens_b,
                "tokens": one.tokens,
                "diff": one.lines,
            }
            for one in found
        ],
    }


def _show(found: Sequence[Difference], tried: Tried) -> None:
    shown: tuple[str, ...] | None = None
    for one in found:
        say(f"signal {one.signal_id}: {one.tokens_a:,} and {one.tokens_b:,} tokens, {one.tokens:+,}")
        if one.lines and one.lines == shown:
            say("(differs as the signal above)")
        else:
            say_lines(one.lines or ["(the same)"])
        shown = one.lines
    before, after = sum(one.tokens_a for one in found), sum(one.tokens_b for one in found)
    share = f" ({(after - before) / before:+.1%})" if before else ""
    say(f"together {before:,} and {after:,} tokens, {after - before:+,}{share}; over {tried.source}")
