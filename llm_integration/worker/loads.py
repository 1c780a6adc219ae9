"""Which waiting signals go into one request, and how many. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llm_integration.routing import RouteChoice
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.worker.jobs import Job

__all__ = ["LARGEST_AUTO", "Load", "signals_per_request", "sort_into_loads"]

LARGEST_AUTO = 20
"""Most signals that ``batch_size: "auto"`` puts into one request."""


@dataclass(frozen=True, slots=True)
class Load:
    """Signals that are asked about together, the way they are asked, and the prompt that asks."""

    jobs: tuple[Job, ...]
    choice: RouteChoice
    formatter: SignalFormatter


def signals_per_request(batch_size: int | Literal["auto"], *, waiting: int, free: int, lanes: int) -> int:
    """How many signals to put into each request.

    ``auto`` asks about one alone while nothing else waits. A backlog is spread over half of the requests
    that may be sent now, so that a signal which comes a moment later still finds one free, and over no
    more than ``lanes`` at once.
    """
    if batch_size != "auto":
        return batch_size
    slots = max(1, min(free // 2, lanes))
    return min(LARGEST_AUTO, max(1, math.ceil(waiting / slots)))


def sort_into_loads(
    jobs: Sequence[tuple[Job, RouteChoice, SignalFormatter]], size: int, *, across_time: bool
) -> list[Load]:
    """Loads of at most ``size`` signals. Those of one load go the same way; an ensemble is asked alone."""
    loads: list[Load] = []
    together: dict[object, list[tuple[Job, RouteChoice, SignalFormatter]]] = {}
    for job, choice, formatter in jobs:
        if size < 2 or job.alone or choice.ensemble:
            loads.append(Load((job,), choice, formatter))
        else:
            key = (choice.rule_name, choice.plan.model, choice.prompt)
            together.setdefault(key, []).append((job, choice, formatter))
    for group in together.values():
        loads += _loads_of_one_way(group, size, across_time=across_time)
    return sorted(loads, key=lambda load: load.jobs[0].accepted_at)


def _loads_of_one_way(
    group: Sequence[tuple[Job, RouteChoice, SignalFormatter]], size: int, *, across_time: bool
) -> list[Load]:
    _, choice, formatter = group[0]
    places = formatter.batchable([job.signal for job, _, _ in group], size, across_time=across_time)
    return [Load(tuple(group[place][0] for place in members), choice, formatter) for members in places]
