"""A local stand-in for OpenRouter: for the demo, for tests, for benchmarks.

    async with OpenRouterSimulator(seed=1) as simulator:
        simulator.script("ok", "bad_gateway_html", Fault("pad_then_json", pads=5))
        ...  # talk to simulator.base_url with the key SIMULATED_KEY

``FAULTS`` lists everything it can do wrong and what a client must make of it, ``BATCH_FAULTS`` what goes
wrong in replies about several signals; ``rate`` is the rule behind its ratings. From a shell:
``python -m llm_integration.simulator --help``.
"""

from __future__ import annotations

from llm_integration.simulator.batches import BatchReading, reading_of
from llm_integration.simulator.catalogue import Model
from llm_integration.simulator.faults import BATCH_FAULTS, FAULTS, Fault
from llm_integration.simulator.kinds import FaultInfo, Kind
from llm_integration.simulator.request_log import ReceivedRequest
from llm_integration.simulator.rule import Reading, rate
from llm_integration.simulator.server import SIMULATED_KEY, OpenRouterSimulator

__all__ = [
    "BATCH_FAULTS",
    "FAULTS",
    "SIMULATED_KEY",
    "BatchReading",
    "Fault",
    "FaultInfo",
    "Kind",
    "Model",
    "OpenRouterSimulator",
    "Reading",
    "ReceivedRequest",
    "rate",
    "reading_of",
]
