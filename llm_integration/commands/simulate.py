"""``simulate``: the simulator on a port; the same program as ``python -m llm_integration.simulator``."""

from __future__ import annotations

import argparse
import sys

from llm_integration.commands.errors import UsageError
from llm_integration.simulator import SIMULATED_KEY, OpenRouterSimulator
from llm_integration.simulator.__main__ import build_parser, list_faults, serve

__all__ = ["DESCRIPTION", "PARENT", "add_arguments", "run"]

PARENT = build_parser()
DESCRIPTION = f"{PARENT.description}\n\n{(PARENT.epilog or '').replace('%(prog)s', '... simulate')}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing beyond what PARENT declares. See Command."""


async def run(args: argparse.Namespace) -> int:
    """See Command."""
    if args.list_faults:
        sys.stdout.write(list_faults() + "\n")
        return 0
    keys = frozenset(args.key or (SIMULATED_KEY,))
    try:
        simulator = OpenRouterSimulator(
            seed=args.seed,
            latency_seconds=args.latency,
            keys=None if args.any_key else keys,
            faults=dict(args.fault),
            credit_usd=args.credit,
        )
        await serve(simulator, args.host, args.port, min(keys))
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    return 0
