"""Reading responses as the client has them read, without a client."""

from __future__ import annotations

from llm_integration.calls import Failed, RawReply, Reply
from llm_integration.fairness import at_once
from llm_integration.ports import Provider

__all__ = ["decoded"]


def decoded(provider: Provider, response: RawReply) -> Reply | Failed:
    """What ``provider`` makes of ``response``, be it in steps."""
    outcome = provider.decode(response)
    return outcome if isinstance(outcome, (Reply, Failed)) else at_once(outcome)
