"""Bars from a CSV file: read and checked as a whole, then handed out at a chosen speed.

``CsvFeed`` is the feed of the trading loop. ``read_bars`` reads and checks a file, ``bars`` hands them out;
with ``follow`` it goes on while the file grows. ``open_bars`` reads a file once for both: count or warm up on
its ``bars``, then give it to ``bars`` in place of the path. ``python -m trading.feed FILE`` shows how a file
is read.
"""

from llm_integration import Bar
from llm_integration.bar_files import BarFile, BarTable, open_bars, read_bars
from trading.feed.csv_feed import CsvFeed
from trading.feed.pace import Pacer, bars

__all__ = ["Bar", "BarFile", "BarTable", "CsvFeed", "Pacer", "bars", "open_bars", "read_bars"]
