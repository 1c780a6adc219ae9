"""What is known beforehand of servers that speak chat completions: a row for each kind.

What a server refuses of a request nobody has to know: it is learnt (``dialect.py``).
"""

from __future__ import annotations

from llm_integration.calls import Profile

__all__ = ["COMPATIBLE", "OPENROUTER"]

OPENROUTER = Profile("openrouter", needs_key=True, tells_of_keys=True, lists_all=True, shipped_list=True)
COMPATIBLE = Profile("compatible")
"""Any other server: Ollama, vLLM, llama.cpp, a gateway, a vendor's own address."""
