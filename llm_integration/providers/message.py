"""The message of a choice: its text, without what was only thought, or why it is no completion. Pure.

Of a list of parts only text counts: a part of any other type, such as ``thinking``, is not the answer. Some
servers leave ``content`` empty and put the answer beside it; it is read there only if the reply is finished
and the answer complete, so that a draft is never taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from json import JSONDecoder
from typing import Any, Final, NamedTuple

import orjson

from llm_integration.errors import (
    CallError,
    ContentFilteredError,
    NoCompletionError,
    ServerError,
    TruncatedError,
)
from llm_integration.finish_reason import is_cut
from llm_integration.providers.failures import ErrorReader

__all__ = ["Message", "finish_reason", "read_message"]

_LONE_SURROGATE = re.compile("[\\ud800-\\udbff](?![\\udc00-\\udfff])|(?<![\\ud800-\\udbff])[\\udc00-\\udfff]")
_TEXT_TYPES: Final = frozenset({"text", "output_text"})
_FINISHED: Final = "stop"
_CALLED: Final = frozenset({"stop", "tool_calls", "function_call"})
_THOUGHTS: Final = ("reasoning_content", "reasoning")
_ANSWER_KEYS: Final = frozenset({"rating", "choppiness"})
_MOST_CALLS: Final = 16
_MOST_ANSWER_CHARS: Final = 16_384
"""A longer object beside ``content`` is not looked for: finding it would hold up the event loop."""
_ANSWER_BEGINS: Final = re.compile(r'\{\s{0,80}"(?:rating|choppiness|analysis|recommendations|signals)"')
_DECODER: Final = JSONDecoder()


class Message(NamedTuple):
    """The text of a completion, and what the person who reads the result should know about it."""

    text: str
    warnings: tuple[str, ...] = ()


def finish_reason(choice: Mapping[str, Any]) -> object:
    """The choice's ``finish_reason``; the provider's own word where there is none and it says "cut"."""
    finish, native = choice.get("finish_reason"), choice.get("native_finish_reason")
    return native if not finish and is_cut(native) else finish


def read_message(choice: Mapping[str, Any], finish: str | None, reader: ErrorReader) -> Message | CallError:
    """What the message of ``choice``, which ended with ``finish``, says, or the error it stands for."""
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    content = message.get("content")
    text = _text(content)
    if error := _broken_off(finish, message, choice, reader):
        return error
    found = Message(text) if text and not text.isspace() else _answer_elsewhere(message, content, finish)
    if found is None:
        return _without_text(finish)
    return found._replace(text=reader.scrub.without_key(found.text))


def _broken_off(
    finish: str | None, message: Mapping[str, Any], choice: Mapping[str, Any], reader: ErrorReader
) -> CallError | None:
    """Why this choice is no completion, whatever text it has; None if it may be one."""
    if finish == "error":
        return ServerError("the provider broke off in the middle of its reply", status=200)
    if finish == "content_filter":
        native = reader.scrub.name(choice.get("native_finish_reason"))
        return ContentFilteredError(
            f"the provider's filter stopped the reply ({native or finish})", status=200
        )
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal and not refusal.isspace():
        return ContentFilteredError("the model refused to answer this prompt", status=200)
    return None


def _without_text(finish: str | None) -> CallError:
    if is_cut(finish):
        return TruncatedError(
            "max_tokens was used up before any text came, most likely by the model's reasoning;"
            " raise max_tokens or lower reasoning_effort",
            status=200,
        )
    return NoCompletionError("HTTP 200 without a completion: the text is empty", status=200)


def _text(content: object) -> str:
    """The text of ``message.content``: a string, or a list of parts of which only text counts."""
    if isinstance(content, str):
        return content if content.isascii() else _printable(content)
    if not isinstance(content, list):
        return ""
    parts = [_part_text(part) for part in content]
    text = "".join(part for part in parts if isinstance(part, str))
    return text if text.isascii() else _printable(text)


def _part_text(part: object) -> object:
    """What a part adds to the text; a part that names no type counts as text."""
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    if kind is None or (isinstance(kind, str) and kind.lower() in _TEXT_TYPES):
        return part.get("text")
    return None


def _printable(text: str) -> str:
    """Lone surrogates become U+FFFD, which files, tables and sockets take; pairs what they stand for."""
    try:
        text.encode()
    except UnicodeEncodeError:
        paired = _LONE_SURROGATE.sub("\ufffd", text)  # much quicker than a codec's handling of errors
        return paired.encode("utf-16", "surrogatepass").decode("utf-16")
    return text


# An answer that does not stand in content


class _Answer(NamedTuple):
    """A complete answer as it was written, its value, and where it stood."""

    place: str
    text: str
    value: dict[str, Any]


def _answer_elsewhere(message: Mapping[str, Any], content: object, finish: str | None) -> Message | None:
    """A complete answer beside an empty ``content``, with a warning that says where; None without one.

    Two places that give different answers give none.
    """
    answers = [answer for answer in _answers(message, content, finish) if answer is not None]
    if not answers or any(answer.value != answers[0].value for answer in answers):
        return None
    place, text, _ = answers[0]
    text = text if text.isascii() else _printable(text)
    return Message(text, (f"the answer stood in {place}, not in the text of the reply",))


def _answers(message: Mapping[str, Any], content: object, finish: str | None) -> Iterator[_Answer | None]:
    if finish == _FINISHED:
        yield _as_object("content, as an object", content)
        for place in _THOUGHTS:
            yield _last_answer(place, message.get(place))
    if finish in _CALLED:
        for arguments in _arguments(message):
            yield _called_with("the arguments of a tool call", arguments)


def _arguments(message: Mapping[str, Any]) -> Iterator[object]:
    """The arguments of each tool call, and of the one that an older server calls ``function_call``."""
    calls = message.get("tool_calls")
    functions = [
        call.get("function") if isinstance(call, dict) else None
        for call in (calls[:_MOST_CALLS] if isinstance(calls, list) else ())
    ]
    for function in (*functions, message.get("function_call")):
        if isinstance(function, dict):
            yield function.get("arguments")


def _called_with(place: str, arguments: object) -> _Answer | None:
    if not isinstance(arguments, str):
        return _as_object(place, arguments)
    if len(arguments) > _MOST_ANSWER_CHARS:
        return None
    try:
        value = orjson.loads(arguments)
    except ValueError:  # no JSON, or text that UTF-8 cannot carry
        return None
    return _Answer(place, arguments, value) if _is_answer(value) else None


def _as_object(place: str, value: object) -> _Answer | None:
    if not isinstance(value, dict) or not _is_answer(value):
        return None
    try:
        return _Answer(place, orjson.dumps(value).decode(), value)
    except TypeError:  # nested too deeply, or text that UTF-8 cannot carry
        return None


def _last_answer(place: str, thoughts: object) -> _Answer | None:
    """The object that ends ``thoughts``, if it is a complete answer; a closing fence may stand behind it."""
    if not isinstance(thoughts, str):
        return None
    text = thoughts[-_MOST_ANSWER_CHARS:].rstrip().removesuffix("```").rstrip()
    if not text.endswith("}"):
        return None
    places = [match.start() for match in _ANSWER_BEGINS.finditer(text)]
    for start in dict.fromkeys(places[-1:] + places[:1]):
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if end == len(text) and _is_answer(value):
            return _Answer(place, text[start:], value)
    return None


def _is_answer(value: object) -> bool:
    """True for an object of the schema: one reading with a rating, or the readings of a batch."""
    if not isinstance(value, dict):
        return False
    entries = value.get("signals")
    if isinstance(entries, list):
        return any(isinstance(entry, dict) and entry.keys() >= _ANSWER_KEYS for entry in entries)
    return value.keys() >= _ANSWER_KEYS
