"""The ledger names a key without containing it."""

from __future__ import annotations

from llm_integration.budget import key_fingerprint

URL = "https://openrouter.ai/api/v1"


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
