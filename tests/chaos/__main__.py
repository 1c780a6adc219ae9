"""The long chaos run: ``python -m tests.chaos --kills 200 --seed 1``; prints a report, exit status 1 if bad.

Kills at seeded moments, every outage of PostgreSQL, each of which heals without help, the take-over of a
killed program's tasks with the default lease, a killed embedded server, hosts that end in mid-work, and a
program that can start no thread. The server of the rest is that of the tests (``TEST_DATABASE_URL``, or an
embedded one).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from llm_integration import LLMConfig
from tests.chaos.kill_rounds import Databases, plan_rounds, run_rounds
from tests.chaos.report import Report
from tests.chaos.test_embedded_kills import killed_often
from tests.chaos.test_endings import TASK_GROUP, ended_badly
from tests.chaos.test_no_threads import test_the_program_trades_and_stores_without_threads
from tests.chaos.test_postgres_outages import OUTAGES, go_through
from tests.chaos.test_two_processes import TAKE_OVER_SECONDS, take_over
from tests.conftest import PostgresForTests
from tests.integration.test_embedded import folder_for_a_cluster

OUTAGE_SECONDS = (0.5, 6.0)
"""It is over before the last bar: what PostgreSQL does not take by the end comes with ``--resume``."""
PROGRESS_SECONDS = 15.0
MOST_ATTEMPTS = 5
SERVER_KILLS = 5
ENDINGS = 10
"""Hosts whose trading fails, or that are interrupted, at a random moment."""


def say(text: str) -> None:
    """A line for whoever watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def every_outage(folder: Path, databases: Databases, report: Report, *, times: int) -> None:
    """Each way of losing PostgreSQL, ``times`` times, for a random while."""
    chance = random.Random(report.seed)
    for number in range(times):
        for outage in OUTAGES:
            away = chance.uniform(*OUTAGE_SECONDS) if number else OUTAGE_SECONDS[0] * 2
            try:
                url = await asyncio.to_thread(databases)
                outcome = await go_through(outage, url, folder / f"{outage}-{number}", away=away)
            except (AssertionError, TimeoutError) as error:
                report.problems.append(f"{outage}: {type(error).__name__}: {error}")
                continue
            report.add_outage(
                outcome.signals_in, outcome.signals, duplicates=outcome.duplicates,
                torn_lines=outcome.torn_lines, pause=outcome.longest_bar_seconds,
                problems=[f"{outage}: {text}" for text in outcome.broken(0.0)],
            )  # fmt: skip


async def take_over_by_default(folder: Path, databases: Databases, report: Report) -> None:
    """How long a killed program's tasks wait for another one with the lease and interval of the defaults."""
    defaults = LLMConfig()
    report.kills += 1
    try:
        report.take_over_seconds = await take_over(
            await asyncio.to_thread(databases), folder,
            lease_seconds=defaults.lease_seconds, poll_interval=defaults.poll_interval,
        )  # fmt: skip
    except (AssertionError, TimeoutError) as error:
        report.problems.append(f"take-over: not within {TAKE_OVER_SECONDS:g} s ({type(error).__name__})")


async def kill_the_server(folder: Path, report: Report) -> None:
    """The embedded server of a program killed at random moments, some of them while it recovers."""
    chance = random.Random(report.seed)
    with folder_for_a_cluster() as base:
        try:
            found = await killed_often(
                base, folder, SERVER_KILLS, iter(lambda: chance.choice((0.0, chance.uniform(0.0, 2.0))), None)
            )
        except (AssertionError, TimeoutError) as error:
            found = [f"{type(error).__name__}: {error}"]
    report.server_kills += SERVER_KILLS
    report.rounds += 1
    report.problems += [f"killed server: {text}" for text in found]


async def end_in_mid_work(folder: Path, report: Report) -> None:
    """Task groups whose trading raises, and Ctrl-C, at random moments: every reply that was read arrives."""
    chance = random.Random(report.seed)
    for number in range(ENDINGS):
        interrupt = chance.random() < 0.5
        seconds = 9.0 if interrupt else chance.uniform(0.4, 2.0)
        script = TASK_GROUP.replace("asyncio.sleep(0.7)", f"asyncio.sleep({seconds:.3f})")
        place = folder / str(number)
        place.mkdir(parents=True)
        report.endings += 1
        try:
            found = await ended_badly(script, place, interrupt=interrupt)
        except (AssertionError, TimeoutError) as error:
            found = [f"{type(error).__name__}: {error}"]
        report.problems += [f"ending {number} after {seconds:.3f} s: {text}" for text in found]


async def without_threads(folder: Path, databases: Databases, report: Report) -> None:
    """A program that can start no thread trades and stores to its end."""
    report.rounds += 1
    try:
        url = await asyncio.to_thread(databases)
        await test_the_program_trades_and_stores_without_threads(False, url, folder)
    except (AssertionError, TimeoutError) as error:
        report.problems.append(f"without threads: {type(error).__name__}: {error}")


async def run(kills: int, folder: Path, databases: Databases, report: Report) -> None:
    """Everything, one after the other."""
    said = time.monotonic()

    async def told() -> None:
        nonlocal said
        if time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            say(f"{report.kills} kills, {report.rounds} sessions, {len(report.problems)} promises broken")

    for attempt in range(MOST_ATTEMPTS):  # a planned kill may come after the end of its process
        if report.kills < kills:
            plans = plan_rounds(kills - report.kills, report.seed + attempt, numbered_from=report.rounds)
            await run_rounds(plans, folder / f"kills-{attempt}", databases, report, told=told)
    await every_outage(folder, databases, report, times=2)
    await take_over_by_default(folder / "take-over", databases, report)
    await kill_the_server(folder / "killed-server", report)
    await end_in_mid_work(folder / "endings", report)
    await without_threads(folder / "without-threads", databases, report)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 when every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="how many kills (default: 200)")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="default: drawn at random")
    parser.add_argument(
        "--keep", action="store_true", help="keep the folder of the runs also when all is well"
    )
    args = parser.parse_args(arguments)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # by a shell, in its background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1_000_000)
    folder, report = Path(tempfile.mkdtemp(prefix="chaos-")), Report(seed)
    say(f"seed {seed}, folder {folder}")
    server = PostgresForTests()
    server.start()
    try:
        asyncio.run(run(args.kills, folder, server.create, report))
    finally:
        server.stop()
        say("\n".join(report.lines()))
    if report.good and not args.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
