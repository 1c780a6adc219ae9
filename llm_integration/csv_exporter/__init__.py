"""The output files of a run: CSV files in real time and a JSON summary.

``exporter``  LLMCSVExporter: what the rest of the library and embedding processes use
``writer``    the work of its thread, step by step; ``lane``: the rows on their way to one file
``holdback``  which bars may be written now (pure)
``rows``, ``escape``  a row and a cell as text (pure)
``index``     what a file already holds
``files``     locked, repairing, whole-row appends
``health``    when a failing file is tried again, one message per change
``summary``   what the JSON file counts
``pending``   late answers into rows that were written as pending
``outcomes``  what became of signals, in a file of its own
``rebuild``   both CSV files anew from PostgreSQL's rows
"""

from llm_integration.csv_exporter.exporter import LLMCSVExporter
from llm_integration.csv_exporter.rebuild import BarRow, Rebuild, Rebuilt, rebuild
from llm_integration.csv_exporter.rows import RESULT_COLUMNS, RESULT_FILE, SIGNAL_COLUMNS, SIGNAL_FILE
from llm_integration.csv_exporter.summary import SUMMARY_FILE

__all__ = [
    "RESULT_COLUMNS",
    "RESULT_FILE",
    "SIGNAL_COLUMNS",
    "SIGNAL_FILE",
    "SUMMARY_FILE",
    "BarRow",
    "LLMCSVExporter",
    "Rebuild",
    "Rebuilt",
    "rebuild",
]
