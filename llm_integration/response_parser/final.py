"""Which of several readings in one reply is the final one, if any is.

An object that ends the reply is final, whatever stands before it. Every other reading counts only if the
rest of the reply gives no other one: a draft may stand anywhere, under any mark or none, and look like an
answer. ``hints_at_another`` also finds numbers that look like a second thought, but are not stated plainly
enough to be read: they are no rating, but a reason to doubt the one that is.
"""

from __future__ import annotations

import re
from typing import Final

from llm_integration.response_parser.fields import WORDS, as_rating
from llm_integration.response_parser.model import lowered
from llm_integration.response_parser.prose import clause

__all__ = ["ends_reply", "hints_at_another"]

_NOTHING_MORE: Final = re.compile(
    r"(?:\s|```|~~~|</?s>|<[|｜][^<>\n]{1,30}[|｜]>"
    r"|</(?:answer|response|final|final_answer|final_response|solution|output|result|json)>)*+",
    re.IGNORECASE,
)
_HEAD_CHARS: Final = 2_000
_TAIL_CHARS: Final = 4_000
_FIRST_NUMBERS: Final = 6
_LAST_NUMBERS: Final = 20
"""Of many numbers those at the two ends are looked at: a last word stands at the end."""
_BEFORE: Final = 120
_AFTER: Final = 60

_SCALE: Final = r"[*_]{0,3}\s{0,2}(?:/|out of|of)\s{0,2}[*_]{0,3}(?P<out_of>5|five|10|ten)\b"
_END: Final = (
    r"[*_`\"'”)\]]{0,4}"
    r"(?=\s{0,3}(?:[^\w\s.,:/%$€£°+–—-]|[.,](?!\d)|[–—-]\s|\n|\Z|(?:because|since|now|instead|stars?|overall"
    r"|and|but|for|with|as|given|then|here)\b))"
)
_DIGITS: Final = re.compile(
    rf"[0-9](?<![\w.,/$€£+–-].)(?<!\d:.)(?:(?P<rest>\d?(?:\.\d)?){_SCALE}|(?<=[1-5])(?:\.0)?(?!\d)){_END}",
    re.ASCII | re.DOTALL,
)
"""1 to 5, or any number on a scale. Begins with a plain set of characters, which the engine finds fast."""
_WORDED: Final = re.compile(rf"\b(?P<number>one|two|three|four|five)(?:{_SCALE})?{_END}", re.ASCII)
_WORD_HINTS: Final = (" one", " two", " three", " four", " five", "*four", "*five")
_LONE: Final = re.compile(
    r"\n[ \t*_`\"'“(=→>#-]{0,12}\b([1-5])(?:\.0)?[ \t*_`\"'”).!]*(?=\n|\Z|</?[a-z|]|\[/|&lt;)"
)
_ITEM: Final = re.compile(r"\A\s{0,8}(?:[*#>-]\s{0,3})?\d{1,2}[.)]\s{1,4}")
_SENTENCE: Final = re.compile(r"[.!?;](?=\s|[a-z])|\n")
_RATING: Final = re.compile(
    r"rating|\b(?:rate[sd]?|score[sd]?|grade[sd]?|verdict|answer|final(?:ly)?|conclu\w{1,6}|assess\w{0,6}|stars?"
    r"|settle\w{0,3}|overall|quality|call it|give|deserves|choose|go(?:ing)? with)\b"
)
_CHANGE: Final = re.compile(
    r"\b(?:actually|instead|chang\w{1,4}|revis\w{1,5}|upgrad\w{1,4}|downgrad\w{1,4}|correct\w{0,5}|adjust\w{0,5}"
    r"|make (?:it|that)|wait|reconsider\w{0,4}|reflection|second thoughts?|in fact|rather|now|mistake)\b"
)
_UNMEANT: Final = re.compile(
    r"\b(?:would|could|might|should|maximum|minimum|highest|lowest|previous\w{0,2}|prior|earlier|yesterday|was|were)\b"
)
"""Words in the clause around a number that make it no verdict of now."""
_NAMES: Final = {
    number: re.compile(rf"(?<![\w.,/$€£+–-])(?<!out of )(?<!\d of )(?:{number}|{word})(?!\.?\d|\w)")
    for word, number in WORDS.items()
}
"""Any mention of a rating: a sentence that names the one that counts has other numbers for other things."""
_CONDITION: Final = re.compile(r"\b(?:if|unless|until|scale|means?|examples?|format)\b|[1-5]\s{0,2}=")


def ends_reply(behind: str) -> bool:
    """True when ``behind`` an object nothing follows but blanks, a closing fence or the marks of an end."""
    return _NOTHING_MORE.fullmatch(behind) is not None


def hints_at_another(text: str, rating: int) -> bool:
    """True when ``text`` behind a reading of ``rating`` seems to give another one in a way that is not read.

    Of a long text the beginning and the end are looked at.
    """
    if len(text) > _HEAD_CHARS + _TAIL_CHARS:
        text = f"{text[:_HEAD_CHARS]}\n{text[-_TAIL_CHARS:]}"
    text = f"\n{lowered(text)}"
    if any(int(lone[1]) != rating for lone in _LONE.finditer(text)):
        return True
    numbers = _ends_of(list(_DIGITS.finditer(text)))
    if any(hint in text for hint in _WORD_HINTS):
        numbers += _ends_of(list(_WORDED.finditer(text)))
    return any(_value(match) != rating and _speaks_of_ratings(text, match, rating) for match in numbers)


def _ends_of(numbers: list[re.Match[str]]) -> list[re.Match[str]]:
    if len(numbers) <= _FIRST_NUMBERS + _LAST_NUMBERS:
        return numbers
    return numbers[:_FIRST_NUMBERS] + numbers[-_LAST_NUMBERS:]


def _value(match: re.Match[str]) -> int | None:
    number = match["number"] if match.re is _WORDED else match[0][0] + (match["rest"] or "")
    return as_rating(number, match["out_of"])


def _speaks_of_ratings(text: str, match: re.Match[str], rating: int) -> bool:
    """True when the sentence around a number makes it look like a rating."""
    before = _ITEM.sub("", _SENTENCE.split(text[max(0, match.start() - _BEFORE) : match.start()])[-1])
    after = _SENTENCE.split(text[match.end() : match.end() + _AFTER])[0]
    sentence = f"{before}{match[0]}{after}"
    in_form = match["out_of"] is not None and ("/" in match[0] or "out" in match[0])
    if _CONDITION.search(sentence):
        return False
    if not before.strip(" \t*_#>-"):
        return in_form
    if _CHANGE.search(sentence):
        return True
    if _UNMEANT.search(f"{clause(before)}{match[0]}{after}") or _NAMES[rating].search(sentence):
        return False
    return in_form or _RATING.search(sentence) is not None
