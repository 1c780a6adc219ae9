"""Runs a script with every reply that its client reads noted in a file: ``python -m ... SCRIPT``.

A reply is read when its body has come completely. ``READ_LOG`` names the file, one generation id a line.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Callable

import pytest

from llm_integration.calls import RawReply, WireRequest
from llm_integration.llm_processor.transport import Transport, Watch

__all__ = ["note_replies"]


def note_replies(note: Callable[[str], None], patch: pytest.MonkeyPatch) -> None:
    """Have ``note`` called with the generation id of each reply that any client reads."""
    post = Transport.post

    async def noted(self: Transport, request: WireRequest, *, timeout: float, watch: Watch) -> RawReply:
        raw = await post(self, request, timeout=timeout, watch=watch)
        if raw.status == 200:
            note(json.loads(raw.body)["id"])
        return raw

    patch.setattr(Transport, "post", noted)


def _main() -> None:
    with open(os.environ["READ_LOG"], "a", buffering=1, encoding="ascii") as log:  # noqa: PTH123  one line at a time
        note_replies(lambda generation: print(generation, file=log), pytest.MonkeyPatch())
        runpy.run_path(sys.argv[1], run_name="__main__")


if __name__ == "__main__":
    _main()
