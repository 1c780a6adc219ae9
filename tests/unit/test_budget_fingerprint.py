"""The ledger names a key without containing it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_integration.budget import key_fingerprint
from llm_integration.budget.fingerprint import plain_address

URL = "https://openrouter.ai/api/v1"
LINES = (Path(__file__).parent.parent / "data" / "addresses.jsonl").read_text(encoding="utf-8").splitlines()
SPELLINGS = [
    (spelling, case["plain"])
    for case in map(json.loads, LINES)
    for spelling in (case["plain"], *case["spellings"])
]


def test_the_same_key_has_the_same_fingerprint_everywhere() -> None:
    """Processes that share a key share their sums; a trailing slash makes no other server."""
    assert key_fingerprint("sk-or-v1-0123", URL) == key_fingerprint("sk-or-v1-0123", URL + "/")


def test_different_keys_and_servers_differ_and_the_key_is_not_in_it() -> None:
    """Also no key at all, as with a local server."""
    found = {
        key_fingerprint(key, url)
        for key in ("sk-or-v1-0123", "sk-or-v1-0124", None)
        for url in (URL, "http://a")
    }
    assert len(found) == 6
    assert not any("sk-or" in text or "0123" in text for text in found)
    assert {len(text) for text in found} == {16}


@pytest.mark.parametrize(("spelling", "plain"), SPELLINGS)
def test_one_address_has_one_budget_however_it_is_spelled(spelling: str, plain: str) -> None:
    """A key under four spellings of its address had four budgets."""
    assert plain_address(spelling) == plain
    assert key_fingerprint("sk-or-v1-0123", spelling) == key_fingerprint("sk-or-v1-0123", plain)


def test_a_plain_address_has_the_fingerprint_it_always_had() -> None:
    """What was spent before this version is not forgotten by it."""
    old = hashlib.blake2b(b"key\0" + URL.encode(), digest_size=8, person=b"tradent ledger").hexdigest()
    assert key_fingerprint("key", URL) == old


@pytest.mark.parametrize(
    "other",
    [
        "https://openrouter.ai/api/v2", "https://openrouter.ai/API/v1", "https://openrouter.ai:8443/api/v1",
        "http://openrouter.ai/api/v1", "https://openrouter.example/api/v1", "https://openrouter.ai/api/v1?x=1",
        "https://eu.openrouter.ai/api/v1", "https://openrouter.ai/api%2Fv1", "", "openrouter.ai/api/v1",
    ],
)  # fmt: skip
def test_another_place_has_another_budget(other: str) -> None:
    """What a server may tell apart stays apart."""
    assert key_fingerprint("key", other) != key_fingerprint("key", URL)


@given(st.text(max_size=60) | st.text("ht:p/s.[]@#?%&:0a\\\ud800 ", max_size=40).map("http://".__add__))
@example("0:// :")
@example("http:// :/")
@example("http://[]@")
@example("0 /")
def test_any_text_has_a_fingerprint_and_a_plain_address_is_its_own(text: str) -> None:
    """A typing error is refused elsewhere, not here."""
    plain = plain_address(text)
    assert plain_address(plain) == plain
    assert len(key_fingerprint(None, text)) == 16
