"""Bars from a CSV file: read and checked as a whole, then handed out at a chosen speed.

``read_bars`` reads and checks a file. ``bars`` is the feed of the trading loop; with ``follow`` it goes on
while the file grows. ``open_bars`` reads a file once for both: count or warm up on its ``bars``, then give
it to ``bars`` in place of the path.
"""

from trading.bar import Bar
from trading.feed.pace import Pacer, bars
from trading.feed.reader import BarFile, open_bars, read_bars
from trading.feed.table import BarTable

__all__ = ["Bar", "BarFile", "BarTable", "Pacer", "bars", "open_bars", "read_bars"]
