"""``check``: is everything ready? Nothing is asked of a model and nothing is changed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from llm_integration.commands import check_database, check_folders, check_server
from llm_integration.commands.check_item import Item, Status, failed, fine, warned
from llm_integration.commands.settings import Settings, add_common_arguments, load
from llm_integration.commands.terminal import json_line, say, show_table
from llm_integration.config import URL_VARIABLE, LLMConfig, environment, suggestion
from llm_integration.errors import ConfigError
from llm_integration.record.embedded import default_base

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Look at everything a run needs, before it runs: settings, API key, models, PostgreSQL, folders, clocks.

No model is asked, nothing costs anything. What a run does with PostgreSQL is done once in a transaction that
is rolled back, so no table and no row is made or changed (the embedded PostgreSQL is started for the moment
if it is the one in use). A "warn" is worth knowing, with a
"fail" the sidecar will not do its work. Exit status 0: no "fail", 1: at least one, 2: the settings
themselves cannot be read."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    add_common_arguments(parser, tables=True)


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    try:
        settings = load(args)
    except ConfigError as error:
        _report(args, [failed("settings", str(error))])
        return 2
    items = [
        *_settings(settings),
        *await check_server.check(
            settings.llm, datetime.now(UTC).date(), dialect_folder=default_base() / "models"
        ),
        *await check_database.check(settings),
        *check_folders.check(settings),
    ]
    _report(args, items)
    return 1 if any(item.status is Status.FAIL for item in items) else 0


def _settings(settings: Settings) -> list[Item]:
    given = environment(beside=settings.llm.folder)
    prefix = LLMConfig.prefix
    fields = {name: name.removeprefix(prefix).lower() for name in given if name.startswith(prefix)}
    used = sorted(name for name, field in fields.items() if field in LLMConfig.model_fields)
    used += [URL_VARIABLE] if given.get(URL_VARIABLE) else []
    over = f"; from the environment: {', '.join(used)}" if used else ""
    items = []
    if settings.file is None:
        text = f"no config.json in this folder, so the defaults hold{over}; name another file with --config"
        items.append(warned("settings", text))
    else:
        items.append(fine("settings", f"{settings.file}{over}"))
    for name, field in sorted(fields.items()):  # other programs have variables of this prefix too
        near = suggestion(field, LLMConfig.model_fields)
        if field not in LLMConfig.model_fields and "did you mean" in near:
            items.append(warned("settings", f"{name} in the environment is no setting{near}"))
    if not settings.llm.enabled:
        items.append(warned("settings", "enabled is false: trading runs and nothing is asked"))
    return items


def _report(args: argparse.Namespace, items: Sequence[Item]) -> None:
    worst = [status for status in Status if any(item.status is status for item in items)]
    if args.json:
        json_line(
            {
                "ok": Status.FAIL not in worst,
                "items": [{**asdict(item), "status": item.status.value} for item in items],
            }
        )
        return
    show_table("check", ("item", "", "what"), [(item.name, item.status.value, item.text) for item in items])
    counts = {status: sum(item.status is status for item in items) for status in Status}
    say(", ".join(f"{number} {status.value}" for status, number in counts.items() if number))
