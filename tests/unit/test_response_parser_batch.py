"""Replies about several signals, against the corpus and against the contract."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llm_integration.domain import ParseMethod
from llm_integration.response_parser import BatchReading, Expected, LLMResponseParser, ParsedResponse

CORPUS = Path(__file__).parent.parent / "data" / "batch_corpus.jsonl"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in CORPUS.read_text(encoding="ascii").splitlines()]
PARSER = LLMResponseParser()


def read(row: dict[str, Any]) -> BatchReading:
    return PARSER.parse_batch(row["text"], [Expected(*signal) for signal in row["expected"]])


def told(row: dict[str, Any], reading: BatchReading) -> dict[str, Any]:
    """What of ``reading`` the row says something about, in the row's own form."""
    told: dict[str, Any] = {
        "ratings": {label: response.rating for label, response in reading.readings.items()},
        "missing": list(reading.missing),
        "duplicated": list(reading.duplicated),
        "unknown": list(reading.unknown),
        "unrated": list(reading.unrated),
        "choppiness": {label: response.choppiness for label, response in reading.readings.items()},
        "method": str(reading.method),
        "warning": row.get("warning")
        if row.get("warning", "") in " ".join(reading.warnings)
        else reading.warnings,
    }
    return {key: told[key] for key in told if key in row}


@pytest.mark.parametrize("name", sorted({row["class"] for row in ROWS}))
def test_corpus(name: str) -> None:
    """Each signal of every reply of the corpus is right, unrated or asked about again."""
    wrong = []
    for row in ROWS:
        if row["class"] == name:
            expected = {key: row[key] for key in row if key not in ("class", "text", "expected")}
            found = told(row, read(row))
            if found != expected:
                wrong.append((row["text"][:1_500], expected, found))
    assert wrong == []


def test_corpus_is_broad() -> None:
    """The corpus has more than 300 different replies in every class of failure that a batch can have."""
    assert len({(row["text"], len(row["expected"])) for row in ROWS}) == len(ROWS) > 300
    assert len(Counter(row["class"] for row in ROWS)) >= 28
    assert sum(bool(row["missing"]) for row in ROWS) > 150
    assert sum(bool(row["duplicated"]) for row in ROWS) > 10


@pytest.mark.parametrize("name", sorted({row["class"] for row in ROWS}))
def test_every_label_is_in_one_place(name: str) -> None:
    """Each expected label is read, missing or duplicated; none is in two places or in none."""
    for row in ROWS:
        if row["class"] == name:
            places = [*row["ratings"], *row["missing"], *row["duplicated"]]
            assert sorted(places) == sorted(label for label, _, _ in row["expected"])


ONE = Expected("xmkfgp", "EURUSD", "BUY")
TWO = Expected("r8rk72", "GBPUSD", "SELL")
ENTRY = {"id": "xmkfgp", "rating": 4, "choppiness": "no", "analysis": "Fine.", "recommendations": "Enter."}


def batch(*entries: object) -> str:
    return json.dumps({"signals": entries})


def test_full_reading() -> None:
    """A well-formed entry is read completely, and the reading cannot be changed."""
    reading = PARSER.parse_batch(batch(ENTRY), [ONE])
    response = ParsedResponse(4, "no", "Fine.", "Enter.", ParseMethod.JSON, ())
    assert reading == BatchReading({"xmkfgp": response}, (), (), (), (), ParseMethod.JSON, ())
    with pytest.raises(dataclasses.FrozenInstanceError):
        reading.missing = ()  # type: ignore[misc]  # the point of the test
    with pytest.raises(TypeError):
        reading.readings["r8rk72"] = response  # type: ignore[index]  # the point of the test


@pytest.mark.parametrize("value", [None, 4, b"{}", ENTRY, "", " \n", "\x00"])
def test_anything_but_text_has_everything_missing(value: Any) -> None:
    """None, other types and blanks are an empty reply, not an error."""
    reading = PARSER.parse_batch(value, [ONE, TWO])
    assert (dict(reading.readings), reading.missing) == ({}, ("xmkfgp", "r8rk72"))
    assert (reading.method, reading.warnings) == (ParseMethod.NONE, ("the reply is empty",))


def test_nobody_expected() -> None:
    """Without an expected signal every id is unknown."""
    reading = PARSER.parse_batch(batch(ENTRY), [])
    assert (dict(reading.readings), reading.missing, reading.unknown) == ({}, (), ("xmkfgp",))


@pytest.mark.parametrize("label", ["xmkfgp", "XMKFGP", " xmkfgp "])
def test_labels_that_only_differ_in_case_are_missing(label: str) -> None:
    """Of two signals whose labels nobody can tell apart neither gets a reading."""
    reading = PARSER.parse_batch(batch(ENTRY), [ONE, Expected(label, "EURUSD")])
    assert (dict(reading.readings), set(reading.missing)) == ({}, {"xmkfgp", label})


def test_empty_label_is_missing() -> None:
    """A signal without a label cannot be answered, not even by an entry without an id."""
    entries = batch(ENTRY | {"id": ""}, {"rating": 5, "choppiness": "no"})
    assert not PARSER.parse_batch(entries, [Expected("", "EURUSD"), ONE]).readings


def test_labels_of_other_makes_are_found() -> None:
    """Labels may have digits only or be in another script; then they must be written exactly alike."""
    expected = [Expected("234567", ""), Expected("сигнал", ""), Expected("Ab-C 1", "")]
    entries = [ENTRY | {"id": label} for label in (234567, "сигнал", "ab-c 1")]
    assert PARSER.parse_batch(batch(*entries), expected).missing == ()
    other = [ENTRY | {"id": label} for label in (34567, "СИГНАЛ", "abc1")]
    assert len(PARSER.parse_batch(batch(*other), expected).missing) == 3


def test_worst_layer_is_named() -> None:
    """Each reading names its own layer, and the whole the least trustworthy of them."""
    text = f"{json.dumps(ENTRY)}\n{json.dumps(ENTRY | {'id': 'r8rk72'})[:-1]},}}"
    reading = PARSER.parse_batch(text, [ONE, TWO])
    methods = {label: response.method for label, response in reading.readings.items()}
    assert methods == {"xmkfgp": ParseMethod.EMBEDDED_JSON, "r8rk72": ParseMethod.REPAIRED_JSON}
    assert reading.method is ParseMethod.REPAIRED_JSON


def test_unrated_entries_are_named_with_their_reason() -> None:
    """An entry without a usable rating is an answer, flagged so that the caller may ask again."""
    reading = PARSER.parse_batch(batch(ENTRY | {"rating": 7}), [ONE])
    assert (reading.unrated, reading.missing) == (("xmkfgp",), ())
    assert reading.readings["xmkfgp"].analysis == "Fine."
    assert "not an integer from 1 to 5" in reading.readings["xmkfgp"].warnings[0]


def test_symbols_that_differ_in_punctuation_only_are_kept_apart() -> None:
    """An echo that is exactly another signal's symbol contradicts, however alike the two are."""
    expected = [Expected("xmkfgp", "BRK.A"), Expected("r8rk72", "BRKA")]
    swapped = batch(ENTRY | {"symbol": "brka"}, ENTRY | {"id": "r8rk72", "symbol": "BRK.A"})
    assert PARSER.parse_batch(swapped, expected).missing == ("xmkfgp", "r8rk72")
    assert PARSER.parse_batch(batch(ENTRY | {"symbol": "BRK/A"}), expected).missing == ("r8rk72",)


@pytest.mark.parametrize(
    ("symbol", "echo", "same"), [("0700", 700, True), ("0700", 7, False), ("", "ES", True)]
)
def test_symbols_of_digits(symbol: str, echo: object, same: bool) -> None:
    """A symbol of digits may come back as a number; a signal without one contradicts nothing."""
    reading = PARSER.parse_batch(batch(ENTRY | {"symbol": echo}), [Expected("xmkfgp", symbol), TWO])
    assert ("xmkfgp" in reading.readings) == same


def test_lists_are_bounded() -> None:
    """However many ids and faults a reply has, what is listed stays short and printable."""
    entries = [ENTRY | {"id": f"\x1b[2J{number}" + "q" * 90} for number in range(120)]
    signals = [Expected(f"label{number}", "X") for number in range(100)]
    wrong = [ENTRY | {"id": signal.label, "symbol": "Y"} for signal in signals[:60]]
    reading = PARSER.parse_batch(batch(*entries, *wrong), signals)
    assert len(reading.unknown) == 100
    assert all(name.isascii() and name.isprintable() and len(name) <= 40 for name in reading.unknown)
    assert 20 <= len(reading.warnings) <= 25


SAME = [Expected("xmkfgp", "EURUSD"), Expected("r8rk72", "EURUSD")]
"""Two signals that only their labels tell apart."""


def test_lost_quote_does_not_hand_a_rating_to_the_neighbour() -> None:
    """An object that a lost quote made of two entries gives neither of them a rating."""
    text = '{"signals": [{"rating": 4, "id": "xmkfgp}, {"choppiness": "no", "id": "r8rk72"}]}'
    assert PARSER.parse_batch(text, SAME).missing == ("xmkfgp", "r8rk72")


def test_object_in_a_broken_text_is_not_an_entry() -> None:
    """What is quoted in another way than the reply comes from one of its texts."""
    text = '{"signals": [{"id": "xmkfgp", "analysis": x}, {\'id\': \'r8rk72\', \'rating\': 1}, {"}]}'
    assert "r8rk72" in PARSER.parse_batch(text, SAME).missing


def test_neighbour_under_its_label_is_not_swallowed() -> None:
    """An entry that a lost quote let run into the next label gets nothing from there."""
    text = '{"xmkfgp": {"choppiness": "no, "y": 5}, "r8rk72": {"analysis": "x", "rating": 1}}'
    assert "xmkfgp" in PARSER.parse_batch(text, SAME).missing


def test_object_behind_remains_is_not_an_entry() -> None:
    """Behind the remains of an entry only plain JSON counts."""
    text = """{}"id": "xmkfgp", "rating": 2, "analysis": "{'id': 'r8rk72', 'rating': 1}"}"""
    assert "r8rk72" in PARSER.parse_batch(text, SAME).missing


def test_cut_entry_says_so() -> None:
    """The entry at which a reply breaks off is missing, and the warning says why."""
    reading = PARSER.parse_batch(batch(ENTRY)[:-20], [ONE])
    assert reading.warnings == ("'xmkfgp': its entry is not used: it was cut off",)
