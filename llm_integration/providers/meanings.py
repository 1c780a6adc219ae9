"""What servers mean by their errors: one table, the only place that knows how they word things.

Every rule says by which words (codes and types) or by which text an error is recognised, and with which
statuses. The first that fits decides; what none knows is decided by its status (``failures.py``). Where a
server's wording changes, a line here and a file in ``tests/data/server_replies`` change with it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum
from typing import NamedTuple

__all__ = ["MEANINGS", "WORD_STATUSES", "Meaning", "Rule", "meaning_of"]


class Meaning(Enum):
    """What an error is about."""

    FILTERED = "filtered"
    """The prompt, or the reply to it, is not wanted."""
    WRONG_PATH = "wrong path"
    """The address is not one that answers chat completions."""
    MODEL_GONE = "model gone"
    IN_FLIGHT = "in flight"
    """Credit is there and only reserved for requests under way."""
    CREDIT = "credit"
    KEY = "key"
    DAY_QUOTA = "day quota"
    RATE = "rate"
    TOO_LONG = "too long"
    """The prompt does not fit the model."""
    LOADING = "loading"
    """The model is being loaded, or has too much to do."""


class Rule(NamedTuple):
    """How an error is recognised.

    ``words`` are codes and types; ``text`` is looked for in its message, and ``beside`` must stand there too.
    ``statuses`` None stands for every one. With ``unless`` in its text the rule does not hold. All are in
    lower case. No pattern looks far ahead: a text made to hurt costs no more than another.
    """

    meaning: Meaning
    words: frozenset[str] = frozenset()
    text: re.Pattern[str] | None = None
    statuses: frozenset[int] | None = None
    unless: re.Pattern[str] | None = None
    beside: re.Pattern[str] | None = None

    def fits(self, statuses: Collection[int], words: frozenset[str], text: str) -> bool:
        """Whether an error of one of these statuses, with these words and this text, is one of this rule."""
        if self.statuses is not None and self.statuses.isdisjoint(statuses):
            return False
        if self.words.isdisjoint(words) and not self._is_said(text):
            return False
        return self.unless is None or self.unless.search(text) is None

    def _is_said(self, text: str) -> bool:
        if self.text is None or self.text.search(text) is None:
            return False
        return self.beside is None or self.beside.search(text) is not None


def _words(*words: str) -> frozenset[str]:
    return frozenset(words)


def _any(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives))


FIELD_WORDS = frozenset(
    {"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden", "invalid_value",
     "unrecognized_request_argument", "unsupported_field", "invalid_parameter"}
)  # fmt: skip
"""Words that say that a field of the request is refused, whatever the text reminds of."""
NOT_OURS = frozenset({400, 403, 404, 405, 409, 410, 422, 500, 501, 503})
"""Statuses with which servers say that a model or a path is not there."""
REFUSING = frozenset({400, 403, 404, 409, 410, 422})
"""Those of them with which loose words are enough: with the others they may be about a passing fault."""
_PASSING = _any(
    r"can handle the requested parameters", r"data policy", r"currently (?:loading|unavailable)",
    r"temporarily", r"\b(?:temperature|response_format|max_(?:completion_)?tokens|reasoning_effort)\b",
)  # fmt: skip
"""With these words it is not the model that is gone."""

MEANINGS: tuple[Rule, ...] = (
    Rule(
        Meaning.FILTERED,
        _words(
            "content_policy_violation", "refusal", "content_filter", "content_filtered", "content-filter",
            "responsibleaipolicyviolation", "data_inspection_failed", "sensitive_words_detected",
            "moderation_blocked", "prompt_blocked",
        ),
        _any(
            r"\bflagged (?:for|as|by)\b", "requires moderation", "content policy",
            "content management policy",
            "usage guidelines", "inappropriate content", "violat(?:es|ing) .{0,40}(?:polic|guideline)",
            "content exists risk", "blocked by .{0,30}safety",
        ),
    ),
    Rule(
        Meaning.WRONG_PATH,
        _words("wrong_endpoint", "unknown_url", "no_route_matched"),
        _any(
            "unexpected endpoint or method", "404 page not found", "no route(?:s)? match",
            "unknown request url",
            r"invalid url \((?:get|post)", r"cannot post /", "no static resource", "no handler found",
            "unrecognized request url", "path not found", "not a valid (?:path|endpoint)",
        ),
    ),
    Rule(
        Meaning.WRONG_PATH,
        text=_any(r"\bnot found\b"),
        beside=re.compile(r"\broute\b|requested url"),
    ),
    Rule(
        Meaning.MODEL_GONE,
        _words(
            "model_not_found", "no_endpoints", "model_deprecated", "model_decommissioned",
            "model_unavailable_upstream", "free_variant_ended", "region_restricted", "invalid_model",
            "invalid_model_id", "unknown_model", "unavailable_model", "unsupported_model", "model_retired",
            "deploymentnotfound", "modelnotfound", "modelnotopen", "invalidmodel", "model_not_found_error",
            "model_permission_blocked_project", "model_permission_blocked_org",
            "model_not_available", "model_not_exist", "model_archived",
        ),
        statuses=NOT_OURS,
    ),
    Rule(
        Meaning.MODEL_GONE,
        text=_any(
            r"no endpoints found for\b", r"is not a valid model", r"no allowed providers are available",
            r"\b(?:invalid|unknown|unavailable|unsupported|no such) model\b"
            r"(?!.{0,20}(?:param|input|output|config))",
            r"^model: ", r"unable to access model", r"model identifier is invalid", r"failed to load model",
            r"no available (?:channel|provider)s? for model", r"requested (?:model|entity) was not found",
            r"could not find (?:real )?model", r"no models? loaded", r"have access to (?:the |this )?model",
            r"\bmodel [^ ]{1,100} (?:is )?not supported\b", r"not a chat model", r"not support chat",
        ),
        statuses=NOT_OURS,
        unless=_PASSING,
    ),
    Rule(
        Meaning.MODEL_GONE,
        text=_any(
            r"\bnot found\b", r"\bnot exist\b", r"\bno longer (?:supported|available|offered|served)\b",
            r"\b(?:is not|isn't) available\b", r"is not supported by any",
            r"\b(?:is|was|been) (?:decommissioned|deprecated|retired|removed|discontinued|sunset)\b",
        ),
        statuses=REFUSING,
        unless=_PASSING,
        beside=re.compile(r"\bmodels?\b|\bdeployment\b"),
    ),
    Rule(
        Meaning.MODEL_GONE,
        text=_any(r"\binvalid\b", r"\bnot valid\b", r"\bunknown\b"),
        statuses=REFUSING,
        unless=_PASSING,
        beside=re.compile(r"\bmodel:? ?(?:id|name|identifier)\b"),
    ),
    Rule(Meaning.IN_FLIGHT, _words("in_flight_budget_exhausted", "openrouter_in_flight_budget")),
    Rule(
        Meaning.CREDIT,
        _words(
            "insufficient_quota", "payment_required", "insufficient_balance", "billing_error",
            "billing_not_active", "billing_hard_limit_reached", "insufficient_credits", "credit_exhausted",
            "insufficient_user_quota", "budget_exceeded", "arrearage",
        ),
        _any(
            "insufficient (?:balance|credit|quota|funds)", "credit balance is too low", "out of credits?",
            "no credits?\\b", "doesn't have any credits", "used all (?:of )?(?:your |its )?available credits",
            "(?:monthly )?spend(?:ing)? limit", "billing (?:hard )?limit", "key limit exceeded",
            "account .{0,40}(?:overdue|arrears|suspended)", "budget has been exceeded",
            "please (?:recharge|top up)",
        ),
    ),
    Rule(
        Meaning.DAY_QUOTA,
        text=_any(
            "per[-_ ]?day", r"\b(?:rpd|tpd)\b", "daily (?:quota|limit|request|rate|free|allocation)",
            "(?:quota|limit) .{0,40}\\btoday\\b", "perdayper", "daily .{0,30}limit",
        ),
        statuses=frozenset({402, 403, 429, 503}),
    ),
    Rule(
        Meaning.TOO_LONG,
        _words(
            "context_length_exceeded", "string_too_long", "exceed_context_size_error",
            "context_window_exceeded",
            "prompt_too_long", "request_too_large", "payload_too_large", "tokens_limit_reached",
            "input_too_long",
        ),
        _any(
            r"maximum context length", r"context (?:length|window|size)", r"prompt (?:is )?too long",
            r"input (?:is )?too long", r"too many (?:input |prompt )?tokens", r"input token count",
            r"reduce (?:the length of|your (?:message|prompt|input))", r"max_prompt_tokens",
            r"longer than the maximum model length",
            r"request too large",
            r"exceeds? the (?:maximum|available|model's) .{0,30}(?:context|input|prompt)",
            r"(?:request entity|payload) (?:is )?too large", r"prompt exceeds",
            r"max(?:imum)? (?:model|sequence) len",
        ),
        statuses=frozenset({400, 413, 422, 429, 500}),
    ),
    Rule(
        Meaning.LOADING,
        _words(
            "overloaded_error", "overloaded", "provider_overloaded", "model_loading",
            "engine_overloaded_error",
            "unavailable_error", "no_capacity", "model_overloaded",
        ),
        _any(
            r"\b(?:is|currently) (?:loading|being loaded|warming up|not ready)\b", r"loading model",
            r"\boverloaded\b", r"warming up", r"server busy",
            r"max(?:imum)? pending requests", r"(?:no|insufficient) (?:available )?capacity",
        ),
        statuses=frozenset({400, 404, 409, 423, 424, 425, 500, 502, 503, 529}),
    ),
    Rule(
        Meaning.RATE,
        _words(
            "rate_limit_exceeded", "rate_limited", "rate_limit_error", "too_many_requests", "throttling",
            "throttlingexception", "resource_exhausted", "resource_exhausted_error", "concurrency_limit",
        ),
        _any(
            "rate limit (?:exceeded|reached)", "too many (?:concurrent )?requests",
            "exceeded .{0,30}rate limit",
        ),
        statuses=frozenset({400, 403, 429, 500, 503}),
    ),
    Rule(
        Meaning.KEY,
        _words(
            "invalid_api_key", "authentication_error", "authentication", "unauthenticated", "unauthorized",
            "invalid_authentication_error", "invalid_authentication", "permission_error", "permission_denied",
            "permissiondenied", "access_denied", "api_key_invalid", "invalid_request_key",
            "token_not_found_in_db",
            "auth_error", "account_deactivated", "missing_api_key", "invalidsubscription",
        ),
        _any(
            r"api[_ -]?key (?:is |was )?(?:not valid|invalid|expired|missing|incorrect|not found|disabled)",
            r"(?:incorrect|invalid|expired|missing|wrong|bad|no) (?:api|auth|access)[_ -]?(?:key|token)",
            r"(?:valid|provide an?|pass an?) api[_ -]?key", r"invalid authentication", r"authentication fail",
            r"no (?:auth|cookie auth) credentials", r"missing authentication", r"invalid (?:bearer|proxy) ",
            r"invalid subscription key", r"not authenticated", r"^unauthorized",
            r"invalid username or password",
            r"virtual key", r"could not validate credentials",
        ),
        statuses=frozenset({400, 401, 403, 404, 422, 500}),
    ),
)  # fmt: skip


def meaning_of(statuses: Collection[int], words: frozenset[str], text: str) -> Meaning | None:
    """What an error of one of ``statuses`` means, by its ``words`` and ``text``; None if unknown."""
    said = " ".join((text, *sorted(words))).lower()
    meaning = next((rule.meaning for rule in MEANINGS if rule.fits(statuses, words, said)), None)
    if meaning in (Meaning.MODEL_GONE, Meaning.LOADING, Meaning.KEY) and not FIELD_WORDS.isdisjoint(words):
        return None
    return meaning


WORD_STATUSES = {
    "server_error": 500,
    "server": 500,
    "internal_server_error": 500,
    "api_error": 500,
    "provider_unavailable": 502,
    "provider_overloaded": 503,
    "overloaded": 503,
    "overloaded_error": 529,
    "unavailable": 503,
    "timeout": 504,
    "deadline_exceeded": 504,
    "timeout_error": 504,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "rate_limited": 429,
    "too_many_requests": 429,
    "resource_exhausted": 429,
    "insufficient_quota": 402,
    "payment_required": 402,
    "insufficient_balance": 402,
    "authentication": 401,
    "authentication_error": 401,
    "unauthenticated": 401,
    "unauthorized": 401,
    "invalid_api_key": 401,
    "permission_denied": 403,
    "permission_error": 403,
    "not_found": 404,
    "not_found_error": 404,
    "payload_too_large": 413,
    "request_too_large": 413,
    "unprocessable": 422,
    "precondition_failed": 412,
    "context_length_exceeded": 400,
    "max_tokens_exceeded": 400,
    "token_limit_exceeded": 400,
    "string_too_long": 400,
    "invalid_request": 400,
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "invalid_prompt": 400,
    "unsupported_value": 400,
    "unsupported_parameter": 400,
    "content_policy_violation": 400,
    "content_filter": 400,
    "refusal": 400,
    # error.availability.code
    "model_not_found": 400,
    "wrong_endpoint": 400,
    "no_endpoints": 404,
    "model_deprecated": 404,
    "model_unavailable_upstream": 404,
    "privacy_restricted": 404,
    "constraint_filtered": 404,
    "free_variant_ended": 404,
    "region_restricted": 403,
    "capacity_exhausted": 429,
    "temporarily_unavailable": 503,
}
"""The status that a word stands for, where an error inside an HTTP 200 names no number."""
