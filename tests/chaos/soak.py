"""The soak: ``python -m tests.chaos.soak --signals 100000 --minutes 30``; exit status 1 if all is not well.

One host process for the whole time, under ``-W error -X dev``, beside faults of the model's server and of
PostgreSQL that heal by themselves. At the end each signal must be there once, in PostgreSQL, in the file and
in the callbacks; memory flat, no task or thread left, no warning.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llm_integration.csv_exporter import SIGNAL_FILE
from llm_integration.simulator import SIMULATED_KEY
from tests.acceptance.test_program import ROOT, environment
from tests.chaos.program import connected, rows
from tests.chaos.proxy import FaultProxy, postgres_target
from tests.chaos.soak_host import WARM_UP
from tests.conftest import PostgresForTests

FAULTS = {
    "bad_gateway": 0.01, "rate_limited": 0.00005, "server_error": 0.01, "blank_body": 0.01, "fenced": 0.05,
    "content_null": 0.01, "reset_mid_body": 0.005, "fenced_in_prose": 0.05, "trailing_comma": 0.05,
}  # fmt: skip
"""A refusal for the rate holds the whole line for as long as the server says: a few are enough."""
EVERY_SECONDS = (10.0, 40.0)
AWAY_SECONDS = (0.5, 6.0)
MOST_GROWTH = 0.10
"""Resident memory after the warm-up may grow by this share; arenas of the allocators settle late."""
TROUBLE = ("Traceback", "Warning", "Exception ignored", "never awaited", "was destroyed but")


def say(text: str) -> None:
    """A line for whoever watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def disturb(proxy: FaultProxy, url: str, seed: int, outages: Counter[str]) -> None:
    """PostgreSQL goes away in another way now and then, and comes back without help for its clients."""
    chance = random.Random(seed)
    while True:
        await asyncio.sleep(chance.uniform(*EVERY_SECONDS))
        how = chance.choice(("refused", "cut", "black hole", "slow", "read-only"))
        outages[how] += 1
        if how == "refused":
            await proxy.refuse()
        elif how == "cut":
            proxy.drop_connections(abruptly=True)
        elif how == "black hole":
            proxy.black_hole()
        elif how == "slow":
            proxy.latency(0.3, jitter=0.5)
        else:
            await read_only(url, on=True)
        await asyncio.sleep(chance.uniform(*AWAY_SECONDS))
        if how == "read-only":
            await read_only(url, on=False)
        else:
            await proxy.heal()


async def read_only(url: str, *, on: bool) -> None:
    """New connections are read-only, as those to a standby; those that exist are what they were."""
    async with connected(url) as link:
        await link.execute("SET default_transaction_read_only = off")
        name = await link.fetchval("SELECT quote_ident(current_database())")
        await link.execute(
            f"ALTER DATABASE {name} SET default_transaction_read_only = {'on' if on else 'off'}"
        )
        if on:  # a failover ends what there was; nobody ends the new ones when it is over
            await link.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


async def play(args: argparse.Namespace, folder: Path, url: str) -> list[str]:
    """Run the host to its end; what is wrong."""
    simulator = await asyncio.create_subprocess_exec(
        args.python, "-m", "llm_integration.simulator", "--port", "0", "--latency", "0.02-0.3",
        *(part for name, odds in FAULTS.items() for part in ("--fault", f"{name}={odds}")),
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=environment(),
    )  # fmt: skip
    assert simulator.stdout is not None
    await simulator.stdout.readline()
    base_url = (await simulator.stdout.readline()).decode().strip().partition("=")[2]
    outages: Counter[str] = Counter()
    async with FaultProxy(postgres_target(url), seed=args.seed) as proxy:
        order = {
            "url": proxy.postgres_url(url), "base_url": base_url, "output": str(folder / "out"),
            "outbox": str(folder / "outbox"), "signals": args.signals,
            "per_second": args.signals / (args.minutes * 60),
        }  # fmt: skip
        disturbing = asyncio.create_task(disturb(proxy, url, args.seed, outages))
        with (folder / "errors.txt").open("wb") as errors:
            host = await asyncio.create_subprocess_exec(
                args.python, "-W", "error", "-X", "dev", "-m", "tests.chaos.soak_host",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors, cwd=ROOT,
                env={**environment(OPENROUTER_API_KEY=SIMULATED_KEY), "PYTHONWARNINGS": ""},
            )  # fmt: skip
            output, _ = await host.communicate(json.dumps(order).encode())
        disturbing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await disturbing  # what ended it before its time would be told here
    with contextlib.suppress(ProcessLookupError):
        simulator.terminate()
    await simulator.wait()
    if host.returncode != 0:
        return [f"the host ended with {host.returncode}; see {folder / 'errors.txt'}"]
    report = json.loads(output)
    say(json.dumps({**report, "outages": dict(outages), "python": args.python}))
    return await verify(args.signals, report, folder, url)


async def verify(signals: int, report: dict[str, Any], folder: Path, url: str) -> list[str]:
    """Everything that must hold at the end."""
    async with connected(url) as link:
        tasks = Counter(
            {row[0]: row[1] for row in await link.fetch(
                "SELECT status, count(*) FROM llm_enhancement_tasks GROUP BY 1")}
        )  # fmt: skip
        results = await link.fetchval("SELECT count(*) FROM llm_analysis_results")
    in_file = Counter(row["signal_id"] for row in await asyncio.to_thread(rows, folder / "out" / SIGNAL_FILE))
    errors = (folder / "errors.txt").read_text(errors="replace")
    left_on_disk = list((folder / "outbox").glob("*/*.outbox"))
    memory = report["memory_mib"]
    warm = memory[int(len(memory) * WARM_UP)]
    checks = {
        f"{report['delivered']} of {signals} delivered": report["delivered"] == signals,
        f"{report['delivered_twice']} delivered twice": report["delivered_twice"] == 0,
        f"tasks: {dict(tasks)}": sum(tasks.values()) == signals and set(tasks) <= {"completed", "failed"},
        f"{results} results for {tasks['completed']} answers": results == tasks["completed"],
        f"{len(in_file)} rows, {sum(in_file.values())} in all": (
            len(in_file) == sum(in_file.values()) == tasks["completed"]
        ),
        f"memory {warm} MiB after the warm-up, {memory[-1]} at the end": memory[-1]
        <= warm * (1 + MOST_GROWTH),
        f"tasks left: {report['tasks_left']}": not report["tasks_left"],
        f"threads left: {report['threads_left']}": not report["threads_left"],
        f"crashes: {report['crashes']}": not report["crashes"],
        f"outboxes left: {left_on_disk}": not left_on_disk,
        "drained": report["drained"],
    }
    problems = [text for text, holds in checks.items() if not holds]
    return problems + [f"stderr holds {word!r}" for word in TROUBLE if word in errors]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 when everything held."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.soak", description=__doc__.partition("\n\n")[0]
    )
    parser.add_argument("--signals", type=int, default=100_000, metavar="N")
    parser.add_argument(
        "--minutes", type=float, default=30.0, metavar="N", help="time the signals are spread over"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument(
        "--python", default=sys.executable, help="interpreter of the host (default: this one)"
    )
    args = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    say(f"seed {args.seed}, folder {folder}")
    os.environ.setdefault("TRADENT_ENV_FILE", "")
    server, started = PostgresForTests(), time.monotonic()
    server.start()
    try:
        problems = asyncio.run(play(args, folder, server.create()))
        say(f"took {time.monotonic() - started:.0f} s, {len(problems)} wrong")
        for problem in problems:
            say(problem)
    finally:
        server.stop()
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
