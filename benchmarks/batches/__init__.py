"""9. Batches: what several signals in a request save, and what that costs the signal that comes alone.

The worker, the rate limiter and the prompts are the real ones; the model is the simulator's rule, in the same
process. They run on an event loop whose clock jumps to the next timer, so that hours pass in a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.batches import play as playing
from benchmarks.batches.play import Arrivals, Found, arrivals_at, play, sample
from benchmarks.figures import compact
from benchmarks.outcome import Options, Outcome, Table, Verdict
from llm_integration import LLMConfig

__all__ = ["TITLE", "run"]

TITLE = "Batches"
LARGE = 20
ROOM = 60_000
"""Tokens in which so many signals of the sample have room."""
BURST, BURST_EVERY = 35, 300.0
LONG_BURST = 300
QUIET = 600.0
OFFSETS = (0.01, 1.0, 3.0, 8.0, 20.0, 40.0, 58.0)
"""Seconds after a burst at which a signal comes alone."""

SIZES: dict[str, dict[str, Any]] = {
    "1": {"batch_size": 1},
    "5": {"batch_size": 5, "batch_across_time": True},
    "20": {"batch_size": LARGE, "batch_across_time": True},
    "20, room for them": {"batch_size": LARGE, "batch_across_time": True, "batch_max_tokens": ROOM},
    "auto": {"batch_size": "auto", "batch_across_time": True},
    "auto, room for them": {"batch_size": "auto", "batch_across_time": True, "batch_max_tokens": ROOM},
}
APART: dict[str, dict[str, Any]] = {
    f"{size}, each time apart": {"batch_size": size} for size in (5, LARGE, "auto")
}


@dataclass(frozen=True, slots=True)
class Backlog:
    """The sample waiting at once, and the answers a minute when many times the sample waits."""

    once: Found
    per_minute: float


def run(options: Options) -> Outcome:
    """Every batch size on the same signals: all waiting, in bursts, and one alone."""
    ways = SIZES | APART
    waiting = {name: _backlog(way, options.pick(16, 6)) for name, way in ways.items()}
    bursts = {name: play(_bursts(), **way) for name, way in ways.items()}
    lone = {name: _lone(way, OFFSETS[:: options.pick(1, 3)]) for name, way in SIZES.items()}
    return Outcome(
        "batches",
        TITLE,
        [_backlog_table(waiting), _burst_table(bursts), _lone_table(lone)],
        _verdicts(waiting, lone),
        raw={
            "waiting": {
                name: {"per_minute": found.per_minute, **found.once.figures()}
                for name, found in waiting.items()
            },
            "bursts": {name: found.figures() for name, found in bursts.items()},
            "lone": lone,
        },
    )


def _backlog(way: Mapping[str, Any], times: int) -> Backlog:
    count = len(sample())
    return Backlog(
        play(arrivals_at([0.0] * count), **way),
        play(arrivals_at([0.0] * count * times), **way).per_minute(),
    )


def _bursts() -> Arrivals:
    return arrivals_at([number // BURST * BURST_EVERY for number in range(len(sample()))])


def _lone(way: Mapping[str, Any], offsets: Sequence[float]) -> dict[str, float]:
    """The worst seconds that one signal waits for its answer: in a quiet minute, and behind bursts."""
    found = {"quiet": play(arrivals_at([QUIET]), **way).waits[0]}
    for burst in (BURST, len(sample()), LONG_BURST):
        found[_behind(burst)] = max(
            play(arrivals_at([0.0] * burst + [offset]), **way).waits[-1] for offset in offsets
        )
    return found


def _behind(burst: int) -> str:
    return f"behind {burst} at once"


def _backlog_table(waiting: Mapping[str, Backlog]) -> Table:
    rows: list[list[Any]] = []
    for name, found in waiting.items():
        seen = found.once.figures()
        rows.append([
            name, compact(found.per_minute), seen["requests"], compact(seen["last_answer_s"]),
            compact(seen["prompt_tokens"]), compact(seen["reply_tokens"]), f"{seen['usd'] * 1000:.3f}",
            f"{seen['saw_later_bars']:.0%}",
        ])  # fmt: skip
    return Table(
        f"{len(sample())} signals of the sample waiting at once, {playing.LIMIT} requests a minute",
        ["batch_size", "signals/min under a long backlog", "requests", "last answer after, s",
         "prompt tokens/signal", "reply tokens/signal", "USD per 1,000 signals", "later bars in view"],
        rows,
        "Tokens are estimated from the real prompts and the simulator's replies, dollars at the listed price "
        f"of {playing.MODEL}. The sample's signals come at different hours: with batch_across_time they "
        "share a request; 'each time apart' is without it, the default. batch_max_tokens bounds a request to "
        f"{LLMConfig().batch_max_tokens:,} tokens unless set higher; 'room for them' is {ROOM:,}.",
    )  # fmt: skip


def _burst_table(bursts: Mapping[str, Found]) -> Table:
    rows: list[list[Any]] = []
    for name, found in bursts.items():
        seen = found.figures()
        rows.append([
            name, seen["requests"], compact(seen["median_wait_s"]), compact(seen["longest_wait_s"]),
            compact(seen["prompt_tokens"]), compact(seen["reply_tokens"]), f"{seen['usd'] * 1000:.3f}",
        ])  # fmt: skip
    return Table(
        f"The same signals in bursts of {BURST} every {BURST_EVERY / 60:g} minutes",
        ["batch_size", "requests", "median wait, s", "longest wait, s", "prompt tokens/signal",
         "reply tokens/signal", "USD per 1,000 signals"],
        rows,
        f"From arrival to answer. The model is taken to need {playing.FIRST_TOKEN_SECONDS:g} s and 1 s for "
        f"each {playing.TOKENS_PER_SECOND:g} tokens it writes.",
    )  # fmt: skip


def _lone_table(lone: Mapping[str, Mapping[str, float]]) -> Table:
    columns = list(next(iter(lone.values())))
    return Table(
        "Worst seconds from arrival to answer of a signal that comes alone",
        ["batch_size", *columns],
        [[name, *(compact(seconds[column]) for column in columns)] for name, seconds in lone.items()],
        f"Quiet: the minute's requests are all unused. Behind: {OFFSETS[0]:g} to {OFFSETS[-1]:g} s after the "
        "others came.",
    )


def _verdicts(waiting: Mapping[str, Backlog], lone: Mapping[str, Mapping[str, float]]) -> list[Verdict]:
    most, limit = playing.LIMIT * LARGE, len(sample())
    full, auto = waiting["20, room for them"].per_minute, waiting["auto, room for them"].per_minute
    capped = waiting["20"].per_minute
    quiet, behind = lone["auto"]["quiet"], lone["auto"][_behind(limit)]
    return [
        Verdict(
            f"signals a minute, {LARGE} in a request", f">= {0.98 * most:.0f} of {most}", compact(full),
            met=full >= 0.98 * most, note=f"{compact(capped)} with batch_max_tokens as it comes",
        ),
        Verdict(
            f"batch_size auto under a backlog, beside {LARGE}", ">= 98%", f"{auto / full:.1%}",
            met=auto >= 0.98 * full,
        ),
        Verdict(
            "a lone signal in a quiet minute under auto", "as quick as with batch_size 1",
            f"{quiet:.2f} s", met=quiet <= lone["1"]["quiet"] + 0.01,
        ),
        Verdict(
            f"a lone signal just behind {limit} others under auto", "<= a minute and a call",
            f"{behind:.2f} s", met=behind <= playing.WINDOW + quiet,
        ),
    ]  # fmt: skip
