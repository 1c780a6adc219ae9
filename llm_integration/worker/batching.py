"""Which waiting signals go into one request, and how many. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from llm_integration.routing import RouteChoice
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.worker.tasks import Request, Task

__all__ = ["LARGEST_AUTO", "signals_per_request", "sort_into_requests"]

LARGEST_AUTO = 20
"""Most signals that ``batch_size: "auto"`` puts into one request."""


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


def sort_into_requests(
    tasks: Sequence[tuple[Task, RouteChoice, SignalFormatter]], size: int, *, across_time: bool
) -> list[Request]:
    """Requests of at most ``size`` signals. Those of one go the same way; an ensemble is asked alone."""
    requests: list[Request] = []
    together: dict[object, list[tuple[Task, RouteChoice, SignalFormatter]]] = {}
    for task, choice, formatter in tasks:
        if size < 2 or task.alone or choice.ensemble:
            requests.append(Request((task,), choice, formatter))
        else:
            key = (choice.rule_name, choice.plan.model, choice.prompt)
            together.setdefault(key, []).append((task, choice, formatter))
    for group in together.values():
        requests += _requests_of_one_way(group, size, across_time=across_time)
    return sorted(requests, key=lambda request: request.tasks[0].accepted_at)


def _requests_of_one_way(
    group: Sequence[tuple[Task, RouteChoice, SignalFormatter]], size: int, *, across_time: bool
) -> list[Request]:
    _, choice, formatter = group[0]
    places = formatter.batchable([task.signal for task, _, _ in group], size, across_time=across_time)
    return [Request(tuple(group[place][0] for place in members), choice, formatter) for members in places]
