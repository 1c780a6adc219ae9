"""The command line: which commands there are, how one is found and run, and how it ends."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import logging
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn, Protocol, cast

from llm_integration.commands.errors import CommandError
from llm_integration.commands.program import program_name
from llm_integration.commands.terminal import clean, require_tables
from llm_integration.config import suggestion
from llm_integration.errors import ConfigError

__all__ = ["COMMANDS", "Command", "OneLineParser", "load_command", "main"]

COMMANDS: dict[str, str] = {
    "check": "is everything ready? settings, key, models, database, folders; costs nothing",
    "export": "write llm_signals.csv and llm_strategy_results.csv anew from PostgreSQL",
    "work": "answer signals that wait in PostgreSQL, without trading any bars",
    "retry": "ask again about signals that failed, expired or came back without a rating",
    "health": "how the ratings are distributed, and whether one value has taken over",
    "costs": "what was spent, by day, model, symbol and rating",
    "worth": "what the ratings were worth: outcomes, and statistics that a sceptic accepts",
    "prompt": "see, check and compare what the model is told",
    "explain-route": "which routing rule a signal takes, and why",
    "simulate": "a local stand-in for OpenRouter on a port; no key, no cost",
}
"""Name and one line of help of each; the module of that name, ``_`` for ``-``, is imported when asked for."""

EPILOG = """\
"{program} COMMAND --help" explains one of them.
Exit status: 0 done, 1 it failed or found a fault, 2 usage or configuration.
"""


class Command(Protocol):
    """A module of this package that is a command. ``DESCRIPTION`` may have several paragraphs.

    ``PARENT``, if there is one, is another program's parser whose arguments the command takes too.
    """

    DESCRIPTION: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what the command takes."""
        ...

    async def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit status. CommandError, ConfigError and DatabaseError end it with one line."""
        ...


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage text before it."""

    def error(self, message: str) -> NoReturn:
        """Leave with 2."""
        self.exit(2, f"{self.prog.rpartition(' ')[2]}: {clean(_discreet(message))} (--help explains)\n")


def _discreet(message: str) -> str:
    """``message`` of argparse without what was given: that may be a piece of a URL with a password."""
    head, echoed, rest = message.partition("unrecognized arguments:")
    names = [word.partition("=")[0] for word in rest.split()]
    if echoed and not all(re.fullmatch(r"--?[a-z][a-z-]{0,30}", name) for name in names):
        return f"{head}an argument that is not known (not shown: a URL with a blank needs quotes)"
    if echoed:
        return f"{head}{echoed} {' '.join(names)}"
    return re.sub(r"\S*(?:://|@)\S*", "***", message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name, given = _chosen(given)
    command, parser = load_command(name)
    args = parser.parse_args(given)
    with _warnings_on_stderr():
        return _run(name, command, args)


def load_command(name: str) -> tuple[Command, argparse.ArgumentParser]:
    """The module of a command and its command line."""
    command = cast("Command", importlib.import_module(f"{__package__}.{name.replace('-', '_')}"))
    parent = getattr(command, "PARENT", None)
    parser = OneLineParser(
        prog=f"{program_name()} {name}",
        description=command.DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[] if parent is None else [parent],
        conflict_handler="resolve",  # a parent has its own --help
    )
    command.add_arguments(parser)
    return command, parser


def _chosen(given: list[str]) -> tuple[str, list[str]]:
    """The command's name and what follows it; leaves with help or a usage error if there is none."""
    if not given or given[0] not in COMMANDS:
        _explain(given)
    return given[0], given[1:]


def _explain(given: list[str]) -> NoReturn:
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {told}" for name, told in COMMANDS.items())
    parser = OneLineParser(
        prog=program_name(),
        usage=f"{program_name()} COMMAND [options]",
        description=f"Tools of the LLM sidecar.\n\ncommands:\n{listed}",
        epilog=EPILOG.format(program=program_name()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if given and not given[0].startswith("-"):
        parser.error(f"unknown command {given[0]!r}{suggestion(given[0], COMMANDS)}")
    parser.parse_args(given)
    parser.error(f"name a command: {', '.join(COMMANDS)}")


def _run(name: str, command: Command, args: argparse.Namespace) -> int:
    from llm_integration.record import DatabaseError  # noqa: PLC0415  asyncpg is not needed for --help
    from llm_integration.record.errors import DatabaseRefusedError  # noqa: PLC0415  the same

    try:
        if getattr(args, "tables", False) and not args.json:
            require_tables()  # now, and not when everything is done but the telling
        status = asyncio.run(_until_told(command, args))
        sys.stdout.flush()
    except (CommandError, ConfigError, DatabaseError) as error:
        sys.stderr.write(f"{name}: {clean(error)}\n")
        usage = isinstance(error, (ConfigError, DatabaseRefusedError))
        return 2 if usage else getattr(error, "status", 1)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write(f"{name}: interrupted\n")
        return 1
    except BrokenPipeError:  # the reader of our output has seen enough
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


async def _until_told(command: Command, args: argparse.Namespace) -> int:
    """SIGTERM ends a command as Ctrl-C does: what it has begun is put in order first."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  this is a coroutine of asyncio.run
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await command.run(args)


class _OneLine(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        return clean(super().formatMessage(record), 1_000)


@contextlib.contextmanager
def _warnings_on_stderr() -> Iterator[None]:
    """Warnings of the library are shown; nothing stays behind in a process that runs a command itself."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_OneLine("%(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
