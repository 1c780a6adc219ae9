"""LLMResponseParser against the corpus and against its contract."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llm_integration.domain import ParseMethod
from llm_integration.response_parser import LLMResponseParser, ParsedResponse

CORPUS = Path(__file__).parent.parent / "data" / "parser_corpus.jsonl"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in CORPUS.read_text(encoding="ascii").splitlines()]
PARSER = LLMResponseParser()
VALID = '{"rating": 4, "choppiness": "no", "analysis": "Fine.", "recommendations": "Enter."}'


def of_class(name: str) -> Sequence[dict[str, Any]]:
    return [row for row in ROWS if row["class"] == name]


@pytest.mark.parametrize("name", sorted({row["class"] for row in ROWS}))
def test_corpus(name: str) -> None:
    """Every reply of the corpus is read as a careful person would read it, or not at all."""
    wrong = []
    for row in of_class(name):
        response = PARSER.parse(row["text"])
        expected = (row["rating"], row["choppiness"], row.get("method", response.method))
        if (response.rating, response.choppiness, response.method) != expected:
            wrong.append((row["text"][:200], expected, response))
    assert wrong == []


def test_corpus_is_broad() -> None:
    """The corpus has more than 250 different replies in every class of broken JSON, most of them traps."""
    classes = Counter(row["class"] for row in ROWS)
    assert len({row["text"] for row in ROWS}) == len(ROWS) > 250
    assert len(classes) >= 30
    assert sum(row["rating"] is None for row in ROWS) > 200


@pytest.mark.parametrize("row", [row for row in ROWS if row["rating"] is None], ids=lambda row: row["class"])
def test_unrated_says_why(row: dict[str, Any]) -> None:
    """An unrated reply carries at least one short, printable warning."""
    warnings = PARSER.parse(row["text"]).warnings
    assert warnings
    assert all(warning.isascii() and warning.isprintable() and len(warning) < 120 for warning in warnings)


def test_full_reading() -> None:
    """A well-formed reply is read completely and without a warning."""
    assert PARSER.parse(VALID) == ParsedResponse(4, "no", "Fine.", "Enter.", ParseMethod.JSON, ())


def test_response_is_frozen() -> None:
    """A reading cannot be changed after the fact."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        PARSER.parse(VALID).rating = 5  # type: ignore[misc]  # the point of the test


def test_list_of_recommendations_becomes_lines() -> None:
    """Recommendations given as a list are joined with line breaks."""
    text = '{"rating": 4, "recommendations": ["Enter.", 2, null, {"stop": "1.08"}]}'
    assert PARSER.parse(text).recommendations == "Enter.\n2\nstop: 1.08"


def test_broken_strings_are_decoded() -> None:
    """Escapes in a repaired object are decoded, illegal ones keep their letters."""
    text = '{"rating": 4, "analysis": "a\\n\\u00e9 \\ud83d\\ude00 \\$5 \\alpha",}'
    assert PARSER.parse(text).analysis == "a\né 😀 $5 \\alpha"


def test_prose_reply_is_kept_as_analysis() -> None:
    """A verdict in prose comes with the prose as its analysis."""
    response = PARSER.parse("<think>no</think>Rating: 4/5\nThe trend holds.")
    assert response.analysis == "Rating: 4/5\nThe trend holds."
    assert response.method is ParseMethod.REGEX


def test_texts_are_capped() -> None:
    """No text that is handed on is longer than 10,000 characters."""
    for text in ('{"rating": 4, "analysis": "%s"}', '{"rating": 4, "analysis": "%s",}', "Rating: 4\n%s"):
        analysis = PARSER.parse(text % ("x " * 20_000)).analysis
        assert analysis is not None
        assert 9_900 < len(analysis) <= 10_000


def test_warning_shows_little_of_a_value() -> None:
    """A warning shows at most 40 characters of the offending value."""
    (warning,) = PARSER.parse(json.dumps({"rating": "\x1b[2J" * 500})).warnings
    assert warning.startswith("rating is not an integer from 1 to 5: '\\x1b[2J")
    assert len(warning) <= len("rating is not an integer from 1 to 5: ") + 40


@pytest.mark.parametrize("value", [None, 4, b'{"rating": 4}', {"rating": 4}])
def test_anything_but_text_is_unrated(value: Any) -> None:
    """None and other types are an empty reply, not an error."""
    assert PARSER.parse(value).method is ParseMethod.NONE
    assert PARSER.extract_json_data(value) is None


def test_unrated_object_still_gives_its_texts() -> None:
    """An unusable rating does not cost the rest of the object."""
    response = PARSER.parse('{"rating": 85, "choppiness": "yes", "analysis": "Sideways."}')
    assert (response.rating, response.choppiness, response.analysis) == (None, "yes", "Sideways.")


class TestTooLong:
    """Replies above ``max_chars``: head and tail are read, the seam never joins them."""

    def test_object_at_the_head(self) -> None:
        """An object before a loop is read, with a warning."""
        response = PARSER.parse(VALID + "x" * 10_000_000)
        assert response.rating == 4
        assert "cut" in response.warnings[0]

    def test_object_at_the_tail(self) -> None:
        """An object behind a very long draft is read."""
        assert PARSER.parse("<think>" + "hm " * 500_000 + "</think>" + VALID).rating == 4

    def test_object_across_the_seam(self) -> None:
        """An object that is longer than the limit keeps what both halves agree on."""
        text = f'{{"rating": 4, "analysis": "{"a" * 3_000}", "choppiness": "no"}}'
        response = LLMResponseParser(max_chars=1_000).parse(text)
        assert (response.rating, response.choppiness) == (4, "no")

    @pytest.mark.parametrize("size", range(1, 60))
    def test_nothing_is_made_up_at_the_seam(self, size: int) -> None:
        """Wherever the cut falls, no rating appears that the whole reply does not give."""
        for text in (
            '{"rating": 10, "x": 5}',
            "Rating: 1,000 5",
            '{"rating": "abc", "y": 3}' * 3,
            "Rating: 45/100",
        ):
            assert LLMResponseParser(max_chars=size).parse(text).rating is None

    def test_limit_must_be_positive(self) -> None:
        """A limit below one is refused."""
        with pytest.raises(ValueError, match="max_chars"):
            LLMResponseParser(max_chars=0)


class TestExtract:
    """``extract_json_data``: the object as the model wrote it."""

    def test_plain(self) -> None:
        """The object of a plain reply comes back as it is."""
        data = LLMResponseParser().extract_json_data('{"rating": 3, "choppiness": "no"}')
        assert data == {"rating": 3, "choppiness": "no"}

    @pytest.mark.parametrize(
        "text",
        [
            "```json\n%s\n```",
            "Here: %s bye",
            '{"result": %s}',
            "[%s]",
            '{"a": 1} %s',
            '%s {"a": 1}',
            "<think>{}</think>%s",
        ],
    )
    def test_wrapped(self, text: str) -> None:
        """The object that answers is found behind fences, prose and wrappers."""
        assert PARSER.extract_json_data(text % VALID) == json.loads(VALID)

    def test_repaired(self) -> None:
        """A broken object comes back with the values that could be read."""
        assert PARSER.extract_json_data("{rating: 3, 'x': [1, True, None,],}") == {
            "rating": 3,
            "x": [1, True, None],
        }

    def test_disputed_key_has_no_value(self) -> None:
        """A key given twice with different values is left out."""
        assert PARSER.extract_json_data('{"rating": 3, "rating": 4, "a": 1, "a": 1}') == {"a": 1}

    def test_unrelated_object(self) -> None:
        """Without an answer the last object is better than nothing."""
        assert PARSER.extract_json_data('{"a": 1}') == {"a": 1}

    @pytest.mark.parametrize("text", ["", "no object", "[1, 2]", "4", "{", "{}x", '"a"', "<think>" * 9_000])
    def test_none(self, text: str) -> None:
        """Text without an object gives None."""
        assert PARSER.extract_json_data(text) is None
