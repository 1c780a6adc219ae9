"""How each model fares, whoever asks it, and whether one may be asked now. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llm_integration.calls import ModelInfo
from llm_integration.circuit_breaker import Change, CircuitBreaker, Entry
from llm_integration.errors import CallError, CircuitOpenError, LineStoppedError, ModelUnavailableError

__all__ = ["Listings", "ModelAvailability", "ModelEntry", "ModelState", "ModelStates"]

FAILURES_IN_A_ROW = 5
"""So many failures of a model in a row take it down, also when requests are far between."""
_FIGURES = re.compile(r"\d+")
MOST_MODELS = 1_000
"""Models that are remembered; settings name a few dozen."""


class Listings(Protocol):
    """A catalogue of models; ``ModelCatalogue`` is one."""

    def find(self, model: str) -> ModelInfo | None:
        """What is listed about ``model``; None when it is not listed."""
        ...

    def successor(self, model: str) -> str | None:
        """A served model to name to somebody whose ``model`` is gone; None when none is known."""
        ...


@dataclass(slots=True, eq=False)
class ModelState:
    """One model, shared by every call.

    ``rejection`` is what it said to the last requests that it rejected, ``rejections`` how many it rejected
    alike, without an answer in between.
    """

    model: str
    breaker: CircuitBreaker
    requests: int = 0
    failures: int = 0
    held_until: float = 0.0
    rejection: str = ""
    rejections: int = 0

    def rejected(self, said: str) -> int:
        """One more request was rejected; how many were in a row for the same reason, figures aside."""
        reason = _FIGURES.sub("#", said)
        self.rejections = self.rejections + 1 if reason == self.rejection else 1
        self.rejection = reason
        return self.rejections

    def ready_in(self, now: float) -> float:
        """Seconds until the model may be asked."""
        wait = self.breaker.ready_in()
        return wait if self.held_until <= now else max(wait, self.held_until - now)


@dataclass(slots=True, eq=False)
class ModelEntry:
    """Leave to ask ``model`` once; hand it back by ``succeeded``, ``failed``, ``stop`` or ``leave``."""

    state: ModelState
    entry: Entry
    model: str

    def leave(self) -> None:
        """The request ended without telling anything; after an outcome this changes nothing."""
        self.state.breaker.leave(self.entry)

    def succeeded(self) -> Change | None:
        """The model answered, be it to refuse this prompt."""
        return self.state.breaker.succeeded(self.entry)

    def failed(self, error: CallError) -> Change | None:
        """The model brought no answer."""
        self.state.failures += 1
        return self.state.breaker.failed(self.entry, str(error))

    def stop(self, error: LineStoppedError) -> Change | None:
        """The model cannot be asked for now."""
        self.state.failures += 1
        return self.state.breaker.stop(self.entry, type(error), str(error), error.retry_after)


class ModelStates:
    """The state of every model that was asked. ``clock`` in seconds.

    ``advise`` answers for a model that is gone with the setting that names it, and with a served successor
    or None.
    """

    def __init__(
        self, clock: Callable[[], float], advise: Callable[[str], tuple[str, str | None]] | None = None
    ) -> None:
        self._clock = clock
        self._advise = advise or (lambda _: ("llm.model", None))
        self._states: dict[str, ModelState] = {}

    def state(self, model: str) -> ModelState:
        """The state of ``model``, new if it was never asked."""
        known = self._states.get(model)
        if known is None:
            if len(self._states) >= MOST_MODELS:
                self._states.clear()
            breaker = CircuitBreaker(in_a_row=FAILURES_IN_A_ROW, clock=self._clock)
            known = self._states[model] = ModelState(model, breaker)
        return known

    def enter(self, models: Iterable[str]) -> ModelEntry | None:
        """Leave to ask the first of ``models`` that may be asked now; None if none may."""
        for model in models:
            state = self._states.get(model) or self.state(model)
            if not state.held_until or state.held_until <= self._clock():
                entry = state.breaker.enter()
                if entry is not None:
                    return ModelEntry(state, entry, model)
        return None

    def first_ready(self, models: Iterable[str]) -> str | None:
        """The first of ``models`` that may be asked now."""
        return next((model for model in models if self._wait(model) <= 0), None)

    def ready_in(self, models: Sequence[str]) -> float:
        """Seconds until one of ``models`` may be asked; 0 when one may be now."""
        wait = math.inf
        for model in models:
            state = self._states.get(model)
            if state is None or not (state.held_until or state.breaker.ready_in()):
                return 0.0
            wait = min(wait, state.ready_in(self._clock()))
            if wait <= 0:
                return 0.0
        return wait

    def hold(self, model: str, seconds: float) -> None:
        """The server wants ``model`` left alone for ``seconds``; nothing to be told about."""
        state = self.state(model)
        state.held_until = max(state.held_until, self._clock() + seconds)

    def refusal(self, models: Sequence[str], lost: CallError | None = None) -> LineStoppedError:
        """The error for a call none of whose ``models`` may be asked; ``lost`` is what it met itself."""
        refusals = {model: self._refusal_of(self.state(model)) for model in models}
        wait = self.ready_in(models)
        if all(isinstance(each, ModelUnavailableError) for each in refusals.values()):
            said = lost or next(reversed(refusals.values()))
            return ModelUnavailableError(
                self.no_model_left(models, said), status=said.status, retry_after=wait
            )
        soonest = min(models, key=self._wait)
        if len(models) == 1:
            return refusals[soonest]
        reasons = "; ".join(f"{model}: {str(error)[:160]}" for model, error in refusals.items())
        return type(refusals[soonest])(f"none of the models can be asked: {reasons}", retry_after=wait)

    def no_model_left(self, models: Sequence[str], said: CallError) -> str:
        """What to do when every model of a plan is gone: the setting, a served successor, what was said."""
        setting, successor = self._advise(models[0])
        instead = "one that the server offers" if successor is None else f"{successor}, which is served"
        names = ", ".join(repr(model) for model in models)
        return (
            f"set `{setting}` to {instead}, or name others in `llm.fallback_models`: none of the models is"
            f" available: {names} (the server said: {said})"
        )

    def reason(self, models: Sequence[str]) -> str | None:
        """Why ``models`` are down, in one line; None while one of them is not."""
        if any(self.state(model).breaker.reason is None for model in models):
            return None
        return str(self.refusal(models))

    def statistics(self, models: Iterable[str]) -> dict[str, dict[str, Any]]:
        """By model, ``models`` first: state, requests, failures, why it is down and for how long."""
        names = dict.fromkeys((*models, *self._states))
        return {name: self._row(self.state(name)) for name in names}

    def _refusal_of(self, state: ModelState) -> LineStoppedError:
        held = state.held_until - self._clock()
        if held > state.breaker.ready_in():
            return CircuitOpenError(f"the server asked to leave {state.model} alone", retry_after=held)
        return state.breaker.refusal()

    def _row(self, state: ModelState) -> dict[str, Any]:
        return {
            "state": state.breaker.state,
            "requests": state.requests,
            "failures": state.failures,
            "reason": state.breaker.reason,
            "ready_in": state.ready_in(self._clock()),
        }

    def _wait(self, model: str) -> float:
        return self.state(model).ready_in(self._clock())


class ModelAvailability:
    """Whether a request may be sent now, and if not, when and why not: what line and models together allow.

    ``routes`` are the models of each way that a signal may take.
    """

    def __init__(self, line: CircuitBreaker, models: ModelStates, routes: Sequence[tuple[str, ...]]) -> None:
        self._line, self._models, self._routes = line, models, routes

    def ready_in(self, models: Sequence[str] | None = None) -> float:
        """Seconds until one of ``models``, by default of any route, may be asked; 0: one may be now."""
        if models is not None:
            return max(self._line.ready_in(), self._models.ready_in(models))
        return max(self._line.ready_in(), min(map(self._models.ready_in, self._routes)))

    def reason(self, models: Sequence[str] | None = None) -> str | None:
        """Why none of ``models``, by default of any route, is asked at present, in one line; else None."""
        if self._line.reason is not None:
            return self._line.reason
        if models is not None:
            return self._models.reason(models)
        reasons = [self._models.reason(route) for route in self._routes]
        return None if None in reasons else reasons[0]

    def refusal(self, models: Sequence[str]) -> LineStoppedError:
        """The error for a call that cannot be made now."""
        if self._line.ready_in() > 0:
            return self._line.refusal()
        return self._models.refusal(models)

    def state(self) -> str:
        """``closed`` when requests go, ``open`` when none does, ``half_open`` when one may try."""
        if self._line.reason is not None or self.reason() is None:
            return self._line.state
        return "open" if self.ready_in() > 0 else "half_open"
