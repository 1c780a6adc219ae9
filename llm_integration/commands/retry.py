"""``retry``: finished tasks pending again."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from llm_integration.commands.arguments import count, since
from llm_integration.commands.errors import UsageError
from llm_integration.commands.program import program_name
from llm_integration.commands.settings import Settings, add_common_arguments, load, open_database
from llm_integration.commands.terminal import clean, json_line, say, show_table
from llm_integration.config import normalise_model_id
from llm_integration.record.retry import Retryable, RetryChoice

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Ask again about signals that came to nothing: they become pending, and the program of their session, a run
with --resume, or the command "work" asks about them as about new ones. Each costs again; --dry-run shows
which they would be.

What the first attempt cost stays counted. Its answer is removed, in short form it is kept in the task's
context in PostgreSQL. When the new answers are there, "export" brings the files up to date: a row that is
in llm_signals.csv already is not replaced by a running program."""

SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    add = parser.add_argument
    add("--failed", action="store_true", help="signals whose request failed")
    add("--unrated", action="store_true", help="signals that were answered without a readable rating")
    add("--expired", action="store_true", help="signals that grew too old, or that nobody was asked about")
    add("--session", metavar="ID", help="only of this session")
    add("--since", type=since, metavar="WHEN", help="only what ended since then: 2026-01-31, 24h, 7d")
    add("--limit", type=count, metavar="N", help="at most so many, the oldest first")
    add("--model", metavar="M", help="ask this model instead of the configured one")
    add("--dry-run", action="store_true", help="show which they are and change nothing")
    add_common_arguments(parser, tables=True)


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    if not (args.failed or args.unrated or args.expired):
        raise UsageError("say which: --failed, --unrated, --expired, or several of them")
    model = None if args.model is None else normalise_model_id(args.model)
    if model is not None and not (model.isprintable() and 0 < len(model) <= 200 and " " not in model):
        raise UsageError(f"{clean(args.model, 60)!r} is not a model id")
    settings = load(args)
    choice = RetryChoice(args.failed, args.expired, args.unrated, args.session, args.since, args.limit)
    async with open_database(settings) as database:
        if args.session is not None:
            known = {session.session_id for session in await database.list_sessions()}
            if args.session not in known:
                raise UsageError(f"there is no session {args.session!r} in this database")
        if args.dry_run:
            found = await database.find_retryable(choice)
        else:
            found = await database.retry(choice, model=model)
    _report(args, settings, found, model)
    return 0


def _report(
    args: argparse.Namespace, settings: Settings, found: Sequence[Retryable], model: str | None
) -> None:
    if args.json:
        json_line(
            {
                "dry_run": args.dry_run,
                "model": model,
                "count": len(found),
                "tasks": [asdict(t) for t in found],
            }
        )
        return
    if found:
        show_table(
            "would be asked again" if args.dry_run else "asked again",
            ("task", "signal", "symbol", "time", "ended", "why", "model", "spent USD"),
            [
                (
                    str(t.task_id),
                    t.signal_id,
                    t.symbol,
                    t.timestamp,
                    _ended(t),
                    t.reason,
                    t.model,
                    t.spent_usd,
                )
                for t in found[:SHOWN]
            ],
        )
    if len(found) > SHOWN:
        say(f"... and {len(found) - SHOWN} more")
    counts = Counter(map(_ended, found))
    told = ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "none"
    if args.dry_run:
        say(f"{told}; nothing was changed")
    elif found:
        asked = f" of {model}" if model else ""
        say(
            f"{told}: pending again, to be asked{asked}. A program that runs their session takes them within"
            f' {settings.llm.poll_interval:g} s, else "{program_name()} work --until-empty" does;'
            f" they expire after {settings.llm.signal_max_age_seconds:g} s (signal_max_age_seconds)"
        )
    else:
        say("there is nothing to ask again")


def _ended(task: Retryable) -> str:
    return "unrated" if task.status == "completed" else task.status
