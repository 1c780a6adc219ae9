"""What is said once before the first request: where requests go, and on whose word."""

from __future__ import annotations

import logging

from llm_integration.config.origin import Origin
from llm_integration.http_client import Proxy

__all__ = ["announce"]

logger = logging.getLogger(__name__)


def announce(base_url: str, origin: Origin, *, proxy: Proxy | None, with_key: bool) -> None:
    """One line at INFO; a warning if the address may not be meant by whoever gave the key."""
    through = "" if proxy is None else f", through the proxy {proxy.name}"
    without = "" if with_key else ", without a key"
    logger.info("requests go to %s (%s)%s%s", base_url, origin.address_from, through, without)
    if origin.suspicious and with_key:
        logger.warning(
            "the address %s comes from a .env file in the working folder, the key from the environment;"
            " if you did not write that file, stop and replace the key",
            base_url,
        )
