"""The command line of the program."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import NoReturn

__all__ = ["build_parser"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """As argparse does, without repeating what may be a password."""
        super().error(_discreet(message))


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = _Parser(
        prog="main_with_database.py",
        description="Trade bars from a CSV file and have every signal rated by a language model meanwhile.",
        epilog="Exit status: 0 finished or stopped cleanly, 1 the host failed, 2 usage or configuration.",
    )
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="settings (default: config.json beside this program)")
    add("--demo", action="store_true", help="bundled real bars and a simulated model: no key, no network")
    add("--data", type=Path, metavar="BARS.csv", help="bars as a platform exports them")
    add("--timezone", metavar="ZONE", help="of bar times that name none (default: llm.bars_timezone)")
    add("--symbol", metavar="S", help="symbol of the bars (default: trading.symbol)")
    add("--speed", type=_speed, metavar="N", help="bars per second, 0 = no waiting (default: 0; demo: 400)")
    add("--follow", action="store_true", help="keep reading while the file grows")
    add("--database-url", metavar="URL", help="postgresql://... or 'embedded' (default: database.url)")
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder of the three files (default: llm.csv_output_directory)",
    )
    add("--simulate", action="store_true", help="your bars and a simulated model: no key, no network")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--resume",
        action="store_true",
        help="go on with the newest session of these bars that has bars to come or unanswered signals",
    )
    which.add_argument("--session", metavar="ID", help="go on with this session")
    add("--adopt", action="store_true", help="work off waiting signals of other sessions, too")
    add("--no-dashboard", action="store_true", help="plain log lines instead of the dashboard")
    add("--picture", type=Path, metavar="FILE.svg", help="save a picture of the dashboard at the end")
    add("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"], help="default: INFO")
    return parser


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not math.isfinite(speed) or speed < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return speed


def _discreet(message: str) -> str:
    """``message`` of argparse without what was given: that may be a piece of a URL with a password."""
    head, echoed, rest = message.partition("unrecognized arguments:")
    names = [word.partition("=")[0] for word in rest.split()]
    if echoed and not all(re.fullmatch(r"--?[a-z][a-z-]{0,30}", name) for name in names):
        return f"{head}an argument that is not known (not shown: a URL with a blank needs quotes)"
    if echoed:
        return f"{head}{echoed} {' '.join(names)}"
    return re.sub(r"\S*(?:://|@)\S*", "***", message)
