"""The proxy that a request takes, as HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment say.

aiohttp's ``trust_env`` would do the same, and read passwords from ``.netrc`` besides.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from yarl import URL

from llm_integration.errors import ConfigError
from llm_integration.http_client.address import is_loopback

__all__ = ["Proxy", "proxy_for", "proxy_options"]


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy listens and how it is greeted, which ``repr`` does not show.

    ``tunnel``: it passes encrypted requests on unseen, as those to an https address are.
    """

    url: URL
    tunnel: bool
    authorization: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """``host:port``, for messages."""
        return f"{self.url.host}:{self.url.port}"


def proxy_for(base_url: str) -> Proxy | None:
    """The proxy for requests to ``base_url``; None for a direct way, which loopback always takes.

    Raises ConfigError, without showing the value, for a proxy that cannot be used.
    """
    url = URL(base_url)
    proxies = getproxies_environment()
    given = proxies.get(url.scheme)
    if not given or is_loopback(url) or _bypassed(url, proxies):
        return None
    variable = f"{url.scheme.upper()}_PROXY"
    try:
        proxy = URL(given if "://" in given else f"http://{given}")
        port = proxy.port
    except ValueError:
        proxy, port = URL(), None
    if proxy.scheme not in ("http", "https") or not proxy.host or not port:
        kind = f"a {proxy.scheme} proxy" if proxy.host and proxy.scheme else "no address"
        raise ConfigError(f"{variable} names {kind}, which cannot be used; name one as http://host:port")
    authorization = None
    if proxy.user is not None or proxy.password is not None:
        word = f"{proxy.user or ''}:{proxy.password or ''}".encode()
        authorization = f"Basic {base64.b64encode(word).decode()}"
    return Proxy(proxy.with_user(None).origin(), url.scheme == "https", authorization)


def proxy_options(proxy: Proxy | None, headers: Mapping[str, str]) -> dict[str, Any]:
    """What to tell aiohttp for a request with ``headers`` through ``proxy``, None: the direct way.

    The proxy is greeted in the request for a tunnel, or without one in the request itself.
    """
    if proxy is None:
        return {"headers": headers}
    greeting = {} if proxy.authorization is None else {"Proxy-Authorization": proxy.authorization}
    if proxy.tunnel:
        return {"headers": headers, "proxy": proxy.url, "proxy_headers": greeting}
    return {"headers": {**headers, **greeting}, "proxy": proxy.url}


def _bypassed(url: URL, proxies: dict[str, str]) -> bool:
    host = url.host or ""
    return bool(
        proxy_bypass_environment(host, proxies) or proxy_bypass_environment(f"{host}:{url.port}", proxies)
    )
