"""``prompt lint``: what is wrong with prompt files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict

from llm_integration.commands.arguments import count
from llm_integration.commands.prompt_samples import Tried, signals_to_try
from llm_integration.commands.prompt_source import library_of
from llm_integration.commands.settings import add_common_arguments, load
from llm_integration.commands.terminal import json_line, say
from llm_integration.config import LLMConfig
from llm_integration.domain import Signal
from llm_integration.errors import ConfigError
from llm_integration.prompts.lint import Finding, lint_text
from llm_integration.prompts.template import read_prompt_file

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Find what is wrong with a prompt before it costs anything: names that do not exist, bars from after the
signal, missing instructions, a missing scale or form of the reply, no guard around text from outside.

An "error" makes ratings wrong or impossible, a "warning" may. Each prompt is tried on a few built-in signals;
with --signals on the newest ones that are stored in PostgreSQL. Exit status 1: there is an error."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    parser.add_argument(
        "prompts", nargs="+", metavar="NAME|FILE", help="a prompt by name, or a file: ./mine.md"
    )
    parser.add_argument(
        "--signals",
        type=count,
        metavar="N",
        help="try it on the N newest stored signals (default: built-in ones)",
    )
    add_common_arguments(parser)


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    settings = load(args)
    texts = {name: _text(settings.llm, name) for name in args.prompts}
    tried = await signals_to_try(settings, args.signals)
    found = {name: _findings(settings.llm, name, *texts[name], tried.signals) for name in texts}
    errors = sum(finding.severity == "error" for findings in found.values() for finding in findings)
    if args.json:
        told = {name: [asdict(finding) for finding in findings] for name, findings in found.items()}
        json_line(
            {"ok": not errors, "tried_on": tried.source, "stored_signals": tried.stored, "prompts": told}
        )
    else:
        _show(found, texts, tried)
    return 1 if errors else 0


def _text(config: LLMConfig, name: str) -> tuple[str, str]:
    """The text of a prompt, and what to call its place. Raises ConfigError when there is none."""
    library = library_of(config, name)
    file = library.file_of(name)
    return (library.get(name).source, name) if file is None else (read_prompt_file(file), str(file))


def _findings(
    config: LLMConfig, name: str, text: str, where: str, signals: Sequence[Signal]
) -> list[Finding]:
    findings = lint_text(text, signals, where=where, config=config)
    if not any(finding.severity == "error" for finding in findings):
        try:
            library_of(config, name).get(name)
        except ConfigError as error:  # what only shows in its folder, such as a name that is not its file's
            findings.append(Finding("error", 1, str(error)))
    return findings


def _show(found: dict[str, list[Finding]], texts: dict[str, tuple[str, str]], tried: Tried) -> None:
    for name, findings in found.items():
        where = texts[name][1]
        for finding in findings:
            say(f"{where}:{finding.line}: {finding.severity}: {finding.message}")
        if not findings:
            say(f"{where}: nothing to complain about")
    total = [finding.severity for findings in found.values() for finding in findings]
    say(f"{total.count('error')} errors, {total.count('warning')} warnings; tried on {tried.source}")
