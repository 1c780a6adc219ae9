"""Which addresses stay on this machine, and whether a key may be sent to one. Pure."""

from __future__ import annotations

import ipaddress

from yarl import URL

__all__ = ["is_loopback", "key_objection"]


def is_loopback(url: str | URL) -> bool:
    """Whether ``url`` leads to this machine itself: ``localhost``, 127.0.0.0/8, ``::1``, or "any address"."""
    host = (URL(url).host or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_loopback or address.is_unspecified


def key_objection(base_url: str, *, allowed: bool) -> str | None:
    """Why a key must not be sent to ``base_url``, in one line; None if it may be.

    Over plain ``http`` everybody on the way can read it. ``allowed``: the user wants that.
    """
    url = URL(base_url)
    if url.scheme == "https" or allowed or is_loopback(url):
        return None
    return (
        f"the API key would go unencrypted over http to {url.host}; use an https address, unset the key if"
        " the server needs none, or set allow_plain_http to true"
    )
