"""How this program was started: help and advice name the command that the reader can type again."""

from __future__ import annotations

import sys
from pathlib import PurePath

__all__ = ["program_name"]

SCRIPT = "tradent"
MODULE = "python -m llm_integration"


def program_name() -> str:
    """``tradent`` from the script of that name, which an installation brings; else the module."""
    return SCRIPT if PurePath(sys.argv[0]).stem == SCRIPT else MODULE
