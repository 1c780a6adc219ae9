"""Properties of the parser: it never raises and never makes a rating up."""

from __future__ import annotations

import json
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_integration.domain import ParseMethod
from llm_integration.response_parser import LLMResponseParser, ParsedResponse

PARSER = LLMResponseParser()

PIECES: Final = (
    *"{}[]\":,'\\`<>/#*_ \n\t\x00\u2028“”‘’４5",
    *(
        '"rating"',
        "rating",
        "Rating: ",
        '{"rating": ',
        '"choppiness"',
        "```json\n",
        "```",
        "<think>",
        "</think>",
    ),
    *(
        "yes",
        "no",
        "null",
        "NaN",
        "4",
        "4/5",
        "85",
        "\\u00e9",
        "\\ud83d",
        "\ud800",
        "not ",
        "if ",
        "avoid this trade. ",
    ),
)
soups = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)
anything = st.text() | soups | st.text(alphabet=st.characters())

LURES: Final = (
    'they said {"rating": 5}',
    "see {'rating': 1}, then",
    "Rating: 1/5 was the old idea",
    "rating: 5",
    "Avoid this trade.",
    '```json {"rating": 1} ```',
    "An excellent setup.",
    'and "rating": 1, "x": 5',
    "note: {rating: 5}",
    "line\nrating: 1\n",
    "I rate this 5.",
    "it's 'fine', 'rating': 5",
    "score: 5/5",
    '\\ and " and {',
)
"""Texts that hold another rating than the reply's own."""

WRAPPERS: Final = (
    "%s",
    "Here you are:\n%s",
    "```json\n%s\n```",
    "```json\n%s",
    "%s\nThat is all.",
    "[%s]",
    '{"result": %s}',
)
TAGGED: Final = (
    *("<think>", "</think>", "<think> hm </think>", "</think>{'rating': 5}", "</think> Rating: 1/5"),
    *("<think>{'rating': 1}</think>", '<thinking>{"rating": 1}', "Rating: 5 </think>"),
)
"""Texts with the marks of a draft in them."""
STRUCTURE: Final = (*"{}[]\":,'\\`/#“” \n", '",', '"}', '{"', "```", "null", "text")


@st.composite
def replies(draw: st.DrawFn) -> tuple[int, str]:
    """A valid reply with lures in its texts, and its rating."""
    rating = draw(st.integers(2, 4))
    literal = draw(st.sampled_from([rating, float(rating), str(rating), f"{rating}/5", f"{2 * rating}/10"]))
    texts = st.lists(st.sampled_from(LURES), min_size=1, max_size=2)
    items = {
        "rating": literal,
        "choppiness": draw(st.sampled_from(["yes", "no"])),
        "analysis": " ".join(draw(texts)),
        "recommendations": draw(texts.map(" ".join) | texts),
    }
    keys = draw(st.permutations(list(items)))
    text = json.dumps({key: items[key] for key in keys}, indent=draw(st.sampled_from([None, 1])))
    return rating, draw(st.sampled_from(WRAPPERS)).replace("%s", text)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[int, str]:
    """A reply with one mark of its structure deleted or inserted, or cut off somewhere."""
    rating, text = draw(replies())
    place = draw(st.integers(0, len(text)))
    kind = draw(st.sampled_from(["delete", "insert", "cut"]))
    if kind == "insert":
        return rating, text[:place] + draw(st.sampled_from(STRUCTURE)) + text[place:]
    if kind == "cut":
        return rating, text[:place]
    marks = [index for index, char in enumerate(text) if char in "{}[]\",:\\'\n"]
    place = draw(st.sampled_from(marks))
    return rating, text[:place] + text[place + 1 :]


def check_shape(response: ParsedResponse) -> None:
    assert response.rating is None or (type(response.rating) is int and 1 <= response.rating <= 5)
    assert response.choppiness in ("yes", "no", None)
    assert isinstance(response.method, ParseMethod)
    assert response.rating is not None or response.warnings
    assert len(response.warnings) <= 8


@given(anything)
@settings(max_examples=1_000, deadline=None)
def test_no_text_raises(text: str) -> None:
    """Any text at all gives a reading of the right shape, and the same one every time."""
    response = PARSER.parse(text)
    check_shape(response)
    assert PARSER.parse(text) == response
    data = PARSER.extract_json_data(text)
    assert data is None or isinstance(data, dict)


@given(st.text(alphabet=st.characters(exclude_characters="12345eEaA")))
@settings(deadline=None)
def test_no_rating_without_its_words(text: str) -> None:
    """Text with neither a digit of the scale nor the letters of its words is never rated."""
    assert PARSER.parse(text).rating is None


@given(replies())
@settings(deadline=None)
def test_valid_reply_is_read_whatever_its_texts_say(reply: tuple[int, str]) -> None:
    """The rating of a valid reply is found, fenced, wrapped or in prose, and its texts do not change it."""
    rating, text = reply
    assert PARSER.parse(text).rating == rating


@given(damaged())
@settings(max_examples=500, deadline=None)
def test_damage_never_changes_a_rating(reply: tuple[int, str]) -> None:
    """One lost, added or missing piece of structure may cost the rating but never changes it."""
    rating, text = reply
    assert PARSER.parse(text).rating in (None, rating)


@given(st.data(), replies(), st.sampled_from(TAGGED))
@settings(max_examples=500, deadline=None)
def test_marks_of_drafts_in_a_reply_never_change_its_rating(
    data: st.DataObject, reply: tuple[int, str], tag: str
) -> None:
    """Marks of a draft in the texts of a reply are text, and of a damaged reply at worst its end."""
    rating, text = reply
    text = text.replace('"analysis": "', f'"analysis": "{tag.replace(chr(34), chr(92) + chr(34))} ')
    assert PARSER.parse(text).rating == rating
    place = data.draw(st.integers(0, len(text)))
    if data.draw(st.booleans()):
        text = text[:place] + data.draw(st.sampled_from(STRUCTURE)) + text[place:]
    else:
        text = text[:place] + text[place + 1 :]
    assert PARSER.parse(text).rating in (None, rating)


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=8)
)
def test_only_ratings_are_ratings(value: object) -> None:
    """Of all JSON values only the documented forms of 1 to 5 are accepted as a rating."""
    response = PARSER.parse(json.dumps({"rating": value, "choppiness": "no"}))
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value in (1, 2, 3, 4, 5):
        assert response.rating == value
    elif not isinstance(value, str):
        assert response.rating is None
    assert response.choppiness == "no"


@given(anything, anything)
@settings(deadline=None)
def test_quoted_text_is_not_the_reply(before: str, after: str) -> None:
    """Whatever the texts of a valid object hold, the object's own rating counts."""
    text = json.dumps({"analysis": before, "rating": 3, "recommendations": after}, ensure_ascii=False)
    assert PARSER.parse(text).rating == 3
