"""The statements of this package, by name, from the ``.sql`` files beside the tables' own.

In a file ``-- name: CLAIM`` begins a statement, and ``-- part: waiting`` a piece that statements have in
common and name as ``{{waiting}}``; with ``{{live_elsewhere: $1}}`` the piece gets ``$1`` where it says
``{{it}}``. Pieces of several files stand in ``shared.sql``; what follows from columns is handed over by the
module that loads the file. Lines that begin with ``--`` are for the reader. Values are parameters, never
spliced in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources

__all__ = ["load"]

_HEAD = re.compile(r"^-- (name|part): (\w+)$", re.M)
_COMMENT = re.compile(r"^ *--.*\n", re.M)
_PLACE = re.compile(r"\{\{(\w+)(?:: ([^{}]*))?\}\}")


def load(file: str, parts: Mapping[str, str] | None = None) -> dict[str, str]:
    """The statements of ``file`` by their names; ``parts`` are pieces that it does not have itself.

    Raises KeyError for a piece that nobody has, ValueError for a name that is given twice.
    """
    return parse(_read("shared.sql") + _read(file), parts or {})


def _read(file: str) -> str:
    return resources.files(__package__).joinpath("sql", file).read_text(encoding="utf-8")


def parse(text: str, parts: Mapping[str, str]) -> dict[str, str]:
    """The statements of a file's ``text``; see ``load``."""
    heads = list(_HEAD.finditer(text))
    pieces, statements = dict(parts), dict[str, str]()
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        kind, name = head.groups()
        where = statements if kind == "name" else pieces
        if name in where:
            raise ValueError(f"the {kind} {name} is given twice")
        body = text[head.end() : following.start() if following else len(text)]
        where[name] = _COMMENT.sub("", body.lstrip("\n")).strip("\n")
    return {name: _filled(body, pieces) for name, body in statements.items()}


def _filled(text: str, pieces: Mapping[str, str]) -> str:
    def piece(place: re.Match[str]) -> str:
        name, argument = place.groups()
        known = pieces if argument is None else {**pieces, "it": argument}
        return _filled(known[name], known)

    return _PLACE.sub(piece, text)
