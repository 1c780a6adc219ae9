"""``python -m llm_integration.simulator``: the simulator on a port, for trying things out by hand."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from llm_integration.simulator.faults import BATCH_FAULTS, FAULTS, Fault
from llm_integration.simulator.server import SIMULATED_KEY, OpenRouterSimulator

__all__ = ["main"]

EPILOG = """\
examples:
  %(prog)s --port 8080
  %(prog)s --port 8080 --latency 0.2-1.5 --fault rate_limited=0.05 --fault fenced=0.2
  %(prog)s --list-faults

Every answer is simulated: model and provider names begin with "simulated/", and ratings follow a fixed
rule, no model is asked. A single request picks its own fault with the header "X-Simulate: NAME" or with
[[simulate:NAME]] in the prompt.
"""


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage text before it."""

    def error(self, message: str) -> NoReturn:
        """Leave with 2."""
        self.exit(2, f"simulator: {message} (--help explains)\n")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = OneLineParser(
        prog="python -m llm_integration.simulator",
        description="A local stand-in for OpenRouter: no key, no network, no cost.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_port, default=8080, help="port, 0 for a free one (default: %(default)s)")
    add("--seed", type=int, default=0, help="the same seed brings the same faults and delays")
    add("--latency", type=_latency, default=0.0, metavar="SECONDS", help="delay of answers: 0.2 or 0.1-2.5")
    add(
        "--fault",
        type=_chance,
        action="append",
        default=[],
        metavar="NAME=PROB",
        help="let this share of the requests meet a fault, 0.1 for one in ten; may be repeated",
    )
    add(
        "--key",
        action="append",
        metavar="KEY",
        help=f"accepted API key, repeatable (default: {SIMULATED_KEY})",
    )
    add("--any-key", action="store_true", help="accept any API key that is not empty")
    add("--credit", type=float, default=1_000_000, metavar="USD", help="balance of each key")
    add("--list-faults", action="store_true", help="print every fault with its meaning, and leave")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port between 0 and 65535")
    return int(text)


def _latency(text: str) -> float | tuple[float, float]:
    low, dash, high = text.partition("-")
    try:
        return (float(low), float(high)) if dash else float(low)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither seconds nor a range like 0.1-2.5") from None


def _chance(text: str) -> tuple[str, float]:
    name, equals, chance = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PROB, for example rate_limited=0.1")
    try:
        Fault.parse(name)
        return name, float(chance)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


async def serve(simulator: OpenRouterSimulator, host: str, port: int, key: str) -> None:
    """Serve until SIGINT or SIGTERM."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopping.set)
    await simulator.start(host, port)
    try:
        _say(
            f"Simulated OpenRouter at {simulator.base_url} (Ctrl-C stops it). Point the sidecar at it with:\n"
            f"  export OPENROUTER_BASE_URL={simulator.base_url}\n"
            f"  export OPENROUTER_API_KEY={key}"
        )
        await stopping.wait()
    finally:
        await simulator.stop()
    _say(f"Stopped after {simulator.counters['chat_requests']} chat requests.")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def list_faults() -> str:
    """The fault table, a line each: name, what a client must make of it, description, parameters."""
    faults = {**FAULTS, **BATCH_FAULTS}
    width = max(map(len, faults))
    return "\n".join(
        f"{info.name:<{width}}  {info.kind:<10}  {info.description}"
        + "".join(f" [{key}={value}]" for key, value in info.defaults.items() if value is not None)
        for info in faults.values()
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when stopped cleanly, 2 for usage errors and a port that is taken."""
    parser = build_parser()
    options = parser.parse_args(argv)
    if options.list_faults:
        _say(list_faults())
        return 0
    keys = frozenset(options.key or (SIMULATED_KEY,))
    try:
        simulator = OpenRouterSimulator(
            seed=options.seed,
            latency_seconds=options.latency,
            keys=None if options.any_key else keys,
            faults=dict(options.fault),
            credit_usd=options.credit,
        )
        asyncio.run(serve(simulator, options.host, options.port, min(keys)))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
