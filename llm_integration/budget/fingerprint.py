"""Which key is spent on, without saying the key. Pure."""

from __future__ import annotations

import hashlib
import re

from yarl import URL

__all__ = ["key_fingerprint", "plain_address"]

_HOST = re.compile(r"[0-9A-Za-z._~:%-]+")
_END = re.compile(r"[/\s]+\Z")
_SLASHES = re.compile("/{2,}")


def key_fingerprint(api_key: str | None, base_url: str) -> str:
    """16 hexadecimal digits that are the same wherever the same key is used on the same server.

    However its address is spelled. A key of an API has far too many bits to be found from them. Without a key
    they stand for the server.
    """
    secret = (api_key or "").strip().encode("utf-8", "surrogatepass")
    text = plain_address(base_url).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(secret + b"\0" + text, digest_size=8, person=b"tradent ledger").hexdigest()


def plain_address(base_url: str) -> str:
    """One spelling for all that lead to the same place, as the client itself reads addresses.

    Scheme and host in lower case, the host in ASCII and without the dot of the root, no port that goes
    without saying, no empty or dotted steps in the path, no slash at its end, nothing behind ``#``.
    What is no address of a server stays as it is, but for blanks around it and slashes at its end.
    """
    text = base_url.strip()
    try:
        url = URL(text)
        host, port = (url.raw_host or "").rstrip("."), url.port
    except Exception:  # whatever a foreign reader of addresses raises over a text that is none
        return _END.sub("", text)
    if url.scheme not in ("http", "https") or _HOST.fullmatch(host) is None:
        return _END.sub("", text)
    if ":" in host:
        host = f"[{host}]"
    user = f"{url.raw_authority.rpartition('@')[0]}@" if "@" in url.raw_authority else ""
    place = "" if port is None or url.is_default_port() else f":{port}"
    path = _SLASHES.sub("/", url.raw_path).rstrip("/")
    query = f"?{url.raw_query_string}" if url.raw_query_string else ""
    return f"{url.scheme}://{user}{host}{place}{path}{query}"
