"""What commands print: tables, JSON, and text from outside that no terminal takes for a command."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from llm_integration.commands.errors import UsageError

__all__ = ["clean", "digits", "json_line", "require_tables", "say", "show_table"]

_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,32}[ -/]{0,4}[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]{0,256}(?:\x07|\x1b\\|\x9c)"
)
"""Commands to a terminal: colours and cursor, window title and clipboard."""
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_SCAN = 8
WIDTH_WITHOUT_TERMINAL = 120


def clean(text: object, limit: int = 500) -> str:
    """``text`` on one line of at most ``limit`` printable characters; what was cut ends in an ellipsis."""
    raw = str(text)
    seen = _SEQUENCE.sub("", raw[: limit * _SCAN])
    if not (seen.isascii() and seen.isprintable()):
        kept = (char for char in seen if char.isspace() or unicodedata.category(char) not in _UNSAFE)
        seen = "".join(kept)
    seen = " ".join(seen.split())
    cut = len(seen) > limit or len(raw) > limit * _SCAN
    return seen[: limit - 1].rstrip() + "…" if cut else seen


def say(text: str) -> None:
    """One line on stdout; what came from outside is made safe."""
    sys.stdout.write(clean(text, 2_000) + "\n")


def json_line(value: object) -> None:
    """``value`` on stdout for scripts: times in ISO 8601, Decimals as text, nothing but ASCII."""
    sys.stdout.write(json.dumps(value, default=_as_json, allow_nan=False, indent=2) + "\n")


def _as_json(value: object) -> Any:
    if isinstance(value, Decimal):
        return digits(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def require_tables() -> None:
    """Raises UsageError without the package that draws tables; ``--json`` does not need it."""
    if importlib.util.find_spec("rich") is None:
        raise UsageError('tables need rich: pip install "tradent-llm-sidecar[cli]", or use --json')


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout. Numbers stand right, None is a dash; cells are text, never markup.

    Needs what ``require_tables`` looks for.
    """
    from rich.console import Console  # noqa: PLC0415  only who wants a table needs it
    from rich.table import Table  # noqa: PLC0415  the same
    from rich.text import Text  # noqa: PLC0415  the same

    table = Table(title=Text(clean(title), style="bold"), title_justify="left")
    cells = [list(row) for row in rows]
    for at, name in enumerate(columns):
        number = any(isinstance(row[at], (int, float, Decimal)) for row in cells)
        table.add_column(Text(name), justify="right" if number else "left", overflow="fold")
    for row in cells:
        table.add_row(*[Text(_cell(value)) for value in row])
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        console.width = max(console.width, WIDTH_WITHOUT_TERMINAL)
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return digits(value) if isinstance(value, Decimal) else clean(value)


def digits(value: Decimal) -> str:
    """All digits of an amount, without zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
