"""From an error of any server, in any of its forms, to a leaf of our error tree. Pure.

The same status means different things: a 429 for a minute, until midnight or for good, a 402 for this moment
or for good, a 403 for this prompt or for the key, a 404 for the model, the request or the address. What the
words of an error say (``meanings.py``) goes before its status; the status decides what no words do.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from llm_integration.calls import UNKNOWN, Failed, RawReply, Usage
from llm_integration.config import KEY_VARIABLE, URL_VARIABLE
from llm_integration.errors import (
    CallError,
    ContentFilteredError,
    KeyRefusedError,
    LineStoppedError,
    ModelUnavailableError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
)
from llm_integration.http_client.scrub import Scrubber
from llm_integration.providers.dialect import refusal_in
from llm_integration.providers.envelope import Envelope, open_envelope
from llm_integration.providers.meanings import WORD_STATUSES, Meaning, meaning_of
from llm_integration.providers.waits import wanted_wait

__all__ = ["ErrorReader"]

RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 529, *range(520, 525)})

PROVIDER_WORDS = frozenset(
    {
        "provider_unavailable",
        "provider_overloaded",
        "timeout",
        "capacity_exhausted",
        "temporarily_unavailable",
    }
)
PROVIDER_STATUSES = frozenset({408, 502, 503, 504, 529})
ANY_STATUS = (400, 404, 429, 500)
"""What an error inside a 200 that names no status may be."""
OWN_ACCOUNT = frozenset({Meaning.KEY, Meaning.CREDIT, Meaning.DAY_QUOTA})
"""What a provider behind OpenRouter says of these is said of OpenRouter's account, not of the user's."""
CHECK_ADDRESS = f"check base_url ({URL_VARIABLE})"

_PARAMETERS = re.compile(r"can handle the requested parameters", re.IGNORECASE)
_DATA_POLICY = re.compile(r"data policy", re.IGNORECASE)
_PER_MODEL = re.compile(r"\b(?:for|on) (?:the )?model\b|\bper ?model|permodel", re.IGNORECASE)


class ErrorReader:
    """Reads the errors of any server.

    ``scrub`` takes the key, and what no log should hold, out of what was sent. ``wall_clock`` (epoch
    seconds) serves to read the dates that a server names.
    """

    def __init__(self, scrub: Scrubber, wall_clock: Callable[[], float] = time.time) -> None:
        self.scrub = scrub
        self._wall_clock = wall_clock

    def failed(self, response: RawReply, body: object, usage: Usage = UNKNOWN) -> Failed:
        """What a failing response means, which took ``usage``.

        ``body`` is the decoded JSON, or the part of it that carries the error; anything else is tolerated.
        """
        envelope = open_envelope(response, body, self.scrub)
        meaning = _meaning(envelope)
        leaf, advice = _classify(envelope, meaning)
        text = _refused_key(envelope) if _hides_body(envelope, meaning, leaf) else envelope.text
        waits = leaf in (RateLimitedError, ServerError)
        of_day = meaning is Meaning.DAY_QUOTA
        wait = wanted_wait(envelope, self._wall_clock(), of_day=of_day) if waits else None
        error = leaf(f"{text}{'; ' if advice else ''}{advice}", status=envelope.status, retry_after=wait)
        of_model = _is_of_model(envelope, error, meaning, in_200=200 <= response.status < 300, body=body)
        refusal = None
        if meaning is None:
            refusal = refusal_in(envelope.status, envelope.words, envelope.params, envelope.message)
        return Failed(error, usage, of_model, refusal=refusal)


def _meaning(envelope: Envelope) -> Meaning | None:
    """What the words of the error say. Metadata that only a filter gives say it too."""
    metadata = envelope.metadata
    if metadata.get("reasons") or metadata.get("flagged_input") or metadata.get("patterns"):
        return Meaning.FILTERED
    if envelope.page and envelope.status < 500 and envelope.status != 429:
        return None
    statuses = ANY_STATUS if envelope.guessed else (envelope.status,)
    meaning = meaning_of(statuses, envelope.words, envelope.message)
    if meaning in OWN_ACCOUNT and metadata.get("provider_name"):
        return None
    return meaning


MEANT: dict[Meaning, tuple[type[CallError], str]] = {
    Meaning.FILTERED: (ContentFilteredError, ""),
    Meaning.WRONG_PATH: (LineStoppedError, CHECK_ADDRESS),
    Meaning.MODEL_GONE: (ModelUnavailableError, ""),
    Meaning.IN_FLIGHT: (RateLimitedError, ""),
    Meaning.CREDIT: (
        KeyRefusedError,
        "the credit or limit of the key is spent: add credits or lower max_tokens",
    ),
    Meaning.KEY: (KeyRefusedError, f"check {KEY_VARIABLE}"),
    Meaning.DAY_QUOTA: (RateLimitedError, ""),
    Meaning.RATE: (RateLimitedError, ""),
    Meaning.TOO_LONG: (
        RequestRejectedError,
        "lower lookback_periods or max_tokens, or choose a model with a larger context",
    ),
    Meaning.LOADING: (ServerError, ""),
}


def _classify(envelope: Envelope, meaning: Meaning | None) -> tuple[type[CallError], str]:
    """The leaf, and what to do about it. What the error says of itself goes before its status."""
    if meaning is Meaning.LOADING and envelope.status == 429:
        meaning = Meaning.RATE
    if meaning is Meaning.KEY and envelope.status == 403:
        return KeyRefusedError, f"check {KEY_VARIABLE}, its limits and its permissions"
    if meaning is not None:
        return MEANT[meaning]
    if envelope.status in (401, 402, 403, 407):
        return _classify_key(envelope)
    if envelope.status in (404, 405, 410) or 300 <= envelope.status < 400:
        return _classify_address(envelope)
    return _classify_fault(envelope)


def _classify_fault(envelope: Envelope) -> tuple[type[CallError], str]:
    if envelope.status == 429:
        return RateLimitedError, ""
    passing = envelope.availability.get("retryable")
    if not isinstance(passing, bool):
        passing = envelope.status in RETRYABLE_STATUSES or envelope.status >= 500
    if passing:
        return ServerError, ""
    advice = MEANT[Meaning.TOO_LONG][1] if envelope.status == 413 else ""
    return RequestRejectedError, advice


def _classify_key(envelope: Envelope) -> tuple[type[CallError], str]:
    if envelope.status == 402:
        return MEANT[Meaning.CREDIT]
    if envelope.status == 407:
        return LineStoppedError, "the proxy wants to know who asks: check HTTPS_PROXY and HTTP_PROXY"
    if envelope.status == 401:
        return MEANT[Meaning.KEY]
    if envelope.page:
        return (
            LineStoppedError,
            f"something before the server turns us away; {CHECK_ADDRESS} and the network",
        )
    return KeyRefusedError, f"check {KEY_VARIABLE}, its limits and its permissions"


def _classify_address(envelope: Envelope) -> tuple[type[CallError], str]:
    """404 and its like that are not about the model, and redirects, which would carry the key elsewhere."""
    if _PARAMETERS.search(envelope.text) or "constraint_filtered" in envelope.words:
        return LineStoppedError, "change response_format, reasoning_effort or model"
    if _DATA_POLICY.search(envelope.text) or "privacy_restricted" in envelope.words:
        return LineStoppedError, "change the privacy settings of the OpenRouter account, or model"
    if envelope.status < 400:
        return (
            LineStoppedError,
            f"redirects are not followed; set base_url ({URL_VARIABLE}) to the final address",
        )
    return LineStoppedError, f"{CHECK_ADDRESS} and model"


def _hides_body(envelope: Envelope, meaning: Meaning | None, leaf: type[CallError]) -> bool:
    """Whether nothing of the body may be shown: who refuses a key may repeat it, in whatever disguise."""
    if meaning is Meaning.KEY or envelope.status in (401, 407):
        return True
    return envelope.status == 403 and leaf is KeyRefusedError and meaning is None


def _refused_key(envelope: Envelope) -> str:
    """A refusal of the key in words of our own; of the server's only those that are known."""
    if envelope.status == 407:
        return "the proxy refuses (HTTP 407)"
    known = sorted(word for word in envelope.words if word in WORD_STATUSES)
    return f"the server refuses the key (HTTP {envelope.status}{', ' if known else ''}{', '.join(known)})"


def _is_of_model(
    envelope: Envelope, error: CallError, meaning: Meaning | None, *, in_200: bool, body: object
) -> bool:
    """Whether the fault lies with this model or its provider, so that another model may answer.

    What concerns the key, the account or the address does not, nor does a page of the edge before the
    server, nor the server's own masked 500.
    """
    if isinstance(error, LineStoppedError):
        return (
            isinstance(error, ModelUnavailableError)
            or not envelope.words.isdisjoint({"constraint_filtered", "privacy_restricted"})
            or any(pattern.search(envelope.text) for pattern in (_PARAMETERS, _DATA_POLICY))
        )
    return error.retryable and (meaning is Meaning.LOADING or _is_of_provider(envelope, in_200, body))


def _is_of_provider(envelope: Envelope, in_200: bool, body: object) -> bool:
    """Whether a passing fault is the provider's behind the server, or one of the model alone."""
    metadata, source = envelope.metadata, envelope.metadata.get("limit_source")
    if metadata.get("provider_name") or envelope.words & PROVIDER_WORDS:
        return True
    if isinstance(source, str):
        return source.startswith("upstream")
    if envelope.status == 429:
        return "upstream" in envelope.text or _PER_MODEL.search(envelope.message) is not None
    return in_200 or (isinstance(body, dict) and envelope.status in PROVIDER_STATUSES)
