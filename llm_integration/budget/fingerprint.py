"""Which key is spent on, without saying the key. Pure."""

from __future__ import annotations

import hashlib

__all__ = ["key_fingerprint"]


def key_fingerprint(api_key: str | None, base_url: str) -> str:
    """16 hexadecimal digits that are the same wherever the same key is used on the same server.

    A key of an API has far too many bits to be found from them. Without a key they stand for the server.
    """
    secret = (api_key or "").encode("utf-8", "surrogatepass")
    text = base_url.rstrip("/").encode("utf-8", "surrogatepass")
    return hashlib.blake2b(secret + b"\0" + text, digest_size=8, person=b"tradent ledger").hexdigest()
