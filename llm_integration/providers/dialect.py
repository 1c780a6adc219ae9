"""What a server does not take of our requests, and how it is asked instead. Pure.

A *change* is one word for one thing that is done differently for a server and model: ``drop:temperature``,
``format:json_schema`` (that response format is not asked for), ``limit:max_completion_tokens`` (the name
under which the longest reply is bounded), ``max_tokens<=4096``, ``effort:low``, ``stream:true``,
``system:user`` (the system text goes into the user message). A ``Dialect`` is all of them for one model. They
are found by what a server says when it refuses a request; the tables below hold what is known of its words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_integration.calls import Refusal

__all__ = ["PLAIN", "Dialect", "changes_for", "is_change", "kind_of", "note", "refusal_in"]

REFUSING_STATUSES = frozenset({400, 404, 406, 409, 415, 422, 500, 501})
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
SMALLEST_LIMIT = 16
"""Nobody means less by the longest reply that a model can give."""
FIXED = frozenset({"model", "messages"})
LIMITS = ("max_tokens", "max_completion_tokens")
"""The names of the longest reply; it may have another one, but is not left out while a budget holds."""

_CHANGE = re.compile(
    r"drop:[a-z_]{1,40}|format:json_(?:schema|object)|limit:max_(?:completion_)?tokens|max_tokens<=[1-9]\d{1,8}"
    r"|effort:(?:none|minimal|low|medium|high|xhigh|max)|stream:true|system:user"
)


def _any(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives))


# How servers word it

_REFUSES = _any(
    r"unrecogni[sz]ed", r"unknown", r"unexpected", r"unsupported", r"not (?:currently )?support",
    r"n't support",
    r"not (?:permitted|allowed|enabled|available|accepted|(?:a )?valid|recogni[sz]ed|implemented|found)",
    r"\bextra (?:inputs|fields)", r"additional propert", r"invalid", r"must be", r"must contain",
    r"no endpoints found", r"should be", r"cannot",
    r"can't",
    r"deprecated", r"no such", r"\bonly\b", r"is not one of", r"expected",
    r"too (?:large|high|big|small|low)",
    r"exceed", r"at most", r"less than", r"greater than", r"maximum", r"unavailable", r"out of range",
    r"mandatory",
    r"required",
    r"incompatible", r"disabled", r"does not exist", r"range", r"lower than", r"works in", r"\d > \d",
)  # fmt: skip
_UNKNOWN_FIELD = _any(
    r"unrecogni[sz]ed", r"unknown", r"unexpected", r"\bextra (?:inputs|fields)", r"not permitted",
    r"additional propert", r"unsupported (?:param|arg|field|prop|key|option)", r"is unsupported",
    r"cannot find field",
    r"no such (?:param|arg|field|prop|key)",
    r"not (?:a )?(?:valid|recogni[sz]ed) (?:param|arg|field|prop|key)",
)  # fmt: skip
_SEVERAL = _any(
    r"\b(?:arguments|parameters|params|fields|properties|inputs|keys|names)\b",
    r"cannot find field.{0,200}cannot find",
    r"; ",
)  # fmt: skip
_NAMES: dict[str, re.Pattern[str]] = {
    "temperature": _any(r"\btemperature\b"),
    "response_format": _any(
        r"\bresponse[_ .-]?(?:format|mime)", r"\bjson[_ -]?(?:object|schema|mode)\b",
        r"\bstructured[_ ]outputs?\b",
        r"\bguided[_ ](?:json|decoding|grammar)\b", r"unsupported.{0,40}format",
    ),
    "reasoning": _any(
        r"\breasoning(?:[_. ]effort)?\b", r"\bthinking(?:[_ ]?(?:budget|level|config|mode))?\b",
        r"\beffort\b",
    ),
    "max_tokens": _any(
        r"\bmax_tokens\b", r"\bmax_(?:output|new)_tokens\b", r"\bmaxoutputtokens\b", r"\bn_predict\b",
        r"\bmax tokens\b", r"completion tokens", r"output tokens",
    ),
    "max_completion_tokens": _any(
        r"\bmax_completion_tokens\b", r"\bmax_output_tokens\b", r"completion tokens", r"output tokens",
    ),
    "stream_options": _any(r"\bstream_options\b", r"\binclude_usage\b"),
    "stream": _any(
        r"['\"`.:]\s?stream\b(?!_)", r"\bstream(?:ing)? (?:is|mode|must|should|param|not|requests?)\b",
        r"support(?:s|ed)? (?:only )?(?:non-)?stream", r"\bnon-?streaming\b",
        r"\bstream\b.{0,20}\b(?:true|false)\b",
    ),
}  # fmt: skip
_SCHEMA = _any(r"schema", r"structured", r"too many states", r"requested parameters", r"invalid_argument")
_SYSTEM = _any(
    r"\b(?:system|developer)[_ ]?(?:instructions?|roles?|messages?|prompts?)\b",
    r"role[s']*\W{0,3}(?:system|developer)",
    r"roles? must alternate", r"only user(?:,| and) (?:and )?(?:assistant|model) roles",
    r"['\"`](?:system|developer)['\"`]",
    r"first message .{0,60}\buser\b", r"must (?:start|begin) with .{0,30}\buser\b",
)  # fmt: skip
_OF_SYSTEM = _any(_REFUSES.pattern, r"alternate", r"must (?:start|begin)", r"no support")
_MANDATORY = _any(
    r"mandatory", r"cannot be disabled", r"can't be disabled", r"only works in", r"must be enabled"
)
_SUPPORTED = re.compile(
    r"(?:(?:supported|allowed|valid|accepted|available|permitted) (?:values?|options?|levels?|efforts?)"
    r"|must be one of|should be one of|expected(?: one of)?|input should be|one of)\b(.{0,160})",
    re.DOTALL,
)
_MUST_STREAM = _any(
    r"stream\b.{0,20}\bmust be (?:set to )?true", r"only supports? (?:the )?stream", r"only support stream",
    r"enable (?:the )?stream", r"stream(?:ing)? (?:mode )?(?:is )?required", r"requires? stream",
    r"non-?streaming .{0,40}not", r"must be streamed", r"please use stream",
)  # fmt: skip
_NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d{1,9})(?!\w)")
_STRICT = _any(r"\bexclusive\b", r"\b(?:less|lower|smaller) than \W{0,3}\d", r"must be below")


def refusal_in(status: int, words: frozenset[str], params: tuple[str, ...], text: str) -> Refusal | None:
    """The refusal in an error that means nothing else; None if a refused field does not look like that."""
    return Refusal(words, params, text.lower()) if status in REFUSING_STATUSES else None


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one model of one server is asked. ``changes`` are in the order in which they were learnt."""

    changes: tuple[str, ...] = ()
    refused_formats: frozenset[str] = field(init=False)
    _dropped: tuple[str, ...] = field(init=False)
    _values: Mapping[str, str] = field(init=False)
    most_tokens: int | None = field(init=False)

    def __post_init__(self) -> None:
        dropped = tuple(each[5:] for each in self.changes if each.startswith("drop:"))
        formats = {each[7:] for each in self.changes if each.startswith("format:")}
        if "response_format" in dropped:
            formats |= {"json_schema", "json_object"}
        values = dict(each.split(":", 1) for each in self.changes if ":" in each)
        limits = [int(each.removeprefix("max_tokens<=")) for each in self.changes if "<=" in each]
        object.__setattr__(self, "refused_formats", frozenset(formats))
        object.__setattr__(self, "_dropped", dropped)
        object.__setattr__(self, "_values", values)
        object.__setattr__(self, "most_tokens", min(limits, default=None))

    def with_changes(self, changes: Iterable[str]) -> Dialect:
        """This dialect and ``changes``; of two values for one thing the later holds."""
        known = {kind_of(each): each for each in self.changes}
        known.update({kind_of(each): each for each in changes})
        return Dialect(tuple(known.values()))

    def applied(self, body: dict[str, Any]) -> dict[str, Any]:
        """The request ``body`` as this model takes it; it may be changed in place."""
        if self._values.get("system") == "user":
            body["messages"] = _without_system(body["messages"])
        if self.most_tokens is not None:
            body["max_tokens"] = min(body["max_tokens"], self.most_tokens)
        if effort := self._values.get("effort"):
            body["reasoning"] = {"effort": effort}
        if self._values.get("stream") == "true":
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if name := self._values.get("limit"):
            body = {name if key == "max_tokens" else key: value for key, value in body.items()}
        for name in self._dropped:
            body.pop(name, None)
        return body

    def notes(self, model: str) -> tuple[str, ...]:
        """One line for each change, for the result's warnings, the log and ``check``."""
        return tuple(f"{model} {note(each)}" for each in self.changes)


PLAIN = Dialect()


def _without_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with the system text at the head of the first one of the user."""
    system = [message["content"] for message in messages if message["role"] == "system"]
    others = [dict(message) for message in messages if message["role"] != "system"]
    if system and others:
        others[0]["content"] = "\n\n".join([*system, others[0]["content"]])
    return others


def is_change(word: object) -> bool:
    """Whether ``word``, which may come from a file, is a change that we know how to make."""
    return isinstance(word, str) and _CHANGE.fullmatch(word) is not None and word not in NEVER


NEVER = frozenset({"drop:model", "drop:messages"})


def kind_of(change: str) -> str:
    """What the change is about: of two changes of one kind only one can hold."""
    if change.startswith("max_tokens<="):
        return "max_tokens<="
    return change if change.startswith(("drop:", "format:")) else change.partition(":")[0]


def note(change: str) -> str:
    """What is done differently, as the end of a sentence that begins with the model's name."""
    what, _, value = change.partition(":")
    if what not in _NOTES:
        return f"is asked for at most {change.partition('<=')[2]} tokens, as its server allows no more"
    return _NOTES[what].format(value=value, other=next(each for each in LIMITS if each != value))


_NOTES = {
    "drop": "is asked without {value}, which its server refuses",
    "format": "is asked without the response_format {value}, which its server refuses",
    "limit": "is asked with {value} instead of {other}",
    "effort": "is asked with the reasoning effort {value}, as its server wants",
    "stream": "is asked for a stream, as its server answers in no other way",
    "system": "gets the system text in the user message, as its server takes no system role",
}


# From a refusal to what to change


def changes_for(
    refusal: Refusal, sent: Mapping[str, Any], dialect: Dialect, *, budget_holds: bool
) -> tuple[str, ...]:
    """What to do differently after ``refusal`` of the request body ``sent``; empty if nothing can be.

    ``dialect`` is the one in which it was sent. With ``budget_holds`` the longest reply stays bounded.
    """
    found = _changes(refusal, sent, dialect, budget_holds=budget_holds)
    return tuple(each for each in dict.fromkeys(found) if each not in dialect.changes and is_change(each))


def _changes(
    refusal: Refusal, sent: Mapping[str, Any], dialect: Dialect, *, budget_holds: bool
) -> Iterator[str]:
    text = refusal.text
    if _has_system(sent) and _SYSTEM.search(text) and _OF_SYSTEM.search(text):
        yield "system:user"
        return
    fields = _refused_fields(refusal, sent)
    for name in fields:
        if name == "response_format":
            yield _format_change(text, sent[name])
        elif name == "reasoning":
            yield _reasoning_change(text, sent[name])
        elif name in LIMITS:
            yield from _limit_change(text, name, sent[name], dialect, budget_holds=budget_holds)
        elif name == "stream" and not sent[name] and _MUST_STREAM.search(text):
            yield "stream:true"
        else:
            yield f"drop:{name}"
    if not fields and _type_of(sent.get("response_format")) == "json_schema":
        known = " ".join((text, *refusal.words))
        if _SCHEMA.search(known):
            yield "format:json_schema"


def _refused_fields(refusal: Refusal, sent: Mapping[str, Any]) -> list[str]:
    """The fields of ``sent`` that are refused, by the server's own ``param``, else by its text.

    A text that speaks of several fields may mean all of them, or name one and explain it by another: only
    the first counts unless it is a list.
    """
    own = [each for each in sent if each not in FIXED]
    named = [re.split(r"[.\[]", each, maxsplit=1)[0] for each in refusal.params]
    named = ["reasoning" if each == "reasoning_effort" else each for each in named]
    if exact := [each for each in own if each in named]:
        return exact
    if not _REFUSES.search(refusal.text):
        return []
    places = {name: place for name in own if (place := _place(name, refusal.text)) is not None}
    in_order = sorted(places, key=places.__getitem__)
    return in_order if _SEVERAL.search(refusal.text) else in_order[:1]


def _place(name: str, text: str) -> int | None:
    """Where ``text`` speaks of the field ``name``."""
    pattern = _NAMES.get(name)
    found = pattern.search(text) if pattern else re.search(rf"\b{re.escape(name)}\b", text)
    return None if found is None else found.start()


def _has_system(sent: Mapping[str, Any]) -> bool:
    messages = sent.get("messages")
    return isinstance(messages, list) and any(message.get("role") == "system" for message in messages)


def _type_of(form: object) -> object:
    return form.get("type") if isinstance(form, dict) else None


def _format_change(text: str, form: object) -> str:
    """One step down from the form that was asked for, or none at all if the field itself is not known."""
    whole = re.search(r"response_format(?![.\w]| ?\[)", text) and _UNKNOWN_FIELD.search(text)
    kind = _type_of(form)
    step_down = kind in ("json_schema", "json_object") and not whole
    return f"format:{kind}" if step_down else "drop:response_format"


def _reasoning_change(text: str, reasoning: object) -> str:
    """The nearest effort that the server names, else none is asked for."""
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    if effort in EFFORTS:
        at = EFFORTS.index(effort)
        if found := _SUPPORTED.search(text):
            named = set(re.findall(r"[a-z]+", found[1])) - {effort}
            near = [*EFFORTS[at + 1 :], *reversed(EFFORTS[:at])]
            if best := next((each for each in near if each in named), None):
                return f"effort:{best}"
        if effort == "none" and _MANDATORY.search(text):
            return "effort:minimal"
    return "drop:reasoning"


def _limit_change(
    text: str, name: str, value: object, dialect: Dialect, *, budget_holds: bool
) -> Iterator[str]:
    """A smaller limit if the text names one, else its other name, else none where nothing forbids that."""
    other = next(each for each in LIMITS if each != name)
    speaks_of_other = re.search(rf"\b{other}\b", text) is not None
    if not speaks_of_other and (most := _largest_allowed(text, value)) is not None:
        yield f"max_tokens<={most}"
    elif f"limit:{name}" not in dialect.changes:
        yield f"limit:{other}"
    elif not budget_holds:
        yield f"drop:{name}"


def _largest_allowed(text: str, value: object) -> int | None:
    """The largest number below ``value`` in ``text``: what a server names as its most."""
    if not isinstance(value, int):
        return None
    numbers = [int(found.replace(",", "")) for found in _NUMBER.findall(text)]
    strict = _STRICT.search(text) is not None
    most = max((each for each in numbers if SMALLEST_LIMIT <= each < value), default=None)
    if most is None:
        return value - 1 if strict and value in numbers and value > SMALLEST_LIMIT else None
    return most - 1 if strict and most > SMALLEST_LIMIT else most
