"""Marks around parts of a reply: ``<think>``, ``[/THINK]``, ``<|channel|>final<|message|>`` and their like.

A mark is a name in brackets of any style, also escaped as an entity. What it means is decided by the stem
of its name, not by a list of names: a mark of thinking, a mark that an answer begins or that means nothing
here, or one that nobody knows. A mark of thinking helps to leave a draft out; one that nobody knows is only
ever a reason for doubt, or for taking what stands behind it. Some models lose their marks and leave words
(``analysis...assistantfinal...``) or use whole phrases ("Here is my thought process:").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from functools import lru_cache
from typing import Final, NamedTuple

from llm_integration.fairness import Steps
from llm_integration.response_parser.model import Budget, lowered

__all__ = ["Kind", "Mark", "find_marks", "may_have_marks"]

_MOST_BRACKETS: Final = 2_000
_FEW_BRACKETS: Final = 40
_MARK_COST: Final = 2
_BRACKETS: Final = "<[&\\"
_OTHER_BRACKETS: Final = "◁＜⟨【«《‹「"

_MARK: Final = (
    r"(?:(?<=&)(?:amp;)?(?:lt|\#60|\#x3c);|(?<=\\)u003c|(?<![&\\]))"
    r"(?P<bar>\|?)\s?(?P<slash>[/\\]?)\|?\s?(?P<name>[a-z][a-z0-9_:.-]{0,40}+)"
    r"(?P<more>(?:\s[^<>\[\]|&\\\n◁▷＜＞⟨⟩【】«»《》‹›「」]{0,120}+)?)(?P<self>/?)(?P<end_bar>\|?)\s?"
    r"(?:[>\]▷＞⟩】»》›」]|&(?:amp;)?(?:gt|\#62|\#x3e);|\\u003e)"
)
_CHANNEL: Final = re.compile(
    r"\s{0,3}(?P<word>[a-z]{1,20})(?:[^<\n]{0,60}(?:<\|constrain\|>\w{0,12}\s?)?<\|message\|>)?",
    re.IGNORECASE,
)
"""Behind ``<|channel|>``: the channel's name, and the mark where its message begins."""
_ATTRIBUTES: Final = re.compile(r"\s{1,3}[\w:-]{1,30}\s?=.{0,120}")
_BEGINS: Final = re.compile(
    r"(?:start|begin|open)(?:[_:.-]?of)?[_:.-](?P<name>.+)|(?P<other>.+)[_:.-](?:start|begin|open)"
)
_ENDS: Final = re.compile(
    r"(?:end|stop|close)(?:[_:.-]?of)?[_:.-](?P<name>.+)|(?P<other>.+)[_:.-](?:end|stop|close)"
)

_THINKING: Final = re.compile(
    r"think|thought|reason|reflect|scratch|monolog|ponder|delibera|rumina|contempla|brainstorm|cogita"
    r"|introspect|musing|chain[_-]of|(?:\A|[_:.-])cot(?:\Z|[_:.-])"
)
_ANSWER: Final = frozenset({"answer", "response", "final", "final_answer", "final_response", "solution"})
_OF_ANSWERS: Final = re.compile(
    r"answer|final|respon|result|output|verdict|rating|json|reply|evaluat|assess|decision|conclu|solution"
    r"|signal|analysis|recommend|choppiness|report|summary|data|content|object|score|schema"
)
"""Stems of names that wrap an answer or a part of it: what stands in them counts as without them."""
_PLAIN: Final = re.compile(
    r"a|abbr|article|b|big|blockquote|body|br|center|code|col|dd|del|div|dl|dt|em|font"
    r"|footer|h1|h2|h3|h4|h5|h6|head|header|hr|html|i|img|ins|kbd|li|main|mark|markdown|ol|p|pre|q"
    r"|s|samp|section|small|span|strike|strong|sub|summary|sup|table|tbody|td|tfoot|th|thead|title"
    r"|tr|tt|u|ul|var|xml|yaml|text|integer|int|string|str|number|value|symbol|ticker|timestamp"
    r"|timeframe|side|assistant|user|system|human|model|bot|im|turn|sentence|eot|eos|bos|pad|unk"
    r"|message|return|call|start|constrain|endoftext|startoftext|eot_id|eom_id|header_id|inst|sys"
)
"""Names for the looks of a text, for a value to be filled in, and for the ends of a message."""

_GLUED: Final = re.compile(r"(?:assistant)?(?:analysis|commentary)(?=[^\W_]|[{\"'*(\[`])")
"""What is left of a channel's mark at the head of a reply: ``analysisThe trend ...``."""
_PHRASES: Final = re.compile(
    r"(?P<final>assistant(?:commentary)?final)|here(?:['’]s| is) my (?:(?P<thought>thought process)"
    r"|(?:final )?(?:response|answer))\s?:",
    re.IGNORECASE,
)
_GLUED_WORDS: Final = ("analysis", "commentary", "assistant")
_PHRASE_HINTS: Final = ("assistantfinal", "commentaryfinal", "ere is my ", "ere's my ", "ere’s my ")


class Kind(Enum):
    """What a mark says of the text behind it. MESSAGE_END closes a thought if one is open, else nothing."""

    OPENS_THOUGHT = auto()
    CLOSES_THOUGHT = auto()
    MESSAGE_END = auto()
    ANSWER_BEGINS = auto()
    ANSWER_TAG = auto()
    OPENS_UNKNOWN = auto()
    CLOSES_UNKNOWN = auto()


class Mark(NamedTuple):
    """One mark, ``text[start:end]``. ``family`` tells apart which openings an ANSWER_BEGINS ends: those of
    tags, of harmony's channels, or of phrases. ``square`` brackets are also used for mere labels."""

    start: int
    end: int
    kind: Kind
    name: str
    family: str = "tag"
    square: bool = False


def may_have_marks(text: str) -> bool:
    """False for most replies, after a quick look."""
    if "<" in text or "[" in text or "&" in text or "\\" in text or not text.isascii():
        return True
    return text.startswith(_GLUED_WORDS) or "assistant" in text or "ere is my " in text or "ere's my " in text


def find_marks(text: str, budget: Budget) -> Steps[list[Mark]]:
    """Every mark in ``text`` that may mean something, in order. Raises OutOfWork in a forest of brackets."""
    found = yield from _phrases(text, budget)
    if brackets := _brackets(text, budget):
        for match in _matches(text, brackets):
            mark = _classified(text, match)
            if mark is not None:
                found.append(mark)
            if budget.spend(_MARK_COST):
                yield
    found.sort(key=_place)
    return found


def _matches(text: str, brackets: str) -> Iterator[re.Match[str]]:
    """Whatever looks like a mark. A few brackets are found one by one, which is the quickest way."""
    pattern = _pattern(brackets)
    if sum(map(text.count, brackets)) > _FEW_BRACKETS:
        yield from pattern.finditer(text)
        return
    end = 0
    for place in sorted(place for bracket in brackets for place in _places(text, bracket)):
        match = pattern.match(text, place) if place >= end else None
        if match:
            end = match.end()
            yield match


def _places(text: str, bracket: str) -> Iterator[int]:
    place = text.find(bracket)
    while place >= 0:
        yield place
        place = text.find(bracket, place + 1)


def _place(mark: Mark) -> int:
    return mark.start


def _brackets(text: str, budget: Budget) -> str:
    """Those brackets in ``text`` at which marks are looked for.

    A text crowded with square brackets is data; it is only searched for the rest, unless it speaks of
    thinking, which is more than can be told apart at a bounded price.
    """
    found = ""
    for bracket in _BRACKETS:
        if bracket not in text:
            continue
        count = text.count(bracket)
        if count > _MOST_BRACKETS:
            if bracket != "<" and not _speaks_of_thinking(text):
                continue
            budget.spend(count)
        found += bracket
    if not text.isascii():
        others = [bracket for bracket in _OTHER_BRACKETS if bracket in text]
        budget.spend(sum(map(text.count, others)) // 10)
        found += "".join(others)
    return found


def _speaks_of_thinking(text: str) -> bool:
    low = lowered(text)
    return "think" in low or "thought" in low or "reason" in low


@lru_cache(maxsize=128)
def _pattern(starts: str) -> re.Pattern[str]:
    """Begins with a set of characters, which the engine looks for many times as fast as for anything else."""
    return re.compile(f"[{re.escape(starts)}]{_MARK}", re.IGNORECASE)


def _phrases(text: str, budget: Budget) -> Steps[list[Mark]]:
    """The words that models without marks begin and end their thoughts with."""
    found = []
    if glued := _GLUED.match(text):
        found.append(Mark(0, glued.end(), Kind.OPENS_THOUGHT, "analysis", "harmony"))
    if not any(hint in text for hint in _PHRASE_HINTS):
        return found
    head = len(text) - len(text.lstrip(" \n*#"))
    for match in _PHRASES.finditer(text):
        if budget.spend(_MARK_COST):
            yield
        family = "harmony" if match["final"] else "phrase"
        if not match["thought"]:
            found.append(Mark(match.start(), match.end(), Kind.ANSWER_BEGINS, "answer", family))
        elif match.start() <= head:
            found.append(Mark(match.start(), match.end(), Kind.OPENS_THOUGHT, "thought process", family))
    return found


def _classified(text: str, match: re.Match[str]) -> Mark | None:
    """The mark that ``match`` is; None for one that means nothing here."""
    bar, slash, name, more, alone, end_bar = match.groups()
    if alone or more.endswith("/"):
        return None
    if bar and name.lower() == "channel":
        return _channel(text, match)
    square = text[match.start()] == "["
    closes = bool(slash) or (bool(end_bar) and not bar)
    kind, name = _meaning(name, closes, not more.strip() or _ATTRIBUTES.match(more) is not None, square)
    return None if kind is None else Mark(match.start(), match.end(), kind, name, "tag", square)


@lru_cache(maxsize=512)
def _meaning(name: str, closes: bool, bare: bool, square: bool) -> tuple[Kind | None, str]:
    """What a mark of this name means, and the name without what says that something begins or ends there.

    ``bare``: nothing but attributes stands beside the name.
    """
    name = name.lower()
    begins = False
    if ends := _ENDS.fullmatch(name):
        name, closes = ends["name"] or ends["other"], True
    elif start := _BEGINS.fullmatch(name):
        name, begins = start["name"] or start["other"], True
    return _kind(name, closes=closes, begins=begins, bare=bare, square=square), name


def _channel(text: str, match: re.Match[str]) -> Mark | None:
    behind = _CHANNEL.match(text, match.end())
    if behind is None:
        return None
    final = behind["word"].lower() in ("final", "answer", "response", "output")
    kind = Kind.ANSWER_BEGINS if final else Kind.OPENS_THOUGHT
    return Mark(match.start(), behind.end(), kind, "channel", "harmony")


def _kind(name: str, *, closes: bool, begins: bool, bare: bool, square: bool) -> Kind | None:
    if name == "channel" and closes:
        return Kind.CLOSES_THOUGHT
    if _THINKING.search(name) and (bare or not square):
        return Kind.CLOSES_THOUGHT if closes else Kind.OPENS_THOUGHT
    if name == "end":
        return Kind.MESSAGE_END
    if name in _ANSWER and not closes:
        return Kind.ANSWER_BEGINS if begins else Kind.ANSWER_TAG
    if not bare or _PLAIN.fullmatch(name) or _OF_ANSWERS.search(name):
        return None
    return Kind.CLOSES_UNKNOWN if closes else Kind.OPENS_UNKNOWN
