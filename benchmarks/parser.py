"""6. Parser: microseconds of CPU per reply, and how they grow with replies made to hurt."""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import multiprocessing.connection
import time
from collections.abc import Callable
from typing import Any

from benchmarks.figures import compact, median, spread
from benchmarks.instant_server import GOOD_CONTENT, hostile_contents
from benchmarks.machine import version_of
from benchmarks.outcome import Chart, Options, Outcome, Table, Verdict
from llm_integration import LLMResponseParser

__all__ = ["TITLE", "run"]

TITLE = "Parser"
KB = 1024
SIZES = (4 * KB, 8 * KB, 16 * KB, 32 * KB, 64 * KB)
PATIENCE = 1.5
"""Seconds a reader may take over one text before it is stopped."""

Reader = Callable[[str], object]

REPLIES = {
    "well-formed": GOOD_CONTENT,
    "fenced, with words around": f"Here is my assessment:\n```json\n{GOOD_CONTENT}\n```\nTrade carefully.",
    "draft in <think>, then JSON": f"<think>Maybe {{\"rating\": 2}}? No.</think>\n{GOOD_CONTENT}",
    "broken: single quotes, comma": GOOD_CONTENT.replace('"', "'").replace("}", ",}"),
    "cut off in mid-sentence": GOOD_CONTENT[:180],
    "prose": "I would rate this setup 4/5. The market is not choppy. I recommend taking the trade.",
}  # fmt: skip


def run(options: Options) -> Outcome:
    """Ordinary replies by every reader, hostile ones by every reader under a time limit."""
    readers, skipped = _readers()
    ordinary = _ordinary(readers, options)
    hostile = _hostile(readers, options)
    worst = {
        name: max(value for row in rows.values() for value in row[-1:]) for name, rows in hostile.items()
    }
    ratios = _doubling(hostile["this parser"])
    ms = worst["this parser"] * 1000
    verdicts = [
        Verdict("64 KB of hostile text", "<= 5 ms", f"worst {compact(ms)} ms", ms <= 5),
        Verdict(
            "doubling the text", "about doubles the time", f"worst x{compact(max(ratios.values()))}",
            max(ratios.values()) <= 2.6,
            "the mean over four doublings, 4 KB to 64 KB; less where the work budget ends it",
        ),
    ]  # fmt: skip
    return Outcome(
        "parser", TITLE, [_ordinary_table(ordinary), _hostile_table(hostile)], verdicts,
        [_chart(hostile)], skipped,
        {"ordinary_us": ordinary, "hostile_seconds": hostile, "sizes": SIZES, "doubling": ratios},
    )  # fmt: skip


def _readers() -> tuple[dict[str, Reader], list[str]]:
    readers: dict[str, Reader] = {"this parser": LLMResponseParser().parse, "json.loads": json.loads}
    skipped = []
    if version_of("json_repair"):
        readers["json_repair"] = importlib.import_module("json_repair").loads
    else:
        skipped.append("json_repair: skipped, the package is not installed")
    if version_of("instructor"):
        extract = importlib.import_module("instructor.utils").extract_json_from_codeblock
        readers["instructor"] = lambda text: json.loads(extract(text))
    else:
        skipped.append("instructor: skipped, the package is not installed")
    return readers, skipped


def _ordinary(readers: dict[str, Reader], options: Options) -> dict[str, dict[str, list[float] | None]]:
    """Microseconds by reply and reader, one figure per turn; None where the reader finds nothing."""
    found: dict[str, dict[str, list[float] | None]] = {}
    for kind, text in REPLIES.items():
        found[kind] = {name: [] for name in readers}
        for _ in range(options.pick(7, 2)):
            for name, reader in readers.items():
                taken = found[kind][name]
                if taken is not None and _finds(name, reader, text):
                    taken.append(_each(reader, text, options.pick(2000, 50)) * 1e6)
                else:
                    found[kind][name] = None
    return found


def _finds(name: str, reader: Reader, text: str) -> bool:
    """True when the reader gets the rating out of it."""
    try:
        value: Any = reader(text)
    except Exception:
        return False
    rating = (
        value.rating if name == "this parser" else value.get("rating") if isinstance(value, dict) else None
    )
    return bool(rating == 4)


def _each(reader: Reader, text: str, times: int) -> float:
    started = time.thread_time()
    for _ in range(times):
        reader(text)
    return (time.thread_time() - started) / times


def _hostile(readers: dict[str, Reader], options: Options) -> dict[str, dict[str, list[float]]]:
    """Seconds by reader and text, one per size; as long as the patience where the reader was stopped."""
    found: dict[str, dict[str, list[float]]] = {}
    for name in readers:
        if name == "json.loads":
            continue  # it gives up at the first odd character, which is no reading
        found[name] = {}
        for kind in hostile_contents(64):
            found[name][kind] = _by_size(name, kind, options)
    return found


def _by_size(name: str, kind: str, options: Options) -> list[float]:
    """In a process of its own, ended when it takes too long; then nothing larger is tried."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    process = context.Process(target=_child, args=(name, kind, options.pick(5, 2), theirs), daemon=True)
    process.start()
    times: list[float] = []
    for _ in SIZES:
        if not mine.poll(PATIENCE * options.pick(5, 2) if name == "this parser" else PATIENCE):
            process.kill()
            break
        times.append(mine.recv())
    process.join()
    return times + [PATIENCE] * (len(SIZES) - len(times))


def _child(name: str, kind: str, times: int, pipe: multiprocessing.connection.Connection) -> None:
    reader = _readers()[0][name]
    for size in SIZES:
        text = hostile_contents(size)[kind]
        if name == "this parser":
            reader(text)  # once to warm up
        taken = []
        for _ in range(times if name == "this parser" else 1):
            started = time.thread_time()
            with contextlib.suppress(Exception):  # a peer may refuse it; how long it took is the question
                reader(text)
            taken.append(time.thread_time() - started)
        pipe.send(median(taken))


def _doubling(rows: dict[str, list[float]]) -> dict[str, float]:
    """How much longer twice the text takes, on average from the smallest size to the largest."""
    steps = len(SIZES) - 1
    return {kind: (times[-1] / times[0]) ** (1 / steps) for kind, times in rows.items()}


def _ordinary_table(found: dict[str, dict[str, list[float] | None]]) -> Table:
    names = list(next(iter(found.values())))
    return Table(
        "Microseconds per ordinary reply, median (range) of the turns",
        ["reply", *names],
        [
            [kind, *("no rating" if (values := row[name]) is None else spread(values) for name in names)]
            for kind, row in found.items()
        ],
        "This parser also checks the scale, both readings of a doubled key, negation and the text fields; "
        "the others "
        "return whatever object they find.",
    )


def _hostile_table(found: dict[str, dict[str, list[float]]]) -> Table:
    kinds = list(next(iter(found.values())))
    return Table(
        f"Milliseconds for one hostile text of 64 KB (stopped after {PATIENCE:g} s)",
        ["text", *found],
        [
            [kind, *(_shown(found[name][kind][-1]) for name in found)] for kind in kinds
        ],
        "While a reader works, the trading loop does not: a thread would share the interpreter lock.",
    )  # fmt: skip


def _shown(seconds: float) -> str:
    return "stopped" if seconds >= PATIENCE else compact(seconds * 1000)


def _chart(found: dict[str, dict[str, list[float]]]) -> Chart:
    series = {
        name: [
            [size / KB, max(row[index] for row in rows.values()) * 1000] for index, size in enumerate(SIZES)
        ]
        for name, rows in found.items()
    }
    return Chart(
        "parser",
        "The worst of ten hostile texts",
        "KB of text",
        "milliseconds",
        series,
        log_x=True,
        log_y=True,
    )
