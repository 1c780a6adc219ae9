"""``check``: can the files be written? A folder that is missing is not made, its parent is looked at."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from llm_integration.commands.check_item import Item, failed, fine, warned
from llm_integration.commands.settings import Settings

__all__ = ["check"]

LITTLE_BYTES = 100 * 1_048_576


def check(settings: Settings) -> list[Item]:
    """The folders of results, outbox and prompts."""
    items = [_writable("results folder", settings.llm.output_folder, "csv_output_directory")]
    outbox, prompts = settings.database.outbox_folder, settings.llm.prompt_folder
    if outbox is not None:
        items.append(_writable("outbox folder", outbox, "outbox_directory"))
    if prompts is not None and not prompts.is_dir():
        items.append(failed("prompt folder", f"{prompts} is no folder; make it, or change prompt_directory"))
    elif prompts is not None:
        items.append(fine("prompt folder", str(prompts)))
    return items


def _writable(name: str, folder: Path, setting: str) -> Item:
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    change = f"make it writable, or change {setting}"
    if not there.is_dir():
        return failed(name, f"{there} is a file, not a folder; change {setting}")
    try:
        if there == folder.absolute():
            with tempfile.NamedTemporaryFile(dir=there, prefix=".check-"):
                pass
        elif not os.access(there, os.W_OK | os.X_OK):
            return failed(name, f"{folder} is not there and cannot be made in {there}; {change}")
        free = shutil.disk_usage(there).free
    except OSError as error:
        return failed(name, f"{folder}: {error.strerror or error}; {change}")
    if free < LITTLE_BYTES:
        return warned(name, f"{folder}: only {free // 1_048_576} MB are free on this disk")
    return fine(name, f"{folder}" + ("" if there == folder.absolute() else " (will be made)"))
