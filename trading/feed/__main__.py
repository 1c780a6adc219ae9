"""How a file of bars is read, without trading on it.

python -m trading.feed FILE [--timezone ZONE] [--symbol S]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import islice

from llm_integration import Bar
from trading.errors import BarDataError
from trading.feed import BarTable, open_bars

__all__ = ["main"]

SHOWN_BARS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how the file is read and its first and last bars; 0, or 2 for a file that cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m trading.feed", description="Show how a file of bars is read."
    )
    parser.add_argument("file", metavar="FILE", help="bars as a platform exports them")
    parser.add_argument(
        "--timezone", default="UTC", metavar="ZONE", help="of times without one (default: UTC)"
    )
    parser.add_argument("--symbol", metavar="S", help="of a file with several instruments, the one to read")
    args = parser.parse_args(arguments)
    try:
        opened = open_bars(args.file, zone=args.timezone, symbol=args.symbol)
    except (BarDataError, ValueError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 2
    lines = [opened.reader.described, f"{len(opened.bars)} bars", *shown(opened.bars)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def shown(bars: BarTable) -> list[str]:
    """The first and the last bars, a line each."""
    lines = ["timestamp,open,high,low,close,volume"]
    lines += [_line(bar) for bar in islice(bars, SHOWN_BARS)]
    if len(bars) > 2 * SHOWN_BARS:
        lines.append("...")
    return lines + [_line(bar) for bar in bars[max(SHOWN_BARS, len(bars) - SHOWN_BARS) :]]


def _line(bar: Bar) -> str:
    numbers = ("missing" if value is None else f"{value:.10g}" for value in bar[1:])
    return ",".join((bar.timestamp.isoformat(" "), *numbers))


if __name__ == "__main__":
    sys.exit(main())
