"""How this library speaks HTTP as a client: bounds below the parser, the user's proxies, plain messages.

    guarded.py   what one connection may send: bytes, lines, reads, interim answers; long input in slices
    proxies.py   which proxy a request takes; ``.netrc`` is never read
    address.py   what is loopback, and whether a key may go to an address
    faults.py    an exception of aiohttp as one line for people

Calls, the list of models and ``check`` all go through it.
"""

from llm_integration.http_client.address import is_loopback, key_objection
from llm_integration.http_client.faults import certificate_fault, describe
from llm_integration.http_client.guarded import ExcessError, GuardedConnector, Limits, open_session
from llm_integration.http_client.proxies import Proxy, proxy_for, proxy_options

__all__ = [
    "ExcessError",
    "GuardedConnector",
    "Limits",
    "Proxy",
    "certificate_fault",
    "describe",
    "is_loopback",
    "key_objection",
    "open_session",
    "proxy_for",
    "proxy_options",
]
