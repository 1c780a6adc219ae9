"""The envelope of an error, with its wrappings taken off. Pure.

Most servers send ``{"error": {"code", "message", "type", "param"}}``; others an array of those, a bare
``{"message"}``, ``{"errors": [...]}``, a ``detail`` as text, object or list, or a page. Codes come as
numbers, digits, words or not at all, and the cause may be wrapped in ``metadata.raw``: text, JSON in text,
an SSE frame, an object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from llm_integration.calls import RawReply
from llm_integration.http_client.scrub import Scrubber
from llm_integration.providers.meanings import WORD_STATUSES

__all__ = ["Envelope", "error_in", "mapping", "open_envelope"]

MOST_DEPTH = 4
MOST_ITEMS = 10
"""Entries of a list of errors or details that are looked at."""
MOST_WORD_CHARS = 80
MOST_MESSAGE_CHARS = 600
"""What is looked at of a message; who has not said it by then says something else."""
MESSAGES = ("message", "msg", "error_description", "error_message", "errorMessage", "error_msg", "title")
_TITLE = re.compile(r"<title[^>]{0,100}>([^<]{1,200})", re.IGNORECASE)
_WORD = re.compile(r"[\w.-]{2,80}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """One error. ``status`` is the HTTP status, or inside a 200 the one the error names.

    ``text`` is one plain line for people, ``message`` what the server said in its own words, both without
    the key. ``words`` are its codes, types and reasons in lower case, ``params`` the fields it names.
    ``page``: no JSON came but a page of HTML. ``guessed``: an error inside a 200 that names no status.
    """

    status: int
    text: str
    message: str
    words: frozenset[str]
    params: tuple[str, ...]
    metadata: Mapping[str, Any]
    availability: Mapping[str, Any]
    error: Mapping[str, Any]
    headers: Mapping[str, str]
    page: bool = False
    guessed: bool = False


def open_envelope(response: RawReply, body: object, scrub: Scrubber) -> Envelope:
    """The error in ``body`` (the decoded JSON, or the choice that carries it); anything is tolerated."""
    error = error_in(body)
    page = False
    if not error:
        plain = _page_text(response.body)
        page = plain.startswith("an HTML page")
        error = {"message": plain}
    metadata, availability = mapping(error.get("metadata")), mapping(error.get("availability"))
    kinds = (metadata.get("error_type"), error.get("error_type"))
    kind = next((value for value in kinds if isinstance(value, str) and value), "")
    words = frozenset(_words(error, metadata, availability))
    named = _status(response.status, error, kind, availability, words)
    status = 500 if named is None else named
    message = scrub(_message(error, metadata), MOST_MESSAGE_CHARS)
    shown = scrub(message, 220) or "no explanation"
    seen = f"HTTP {status}" if status == response.status else f"code {status} inside HTTP {response.status}"
    text = f"{shown} ({seen}{f', {scrub(kind, 40)}' if kind else ''})"
    params = tuple(dict.fromkeys(_params(error)))
    return Envelope(
        status, text, message, words, params, metadata, availability, error, response.headers, page,
        named is None,
    )  # fmt: skip


def error_in(body: object, depth: int = 0) -> Mapping[str, Any]:
    """The object that tells of the error, whatever it is wrapped in; empty if nothing does."""
    if depth < MOST_DEPTH and isinstance(body, list):
        return _together([error_in(each, depth + 1) for each in body[:MOST_ITEMS]])
    if depth < MOST_DEPTH and isinstance(body, dict):
        return _error_of_object(body, depth)
    return {"message": body} if isinstance(body, str) and body.strip() else {}


def _error_of_object(body: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
    for name in ("error", "errors", "fault", "detail", "message"):
        inner = body.get(name)
        if name == "detail" and isinstance(inner, list):
            return _validation(inner)
        if name == "message" and (isinstance(inner, str) or "content" in mapping(inner)):
            continue  # the message of an error, or one of a conversation
        if inner and (error := error_in(inner, depth + 1)):
            return _with_siblings(error, body, name)
    told = any(isinstance(body.get(name), (str, dict, list)) and body.get(name) for name in MESSAGES)
    return body if told or (depth and body) else {}


def _together(errors: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first of several errors, with what all of them say."""
    found = [each for each in errors if each]
    if len(found) < 2:
        return found[0] if found else {}
    messages = [text for each in found for name in MESSAGES[:1] if (text := _cause(each.get(name)))]
    return {**found[0], "message": "; ".join(messages)}


def _with_siblings(error: Mapping[str, Any], body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The inner error, with what stands beside it: some servers put the code, or the message, there."""
    merged = {key: value for key, value in body.items() if key not in (name, "choices", "usage")}
    inner = dict(error)
    outer = next((merged[key] for key in MESSAGES if isinstance(merged.get(key), str) and merged[key]), None)
    said = inner.get("message")
    if outer is not None and isinstance(said, str) and _WORD.fullmatch(said):
        inner["reason"], inner["message"] = said, outer  # {"error": "a_code", "message": "in words"}
    told = {key: value for key, value in inner.items() if value is not None or key not in merged}
    return {**merged, **told}


def _validation(items: list[Any]) -> Mapping[str, Any]:
    """FastAPI's 422: what is wrong with which field of the body."""
    rows = [item for item in items[:MOST_ITEMS] if isinstance(item, dict)]
    lines, fields = [], []
    for row in rows:
        place = row.get("loc")
        parts = [str(part) for part in place if part != "body"] if isinstance(place, list) else []
        said = row.get("msg") or row.get("message") or ""
        lines.append(f"{'.'.join(parts)}: {said}" if parts else str(said))
        fields += parts[:1]
    texts = [item for item in items[:MOST_ITEMS] if isinstance(item, str)]
    kinds = [row.get("type") for row in rows]
    return {"message": "; ".join(lines + texts), "params": fields, "kinds": kinds} if lines or texts else {}


def _words(
    error: Mapping[str, Any], metadata: Mapping[str, Any], availability: Mapping[str, Any]
) -> Iterator[str]:
    details = [each for each in _list(error.get("details")) if isinstance(each, dict)]
    violations = [row for each in details for row in _list(each.get("violations")) if isinstance(row, dict)]
    candidates = [
        *(error.get(name) for name in ("code", "type", "status", "error_type", "reason")),
        *_list(error.get("kinds")),
        mapping(error.get("innererror")).get("code"),
        *(metadata.get(name) for name in ("error_type", "reason", "limit_source", "provider_code")),
        availability.get("code"),
        *(each.get("reason") for each in details),
        *(row.get("quotaId") for row in violations),
    ]
    for value in candidates:
        if isinstance(value, str) and 0 < len(value) <= MOST_WORD_CHARS:
            yield value.strip().lower()


def _params(error: Mapping[str, Any]) -> Iterator[str]:
    for value in (error.get("param"), *_list(error.get("params"))):
        if isinstance(value, str) and 0 < len(value) <= MOST_WORD_CHARS:
            yield value


def _list(value: object) -> list[Any]:
    return value[:MOST_ITEMS] if isinstance(value, list) else []


def _status(
    http_status: int,
    error: Mapping[str, Any],
    kind: str,
    availability: Mapping[str, Any],
    words: frozenset[str],
) -> int | None:
    """The HTTP status, or inside a 200 the one the error names; None if it names none."""
    if not 200 <= http_status < 300:
        return http_status
    named = (error.get("code"), error.get("http_status"), error.get("status"), error.get("status_code"))
    for value in (*named, kind, availability.get("code"), *sorted(words)):
        if isinstance(value, str):
            code = (
                int(value)
                if value.isascii() and value.isdigit() and len(value) == 3
                else WORD_STATUSES.get(value.lower())
            )
        else:
            code = value if isinstance(value, int) and not isinstance(value, bool) else None
        if code is not None and 300 <= code < 600:
            return code
    return None


def _message(error: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """``[provider] cause``: OpenRouter's own sentence for a provider's fault says nothing."""
    message = next((text for name in MESSAGES if (text := _cause(error.get(name)))), "")
    cause = _cause(metadata.get("raw"))
    if not cause or cause in message:
        text = message
    elif not message or message.strip().lower() == "provider returned error":
        text = cause
    else:
        text = f"{message}: {cause}"
    code = error.get("code")
    if isinstance(code, str) and " " in code and code not in text:
        text = f"{code}: {text}"  # a code in words is a part of the message
    provider = metadata.get("provider_name")
    return f"[{provider}] {text}" if isinstance(provider, str) and provider else text


def _cause(raw: object, depth: int = 0) -> str:
    """The innermost message of ``raw``: plain text, JSON in text, an SSE frame or an object."""
    if isinstance(raw, dict) and depth < MOST_DEPTH:
        inner = (raw.get(key) for key in ("error", "message", "detail", "msg"))
        return next((text for value in inner if (text := _cause(value, depth + 1))), "")
    if isinstance(raw, list) and raw and depth < MOST_DEPTH:
        return _cause(raw[0], depth + 1)
    if not isinstance(raw, str):
        return ""
    text = raw[:20_000].strip().removeprefix("data:").strip()
    if text[:1] in ("{", "["):
        try:
            return _cause(orjson.loads(text), depth + 1) or text
        except (orjson.JSONDecodeError, UnicodeError):
            return text
    return text


def _page_text(body: bytes) -> str:
    """The first words of a body that is not JSON; of an HTML page its title."""
    text = body[:4_000].decode("utf-8", "replace").strip()
    if not text.startswith("<"):
        return text
    title = _TITLE.search(text)
    return f"an HTML page, {title[1].strip()!r}" if title else "an HTML page"


def mapping(value: object) -> Mapping[str, Any]:
    """``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}
