"""Files of bars as platforms, exchanges and spreadsheets export them, read in one way or not at all.

``open_bars`` reads and checks a file as a whole, and can go on with it while it grows; ``BarReader`` does so
in bounded pieces and says in one line how it reads: separator, columns, form of the times and their zone,
decimal sign. Everything here blocks on the disk: call it from a thread.
"""

from llm_integration.bar_files.reader import LIVE_BYTES, BarFile, BarReader, open_bars, read_bars
from llm_integration.bar_files.table import BarTable
from llm_integration.errors import BarDataError
from llm_integration.times import zone_named

__all__ = [
    "LIVE_BYTES",
    "BarDataError",
    "BarFile",
    "BarReader",
    "BarTable",
    "open_bars",
    "read_bars",
    "zone_named",
]
