"""Look into the embedded PostgreSQL from a shell.

python -m database "SELECT rating, count(*) FROM llm_analysis_results GROUP BY 1 ORDER BY 1"
python -m database            # keeps the server up for psql and the like, until Ctrl-C
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence

from llm_integration.record.connector import open_connection
from llm_integration.record.database_url import read_url
from llm_integration.record.embedded import EmbeddedPostgres
from llm_integration.record.errors import DatabaseError, explain


async def _query(dsn: str, sql: str) -> str:
    connection = await open_connection(read_url(dsn), timeout=10)
    try:
        statement = await connection.prepare(sql, timeout=60)
        rows = await statement.fetch(timeout=60)
        names = [attribute.name for attribute in statement.get_attributes()]
    finally:
        await connection.close(timeout=5)
    return table(names, [[_cell(value) for value in row.values()] for row in rows])


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their names, separated by two blanks."""
    widths = [max(len(line[index]) for line in [names, *rows]) for index in range(len(names))]
    lines = [names, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else " " for char in text)


async def _serve(dsn: str) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    sys.stdout.write(f"{dsn}\nCtrl-C ends it\n")
    sys.stdout.flush()
    await stopped.wait()


async def _run(sql: str | None) -> int:
    try:
        async with EmbeddedPostgres() as server:
            if sql is None:
                await _serve(server.dsn)
            else:
                sys.stdout.write(await _query(server.dsn, sql) + "\n")
    except Exception as error:
        said = str(error) if isinstance(error, DatabaseError) else explain(error)
        sys.stderr.write(f"database: {said}\n")
        return 1
    return 0


def main() -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m database", description="Query the embedded PostgreSQL.")
    parser.add_argument("sql", nargs="?", help="one statement; without it the server stays up until Ctrl-C")
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_run(parser.parse_args().sql))
    return 0


if __name__ == "__main__":
    sys.exit(main())
