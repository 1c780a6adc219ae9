"""Properties: of two ratings in one reply the earlier one never counts, whatever marks it wears."""

from __future__ import annotations

import json
import string
from dataclasses import dataclass
from typing import Final

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llm_integration.domain import ParseMethod
from llm_integration.response_parser import LLMResponseParser

PARSER = LLMResponseParser()

KNOWN: Final = (
    ("<think>", "</think>"),
    ('<think type="deep">', "</think>"),
    ("<Thinking>\n", "\n</Thinking>\n"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("&amp;lt;think&amp;gt;", "&amp;lt;/think&amp;gt;"),
    ("\\u003cthink\\u003e", "\\u003c/think\\u003e"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("analysis", "assistantfinal"),
    ("Here is my thought process:\n", "\nHere is my response:\n"),
    ("<think>", "</think>\n<response>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<reasoning effort='low'>", "</reasoning>"),
)
"""Marks of thinking that models are known to use."""
HEADINGS: Final = (
    ("Thinking Process:\n\n1. ", "\n\n"),
    ("**Thoughts**\n", "\n\n**Answer**\n"),
    ("<!-- ", " -->"),
    ("%%muse%%", "%%/muse%%"),
    ("~~~~ notes\n", "\n~~~~\n"),
    ("(thinking aloud: ", ")\n"),
    ("", "\n\n---\n\n"),
    ("", ""),
)
"""What no rule knows as a mark."""
BETWEEN: Final = (
    "",
    " ",
    "\n\n",
    " But wait.",
    "\nThe trend is strong, so better.\n",
    " Looking again: ",
    "\n- ",
)
AFTER: Final = ("", "\n", "\nHope this helps!", "\nLet me know.")


def full(rating: int) -> str:
    return json.dumps(
        {"rating": rating, "choppiness": "no", "analysis": "Trend is up.", "recommendations": "Enter."}
    )


JSON_SHAPES: Final = ("%J", "```json\n%J\n```", '{"rating": %d}')
"""Shapes that may count at the beginning of a reply that was cut."""
SHAPES: Final = (
    *JSON_SHAPES,
    "Draft: %J",
    "[%J]",
    '{"result": %J}',
    "{'rating': %d, 'choppiness': 'no'}",
    "{rating: %d, choppiness: no}",
    "Rating: %d",
    "**Rating:** %d/5\n**Choppiness:** no",
    "My rating is %d.",
    "I rate this signal %d out of 5.",
    "I give it a %d.",
    "Score: %d/5",
    "| Rating | %d |",
)
UNREAD: Final = (
    "Final answer: %d",
    "So %d/5.",
    "I change it to %d.",
    "\n%d",
    "My final verdict is %d out of 5",
)
"""Second thoughts that are too loose to be read as a rating."""
WORDS: Final = {1: "I would avoid this trade.", 5: "This is an excellent setup."}
names = st.text(alphabet=string.ascii_lowercase, min_size=3, max_size=9)


@st.composite
def marks(draw: st.DrawFn) -> tuple[str, str]:
    """A pair that wraps thoughts: known, unknown to every rule, or of a name made up here."""
    name = draw(names)
    invented = (
        (f"<{name}>", f"</{name}>"),
        (f'<{name} mode="x">', f"</{name}>"),
        (f"[{name.upper()}]", f"[/{name.upper()}]"),
        (f"<|{name}|>", f"<|/{name}|>"),
        (f"<|{name}_start|>", f"<|{name}_end|>"),
        (f"<|begin_of_{name}|>", f"<|end_of_{name}|>"),
        (f"&lt;{name}&gt;", f"&lt;/{name}&gt;"),
        (f"《{name}》", f"《/{name}》"),
        (f"{{{{{name}}}}}", f"{{{{/{name}}}}}"),
        (f"<|{name}>", f"<{name}|>"),
        ("", f"</{name}>"),
    )
    return draw(st.sampled_from((*KNOWN, *HEADINGS, *invented)))


@dataclass(frozen=True)
class Revised:
    """A reply with a draft that rates ``a`` and a final reading that rates ``b``."""

    a: int
    b: int
    head: str
    between: str
    shape: str
    tail: str
    wrapped: tuple[str, str]

    @property
    def text(self) -> str:
        return self.head + self.between + self.tail


def shaped(shape: str, rating: int) -> str:
    return shape.replace("%J", full(rating)).replace("%d", str(rating))


@st.composite
def revised(draw: st.DrawFn) -> Revised:
    """A draft in any shape and marks, some text, then a final reading in any shape."""
    a, b = draw(st.permutations(range(1, 6)))[:2]
    opening, closing = wrapped = draw(marks())
    before = draw(st.sampled_from(("", "First impression: ", "Let me see. ", "Hm.\n")))
    draft = draw(st.sampled_from(SHAPES))
    head = f"{opening}{before}{shaped(draft, a)}{draw(st.sampled_from(BETWEEN))}{closing}"
    kinds = [*SHAPES, *UNREAD]
    if b in WORDS and abs(a - b) > 1:  # beside a number near its end of the scale a word is no second rating
        kinds.append(WORDS[b])
    shape = draw(st.sampled_from(kinds))
    tail = shaped(shape, b)
    if draw(st.booleans()):
        name = draw(names)
        tail = draw(st.sampled_from((f"<answer>{tail}</answer>", f"<{name}>{tail}</{name}>", tail)))
    tail += draw(st.sampled_from(AFTER))
    return Revised(a, b, head, draw(st.sampled_from(BETWEEN)), shape, tail, wrapped)


@given(revised())
@settings(max_examples=1_000, deadline=None)
def test_no_reply_with_two_ratings_is_rated_by_the_earlier_one(reply: Revised) -> None:
    """The final reading counts, or none does."""
    response = PARSER.parse(reply.text, "stop")
    assert response.rating in (reply.b, None)
    assert response.rating is not None or response.warnings


@given(revised(), st.data())
@settings(max_examples=1_000, deadline=None)
def test_a_cut_reply_is_never_rated_by_its_draft(reply: Revised, data: st.DataObject) -> None:
    """Wherever the end is missing, no draft counts, and an answer only as far as the rule goes."""
    text = reply.text
    cut = text[: data.draw(st.integers(len(reply.head), len(text)))]
    behind = cut[len(reply.head) :].strip("` \n")
    assume(behind or reply.wrapped != ("", ""))  # else what was cut is nothing but the draft itself
    rating = PARSER.parse(cut, "length").rating
    assert rating in (reply.b, None)
    if rating == reply.b:
        assert reply.wrapped in KNOWN or not reply.wrapped[0]
        assert not reply.between.strip() or reply.wrapped[1].endswith(":\n")
        assert reply.shape in (*JSON_SHAPES, *SHAPES[5:8])


@given(
    st.sampled_from(KNOWN),
    st.lists(st.sampled_from([*(shaped(shape, 2) for shape in SHAPES), "hm ", "{", '"', "}\n", "` "])),
    st.sampled_from(JSON_SHAPES),
    st.integers(1, 5),
    st.sampled_from([None, "stop", "length"]),
)
@settings(max_examples=500, deadline=None)
def test_a_thought_before_a_complete_answer_changes_nothing(
    pair: tuple[str, str], thoughts: list[str], shape: str, rating: int, finish: str | None
) -> None:
    """Whatever stands in the thought, the object behind it is read as if it stood alone."""
    text = f"{pair[0]}Well, {' '.join(thoughts)} so.{pair[1]}{shaped(shape, rating)}"
    assert PARSER.parse(text, finish).rating == rating


@given(names, st.lists(st.sampled_from(SHAPES), max_size=3), st.integers(1, 5))
@settings(deadline=None)
def test_a_strange_mark_before_an_object_that_ends_the_reply_changes_nothing(
    name: str, drafts: list[str], rating: int
) -> None:
    """Nobody needs to know the mark for the object to be the final answer."""
    text = f"<{name}>{' '.join(shaped(draft, 2) for draft in drafts)}</{name}>\n{full(rating)}"
    assert PARSER.parse(text, "stop").rating == rating


@given(st.sampled_from(KNOWN), st.sampled_from(SHAPES), st.integers(1, 5))
@settings(deadline=None)
def test_a_thought_that_is_never_closed_is_never_the_answer(
    pair: tuple[str, str], shape: str, rating: int
) -> None:
    """One reading only, inside a draft that the reply never leaves: unrated."""
    text = f"{pair[0]}Well, {shaped(shape, rating)}"
    for finish in ("stop", "length", None):
        assert PARSER.parse(text, finish).rating is None


@given(st.text(), st.text(max_size=30) | st.sampled_from(["length", "MAX_TOKENS", "stop"]))
@settings(deadline=None)
def test_no_finish_reason_raises(text: str, finish: str) -> None:
    """Any word may come as the finish reason."""
    assert isinstance(PARSER.parse(text, finish).method, ParseMethod)


BOTH: Final = (
    '{"rating": %d, "choppiness": "%c"}',
    '```json\n{"rating": %d, "choppiness": "%c"}\n```',
    "{'rating': %d, 'choppiness': '%c'}",
    "Rating: %d\nChoppiness: %c",
    "Choppiness: %c. My rating is %d.",
    "| Rating | %d |\n| Choppiness | %c |",
    "<rating>%d</rating><choppiness>%c</choppiness>",
)
both = st.sampled_from(BOTH)


@given(marks(), both, both, st.integers(1, 5), st.integers(1, 5), st.sampled_from(["yes", "no"]))
@settings(max_examples=1_000, deadline=None)
def test_choppiness_is_never_that_of_the_draft(
    pair: tuple[str, str], draft: str, final: str, a: int, b: int, verdict: str
) -> None:
    """Rating and choppiness are weighed each on its own: the later one counts, or none does."""
    other = {"yes": "no", "no": "yes"}[verdict]
    head = draft.replace("%d", str(a)).replace("%c", other)
    tail = final.replace("%d", str(b)).replace("%c", verdict)
    response = PARSER.parse(f"{pair[0]}First a look. {head}\nBut no.{pair[1]}\n{tail}")
    assert response.choppiness in (verdict, None)
    assert response.rating in (b, None)


@given(st.sampled_from(KNOWN), st.sampled_from(KNOWN), st.integers(1, 5), st.sampled_from([None, "length"]))
@settings(deadline=None)
def test_marks_in_the_texts_of_an_answer_are_text(
    pair: tuple[str, str], lure: tuple[str, str], rating: int, finish: str | None
) -> None:
    """A thought before an answer whose own texts speak of marks changes nothing."""
    answer = json.dumps(
        {"analysis": f"{lure[0]}Rating: 1{lure[1]} {lure[1]} Rating: 5 {lure[0]}", "rating": rating}
    )
    assert PARSER.parse(f"{pair[0]}Well, a {{2}}, so.{pair[1]}\n{answer}", finish).rating == rating
