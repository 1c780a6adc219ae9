"""Every error this library raises or stores as a reason.

    TradentError
    ├── ConfigError                 a setting is wrong; names the file, the key and what is allowed
    ├── InvalidSignalError          what was handed over is not a signal
    ├── BarDataError                a file of bars is unusable; names the file, the line and the problem
    ├── OversizeRequestError        one request alone is larger than the limit of a whole minute
    └── CallError                   a call to the model brought no answer
        ├── TransportError          no connection, cut connection              retryable
        ├── CallTimeoutError        an attempt took too long                   retryable
        ├── ServerError             408, 5xx, also inside an HTTP 200          retryable
        ├── RateLimitedError        429, 402 "in flight"; knows the wait       retryable
        ├── NoCompletionError       HTTP 200 without a usable completion       retryable
        ├── TruncatedError          the token limit was used up before any text
        ├── ContentFilteredError    refused by a filter or by the model
        ├── RequestRejectedError    400, 413, 422: this request, not the next one; too long a prompt
        ├── DeadlineError           the signal's deadline would pass before an answer
        ├── BudgetExceededError     a budget of the user's has no room for this request
        └── LineStoppedError        no request can succeed for now; signals wait
            ├── KeyRefusedError     the key is refused (401, 403, ...), or its credit is spent (402, 429, ...)
            ├── ModelUnavailableError   the model id is unknown or retired, and so is every fallback
            └── CircuitOpenError    too many failures in a row, or a wait the server asked for

``retryable`` says whether the same request may succeed later without anybody changing anything.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

__all__ = [
    "BarDataError",
    "BudgetExceededError",
    "CallError",
    "CallTimeoutError",
    "CircuitOpenError",
    "ConfigError",
    "ContentFilteredError",
    "DeadlineError",
    "InvalidSignalError",
    "KeyRefusedError",
    "LineStoppedError",
    "ModelUnavailableError",
    "NoCompletionError",
    "OversizeRequestError",
    "RateLimitedError",
    "RequestRejectedError",
    "ServerError",
    "TradentError",
    "TransportError",
    "TruncatedError",
]


class TradentError(Exception):
    """Root of the tree. The message is one line, for the person who reads it."""

    retryable: ClassVar[bool] = False


class BarDataError(TradentError, ValueError):
    """The bars of a file cannot be used: missing, malformed, out of order, or changed under the reader."""


class ConfigError(TradentError, ValueError):
    """A setting is missing, misspelt or out of range."""


class InvalidSignalError(TradentError, ValueError):
    """A mapping handed over as a signal has no usable ``signal_id`` or ``signal_data``."""


class OversizeRequestError(TradentError, ValueError):
    """A request asks for more than a full minute's limit and could never be sent."""


class CallError(TradentError):
    """A call to the model ended without an answer.

    ``status`` is the HTTP status, or the code found inside an HTTP 200; None when no response came.
    ``attempts`` counts requests that were started for this signal, ``cost_usd`` what they are known to
    have cost together (None: unknown), ``retry_after`` the seconds the server asked for, if it did.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        attempts: int = 0,
        cost_usd: Decimal | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.attempts = attempts
        self.cost_usd = cost_usd


class TransportError(CallError):
    """The connection was refused, reset or cut."""

    retryable = True


class CallTimeoutError(CallError):
    """One attempt ran into its time limit, whatever trickled in meanwhile."""

    retryable = True


class ServerError(CallError):
    """OpenRouter or the provider behind it failed (408, 5xx, or such a code inside an HTTP 200)."""

    retryable = True


class RateLimitedError(CallError):
    """A limit of the server was hit; ``retry_after`` carries its wish, if it named one."""

    retryable = True


class NoCompletionError(CallError):
    """HTTP 200 whose body holds no completion: empty, padding only, no choices, blank content."""

    retryable = True


class TruncatedError(CallError):
    """``finish_reason: length`` before any text: the whole budget went into reasoning."""


class ContentFilteredError(CallError):
    """The provider's filter or the model itself refused this prompt."""


class RequestRejectedError(CallError):
    """The server rejects this request for what is in it; the next signal may pass."""


class DeadlineError(CallError):
    """The signal would be too old, or the wait too long, before an answer could arrive."""


class BudgetExceededError(CallError):
    """A budget has no room for the highest possible cost of this request, so it is not sent.

    ``retry_after`` is how long, in seconds, until room may come back; None when nobody can tell.
    """


class LineStoppedError(CallError):
    """No request can succeed at present, so none is sent and signals stay ``pending``."""


class KeyRefusedError(LineStoppedError):
    """The API key is refused, or its credit or limit is spent, whatever status says so."""


class ModelUnavailableError(LineStoppedError):
    """The configured model and all of its fallbacks are unknown or retired."""


class CircuitOpenError(LineStoppedError):
    """Failures in a row, or a long wait the server asked for, keep the circuit open."""
