"""One OHLCV bar, as every part of the host passes it on: the library's own."""

from llm_integration import Bar

__all__ = ["Bar"]
