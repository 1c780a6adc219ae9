"""``health``: the ratings of each model and prompt, replayed from PostgreSQL."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from llm_integration.commands.arguments import count, since
from llm_integration.commands.errors import UsageError
from llm_integration.commands.settings import add_common_arguments, load, open_database
from llm_integration.commands.terminal import json_line, say, show_table
from llm_integration.rating_health import Alarm, RatingHealth, VersionHealth, version_names
from llm_integration.record.command_store import CommandDatabase

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
How the latest ratings of each model and prompt version are distributed, compared with those before.

An alarm means that one rating has taken over (the entropy of the ratings fell, so they tell good signals
from bad ones less well) or that more replies than before have no readable rating. A changed prompt, another
model behind the same name, or a changed market can do that. The running program raises the same alarms.
Exit status 1: an alarm stands for a version that is in use."""

IN_USE = timedelta(days=7)
"""A version that brought nothing for so long before the newest answer is out of use."""
MOST_ALARMS = 20


@dataclass(slots=True)
class Replay:
    """What came of all stored answers."""

    health: RatingHealth
    last: dict[tuple[str, str], datetime] = field(default_factory=dict)
    alarms: deque[tuple[datetime, Alarm]] = field(default_factory=lambda: deque(maxlen=MOST_ALARMS))
    newest: datetime | None = None

    def in_use(self, version: VersionHealth) -> bool:
        """True when it brought an answer lately."""
        last = self.last[version.model, version.prompt]
        return self.newest is not None and last >= self.newest - IN_USE


def _window(text: str) -> int:
    number = count(text)
    if not 50 <= number <= 10_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 50 and 10,000")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    add = parser.add_argument
    add(
        "--window",
        type=_window,
        metavar="N",
        help="latest answers to look at (default: rating_health_window)",
    )
    add("--model", metavar="M", help="show only this model")
    add("--prompt-version", metavar="P", help="show only this prompt: its version, or name and version")
    add("--session", metavar="ID", help="only this session's answers")
    add("--since", type=since, metavar="WHEN", help="only answers since then: 2026-01-31, 24h, 7d")
    add_common_arguments(parser, tables=True)


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    settings = load(args)
    window = args.window or settings.llm.rating_health_window
    async with open_database(settings) as database:
        replay = await _replay(database, RatingHealth(window), args)
    shown = [version for version in replay.health.report() if _wanted(version.model, version.prompt, args)]
    if not shown and (args.model or args.prompt_version):
        raise UsageError("no answer is stored for this model and prompt")
    alarms = [(at, alarm) for at, alarm in replay.alarms if _wanted(alarm.model, alarm.prompt, args)]
    troubled = [version for version in shown if version.alarms and replay.in_use(version)]
    if args.json:
        json_line(
            {
                "window": window,
                "ok": not troubled,
                "versions": [
                    {**asdict(v), "in_use": replay.in_use(v), "last_at": replay.last[v.model, v.prompt]}
                    for v in shown
                ],
                "changes": [{"at": at, **asdict(alarm)} for at, alarm in alarms],
            }
        )
    else:
        _show(window, shown, alarms, troubled)
    return 1 if troubled else 0


async def _replay(database: CommandDatabase, health: RatingHealth, args: argparse.Namespace) -> Replay:
    replay = Replay(health)
    async with aclosing(database.iter_ratings(args.session, args.since)) as answers:
        async for row in answers:
            key = version_names(row.model_served, row.model_requested, row.prompt_name, row.prompt_version)
            change = health.add(row.rating, model=key[0], prompt=key[1])
            replay.last[key] = replay.newest = row.at
            if change is not None:
                replay.alarms.append((row.at, change))
    return replay


def _wanted(model: str, prompt: str, args: argparse.Namespace) -> bool:
    if args.model is not None and model != args.model:
        return False
    return args.prompt_version is None or args.prompt_version in (prompt, prompt.rpartition(" ")[2])


def _show(
    window: int,
    shown: Sequence[VersionHealth],
    alarms: Sequence[tuple[datetime, Alarm]],
    troubled: Sequence[VersionHealth],
) -> None:
    if not shown:
        say("there is no answer yet")
        return
    show_table(
        f"the last {window} answers of each model and prompt",
        ("model", "prompt", "all", *"12345", "unrated", "before", "entropy", "before", "state"),
        [
            (
                v.model, v.prompt, v.total, *v.counts, _percent(v.unrated_share),
                _percent(v.reference_unrated_share), v.entropy_bits, v.reference_bits,
                ", ".join(v.alarms) or "ok",
            )
            for v in shown
        ],
    )  # fmt: skip
    for at, alarm in alarms:
        say(f"{at:%Y-%m-%d %H:%M} {alarm.model} {alarm.prompt}: {alarm.message}")
    if not troubled:
        say("no alarm stands for what is in use")


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.1%}"
