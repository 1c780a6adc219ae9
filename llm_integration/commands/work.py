"""``work``: a worker program, which answers waiting signals without trading any bars."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from llm_integration import LLMProcessor, LLMWorker
from llm_integration.budget import key_fingerprint
from llm_integration.commands.errors import CommandError, UsageError
from llm_integration.commands.settings import Settings, add_common_arguments, load, open_database
from llm_integration.commands.terminal import digits, json_line, say
from llm_integration.errors import KeyRefusedError
from llm_integration.model_catalogue import ModelCatalogue
from llm_integration.record import Outbox
from llm_integration.record.command_store import CommandDatabase
from llm_integration.record.embedded import default_base
from llm_integration.record.errors import DatabaseError
from llm_integration.record.ledger import PostgresLedger
from llm_integration.worker.ownership import endpoint_of

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = """\
Answer signals that wait in PostgreSQL: those of all sessions, or of one. It needs no bars and writes no
files; a program that trades finds the answers to its signals in PostgreSQL, and so does "export".

It asks the model of the configuration, under the same limits and budgets as every other program on this
key. Signals that were meant for another address are left alone unless you say --adopt, simulated ones in any
case. It goes on until it is stopped, or with --until-empty until nothing waits any more."""

LOOK_SECONDS = 0.25
PROGRESS_SECONDS = 10.0
STOP_SECONDS = 5.0
LEDGER_SECONDS = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See Command."""
    add = parser.add_argument
    add("--session", metavar="ID", help="only signals of this session (default: of all)")
    add("--adopt", action="store_true", help="also signals that were meant for another address")
    add("--until-empty", action="store_true", help="end when nothing waits any more")
    add_common_arguments(parser)


@dataclass(frozen=True, slots=True)
class _Parts:
    worker: LLMWorker
    database: CommandDatabase
    until_empty: bool


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    settings = load(args)
    async with open_database(settings) as database, _worker(args, settings, database) as worker:
        parts = _Parts(worker, database, args.until_empty)
        with contextlib.suppress(asyncio.CancelledError):  # SIGTERM and Ctrl-C are its usual end
            await _work(parts, quiet=args.json)
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        await worker.stop(STOP_SECONDS)
        waiting, left = await _waiting(parts), await _left_alone(parts)
        _report(worker.get_statistics(), waiting, left, as_json=args.json)
    return 0


@asynccontextmanager
async def _worker(
    args: argparse.Namespace, settings: Settings, database: CommandDatabase
) -> AsyncIterator[LLMWorker]:
    """The worker with client, ledger and outbox, all of which end with it."""
    config = settings.llm
    database.simulated = config.model.startswith("simulated/")
    if args.session is not None and await database.find_session(args.session) is None:
        raise UsageError(f"there is no session {args.session!r} in this database")
    worker_id = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    catalogue = ModelCatalogue(config.base_url, cache_folder=default_base() / "models")
    await catalogue.load()
    key = config.api_key.get_secret_value() if config.api_key else None
    ledger = PostgresLedger(
        database.connections, config.budgets, catalogue,
        key_fingerprint=key_fingerprint(key, config.base_url), worker_id=worker_id,
    )  # fmt: skip
    outbox = Outbox(
        folder, target=database.address, worker_id=worker_id,
        max_entries=settings.database.outbox_max_entries, endpoint=endpoint_of(config),
        simulated=database.simulated,
    ) if (folder := settings.database.outbox_folder) is not None else None  # fmt: skip
    worker = LLMWorker(
        config, None, database, outbox=outbox, catalogue=catalogue, worker_id=worker_id,
        processor=LLMProcessor(
            config, guard=ledger, catalogue=catalogue, dialect_folder=default_base() / "models"
        ),
        session=args.session, adopt=args.session is None, any_endpoint=args.adopt,
    )  # fmt: skip
    if reason := worker.off_reason():
        raise UsageError(f"LLM off: {reason}")
    async with AsyncExitStack() as parts:
        if outbox is not None:
            parts.push_async_callback(asyncio.to_thread, outbox.close)
        parts.push_async_callback(ledger.close, LEDGER_SECONDS)
        for work, name in ((catalogue.run(), "model catalogue"), (ledger.run(), "ledger")):
            parts.push_async_callback(_end, asyncio.create_task(work, name=name))
        running = asyncio.create_task(worker.run(), name="worker")
        parts.push_async_callback(_end, running)
        parts.push_async_callback(worker.stop, STOP_SECONDS)
        yield worker


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=1.0)


async def _work(parts: _Parts, *, quiet: bool) -> None:
    """Until it is cancelled, or nothing waits; with a line of progress now and then."""
    loop = asyncio.get_running_loop()
    told, next_line = 0, loop.time() + PROGRESS_SECONDS
    while not (parts.until_empty and await _nothing_waits(parts)):
        await asyncio.sleep(LOOK_SECONDS)
        done = sum(_ended(parts.worker.get_statistics()).values())
        if not quiet and done != told and loop.time() >= next_line:
            told, next_line = done, loop.time() + PROGRESS_SECONDS
            say(f"{done} signals have their end so far")


async def _nothing_waits(parts: _Parts) -> bool:
    """Nothing is in hand, and nothing that may be taken waits in PostgreSQL."""
    statistics = parts.worker.get_statistics()
    if statistics["processor"]["stopped_by"] == KeyRefusedError.__name__:
        raise CommandError(f"signals wait: {statistics['reason']}")
    if not await parts.worker.drain(LOOK_SECONDS):
        return False
    return await _waiting(parts) == 0


async def _waiting(parts: _Parts) -> int | None:
    try:
        return await parts.database.waiting_tasks(parts.worker.worker_id)
    except DatabaseError:
        return None


async def _left_alone(parts: _Parts) -> dict[str, int]:
    """Waiting signals that were meant for another address, by that address."""
    left: Counter[str] = Counter()
    with contextlib.suppress(DatabaseError):
        for _, endpoint, number in await parts.database.tasks_left_alone(parts.worker.worker_id):
            if endpoint is not None and endpoint != endpoint_of(parts.worker.config):
                left[endpoint] += number
    return dict(left)


def _ended(statistics: dict[str, Any]) -> dict[str, int]:
    """Signals by how they ended, of the session asked for or of all."""
    names = ("completed", "failed", "expired")
    return {name: statistics[name] + statistics["adopted"][name] for name in names}


def _report(statistics: dict[str, Any], waiting: int | None, left: dict[str, int], *, as_json: bool) -> None:
    ended = _ended(statistics)
    rated = statistics["rated"] + statistics["adopted"]["rated"]
    cost = statistics["cost_usd"] + statistics["adopted"]["cost_usd"]
    if as_json:
        json_line({**ended, "rated": rated, "cost_usd": cost, "waiting": waiting, "left_alone": left})
        return
    say(
        f"{ended['completed']} answered, {rated} of them rated, {ended['failed']} failed,"
        f" {ended['expired']} expired; cost {digits(cost)} USD"
    )
    if waiting:
        say(f"{waiting} signals wait still")
    for endpoint, number in left.items():
        say(f"{number} signals were meant for {endpoint} and are left alone; --adopt asks about them here")
