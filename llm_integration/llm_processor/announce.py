"""What is said once before the first request: where requests go, and on whose word."""

from __future__ import annotations

import logging

from pydantic import SecretStr

from llm_integration.config import LLMConfig
from llm_integration.config.origin import address_origin
from llm_integration.http_client import proxy_for

__all__ = ["announce"]

logger = logging.getLogger(__name__)


def announce(config: LLMConfig, key: SecretStr | None) -> None:
    """One line at INFO; a warning if the address may not be meant by whoever gave the key."""
    origin = address_origin(config)
    proxy = proxy_for(config.base_url)
    through = "" if proxy is None else f", through the proxy {proxy.name}"
    without = "" if key is not None else ", without a key"
    logger.info("requests go to %s (%s)%s%s", config.base_url, origin.address_from, through, without)
    if origin.suspicious and key is not None:
        logger.warning(
            "the address %s comes from a .env file in the working folder, the key from the environment;"
            " if you did not write that file, stop and replace the key",
            config.base_url,
        )
