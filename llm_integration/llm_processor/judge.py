"""What the outcome of one request means: for its call, for the model, and for everybody else in line.

A model that fails is left for the next one of the plan; what concerns the key or the way to the server
stops the line. Silence is the model's fault only if others can tell. Every change of state is told once.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from llm_integration.calls import Failed, Refusal
from llm_integration.circuit_breaker import MINIMUM_CALLS, Change, CircuitBreaker, Entry
from llm_integration.config import LLMConfig
from llm_integration.errors import (
    CallError,
    CallTimeoutError,
    CircuitOpenError,
    ContentFilteredError,
    DeadlineError,
    LineStoppedError,
    ModelUnavailableError,
    NoCompletionError,
    RequestRejectedError,
)
from llm_integration.llm_processor.call import Attempt, Call, Counters, FailedAttempt
from llm_integration.llm_processor.models import ModelStates
from llm_integration.ports import Provider

__all__ = ["Judge", "line_breaker", "without_response"]

logger = logging.getLogger(__name__)

SHORTEST_WINDOW_SECONDS = 60.0
FEWEST_ROUNDS, MOST_ROUNDS = 3, 5
"""So many rounds of failed calls, and nobody answered between them, are an outage, whatever went before.

Not more than a signal has attempts: it finds the line stopped and waits, when all of them failed in one.
"""
MOST_RELEARNED = 6
"""So often one call is asked anew because a field was refused; no server refuses more of what we send."""
REJECTED_ALIKE = 3
"""So many requests in a row that a model rejects for one reason: the next ones would fare no better."""
TELLING_SECONDS = 10.0
"""OpenRouter sends its first bytes within seconds; a longer silence tells something about it."""


def line_breaker(config: LLMConfig, clock: Callable[[], float]) -> CircuitBreaker:
    """The circuit breaker of everybody in line, whose window has room for enough calls to judge by.

    Calls that all take ``request_timeout_seconds`` come in batches of ``max_concurrency``; one batch more
    is for the pauses between them.
    """
    batches = math.ceil(MINIMUM_CALLS / config.max_concurrency) + 1
    window = max(SHORTEST_WINDOW_SECONDS, batches * config.request_timeout_seconds)
    rounds = min(MOST_ROUNDS, max(FEWEST_ROUNDS, config.max_retries + 1))
    return CircuitBreaker(window=window, rounds=rounds, clock=clock)


def without_response(error: CallError, *, timeout: float, limit: float, age: float, heard: bool) -> Failed:
    """What a request means that got no response within ``timeout`` seconds, or met ``error`` before.

    A request that the signal's deadline ended before ``limit`` seconds tells something only if the silence
    lasted TELLING_SECONDS, or half the time that such a request ever has, with signals that live ``age``
    seconds. ``heard``: a response had begun.
    """
    if not isinstance(error, CallTimeoutError):
        return Failed(error, of_model=isinstance(error, NoCompletionError))
    silent = not heard and timeout >= min(TELLING_SECONDS, limit / 2, age / 2)
    if timeout < limit:
        late = DeadlineError(f"the deadline came before the reply, after {timeout:.3g} s")
        return Failed(late, silent=silent)
    return Failed(error, of_model=True, silent=silent)


class Judge:
    """Tells line and models how requests ended.

    ``hold_everybody`` keeps all requests back for some seconds; a server that asks for more than
    ``longest_wait`` seconds stops line or model instead. What a server refuses of a request ``provider`` may
    learn; with ``budget_holds`` a reply always stays bounded.
    """

    def __init__(
        self,
        line: CircuitBreaker,
        models: ModelStates,
        counters: Counters,
        *,
        provider: Provider,
        hold_everybody: Callable[[float], None],
        longest_wait: float,
        budget_holds: bool,
    ) -> None:
        self._line, self._models, self._counters = line, models, counters
        self._provider, self._budget_holds = provider, budget_holds
        self._hold_everybody, self._longest_wait = hold_everybody, longest_wait

    def answered(self, call: Call, entry: Entry, attempt: Attempt) -> None:
        """The model answered, so it and the line work."""
        attempt.model_entry.state.rejections = 0
        self._said_no(call, entry, attempt)

    def _said_no(self, call: Call, entry: Entry, attempt: Attempt) -> None:
        """Line and model work, be it only to reject this request."""
        if change := self._line.succeeded(entry):
            self._announce_line(change)
        if change := attempt.model_entry.succeeded():
            self._announce_model(call, attempt.model, change)

    def failed(self, call: Call, entry: Entry, attempt: Attempt, failure: Failed) -> FailedAttempt:
        """No completion came: who is to blame, and what to do next."""
        error = failure.error
        logger.debug("attempt %d with %s: %s: %s", call.attempts, attempt.model, type(error).__name__, error)
        if failure.refusal is not None and self._learns(call, attempt, failure.refusal, error):
            self._announce_line(self._line.succeeded(entry))
            return FailedAttempt(error, at_once=True)
        self._counters.failures[type(error).__name__] += 1
        if stopped := self._rejected_again(call, attempt, error):
            return self._model_failed(call, entry, attempt, stopped)
        if failure.silent:
            return self._silent(call, entry, attempt, error)
        if failure.of_model:
            return self._model_failed(call, entry, attempt, error)
        return self._line_failed(call, entry, attempt, error)

    def _rejected_again(self, call: Call, attempt: Attempt, error: CallError) -> LineStoppedError | None:
        """Why the model is not asked for now: it rejects one request after the other for the same reason."""
        state = attempt.model_entry.state
        if isinstance(error, ContentFilteredError):
            state.rejections = 0  # the request as such was understood
        if not isinstance(error, RequestRejectedError) or not call.about_one:
            return None
        alike = state.rejected(str(error))
        if alike < REJECTED_ALIKE:
            return None
        return LineStoppedError(
            f"{attempt.model} rejects every request, {alike} in a row for the same reason: {error}",
            status=error.status,
        )

    def _learns(self, call: Call, attempt: Attempt, refusal: Refusal, error: CallError) -> bool:
        """Whether the request may be made again at once without what was refused; remembered, and told once.

        Requests that were under way when another one learnt the same are made again too.
        """
        if call.relearned >= MOST_RELEARNED:
            return False
        learnt = self._provider.adapt(attempt.wire, refusal, bounded=self._budget_holds)
        if learnt is None:
            return False
        call.relearned += 1
        for change in learnt:
            logger.warning("model %s %s, from now on: %s", attempt.model, change, error)
        return True

    def _silent(self, call: Call, entry: Entry, attempt: Attempt, error: CallError) -> FailedAttempt:
        """Not a byte came: from this model, if others can tell, else from the server.

        Others can when the next model of the plan may be asked, or when somebody was answered meanwhile.
        """
        call.failed |= {attempt.asked, attempt.model}
        others_tell = self._models.first_ready(call.untried) or self._line.answered_since(entry)
        if others_tell or attempt.model_entry.state.breaker.reason is not None:
            return self._model_failed(call, entry, attempt, error)
        self._announce_line(self._line.failed(entry, str(error), silent=True))
        return FailedAttempt(error)

    def _model_failed(self, call: Call, entry: Entry, attempt: Attempt, error: CallError) -> FailedAttempt:
        """The model or its provider failed; the next of the plan is asked at once, if one may be."""
        if not isinstance(error, (CallTimeoutError, DeadlineError)):
            self._announce_line(self._line.succeeded(entry))
        call.failed |= {attempt.asked, attempt.model}
        another = self._models.first_ready(call.untried)
        if error.retry_after is not None and not isinstance(error, LineStoppedError):
            error = self._obey(error, error.retry_after, None if another is None else attempt.model)
        if isinstance(error, LineStoppedError):
            change = attempt.model_entry.stop(error)
        else:
            change = attempt.model_entry.failed(error)
        self._announce_model(call, attempt.model, change)
        if another is None and isinstance(error, ModelUnavailableError):
            error = ModelUnavailableError(self._models.no_model_left(call.models, error), status=error.status)
        return FailedAttempt(error, at_once=another is not None and not isinstance(error, DeadlineError))

    def _line_failed(self, call: Call, entry: Entry, attempt: Attempt, error: CallError) -> FailedAttempt:
        """The fault lies with the prompt, the key, the deadline or the way to the server."""
        if error.retry_after is not None:
            error = self._obey(error, error.retry_after, None)
        if isinstance(error, LineStoppedError):
            self._announce_line(self._line.stop(entry, type(error), str(error), error.retry_after))
        elif isinstance(error, DeadlineError):
            self._line.leave(entry)
        elif error.retryable:
            self._announce_line(self._line.failed(entry, str(error)))
        else:  # server and model are well and said no to this prompt
            self._said_no(call, entry, attempt)
        return FailedAttempt(error)

    def _obey(self, error: CallError, wait: float, model: str | None) -> CallError:
        """A wait the server asked for holds everybody back, or only ``model`` when others can be asked.

        A long one stops line or model instead.
        """
        if wait <= self._longest_wait:
            if model is None:
                self._hold_everybody(wait)
            else:
                self._models.hold(model, wait)
            return error
        return CircuitOpenError(
            f"the server asks to wait {wait:.0f} s, longer than retry_after_cap_seconds="
            f"{self._longest_wait:g}: {error}",
            status=error.status,
            retry_after=wait,
        )

    # State changes

    def _announce_line(self, change: Change | None) -> None:
        if change is None:
            return
        if change.open:
            logger.warning(
                "no requests for now, signals wait, next try in %.0f s: %s", change.seconds, change.reason
            )
        else:
            logger.warning("requests are answered again after %.0f s", change.seconds)

    def _announce_model(self, call: Call, model: str, change: Change | None) -> None:
        if change is None:
            return
        if not change.open:
            logger.warning("model %s answers again after %.0f s", model, change.seconds)
            return
        instead = self._models.first_ready(call.models)
        if instead is not None:
            logger.warning(
                "model %s is down and %s is asked instead, next try in %.0f s: %s",
                model, instead, change.seconds, change.reason,
            )  # fmt: skip
        else:
            logger.warning(
                "model %s is down and no other is left, its signals wait, next try in %.0f s: %s",
                model, change.seconds, str(self._models.refusal(call.models)),
            )  # fmt: skip
