"""``prompt``: what the model is told; ``render``, ``lint``, ``diff``, ``list`` are modules of their own."""

from __future__ import annotations

import argparse

from llm_integration.commands import prompt_diff, prompt_lint, prompt_list, prompt_render

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
See, check and compare what the model is told. Nothing is asked and nothing costs anything.

A prompt is a file: a head with name, version, scale and language, then the sections that are sent. It is
named as in the settings ("default", or a file of prompt_directory), or given as a file: ./mine.md"""

PARTS = {
    "render": (prompt_render, "print exactly what would be sent, or was sent, for a stored signal"),
    "lint": (prompt_lint, "find what is wrong with a prompt file"),
    "diff": (prompt_diff, "compare what two prompts make of stored signals"),
    "list": (prompt_list, "which prompts there are"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    parts = parser.add_subparsers(
        dest="part", required=True, metavar="WHAT", help="one of " + ", ".join(PARTS) + "; each has a --help"
    )
    for name, (module, told) in PARTS.items():
        one = parts.add_parser(
            name,
            help=told,
            description=module.DESCRIPTION,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(one)


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    status: int = await PARTS[args.part][0].run(args)
    return status
