"""Everything a run depends on: the command line over the configuration file over the defaults."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_integration import LLMConfig
from llm_integration.bar_files import zone_named
from llm_integration.sidecar import DatabaseConfig, HostSession, SettingsFile
from trading.config import TradingConfig
from trading.dashboard import terminal_available
from trading.errors import UsageError
from trading.feed import CsvFeed
from trading.feed.pace import InThread
from trading.indicators import IndicatorSet

__all__ = ["SAMPLE_BARS", "Settings", "load"]

HOME = Path(__file__).resolve().parents[1]
SAMPLE_BARS = HOME / "data" / "EURUSD_1h.csv"
DEMO_BARS_PER_SECOND = 400.0
DEMO_REQUESTS_PER_MINUTE = 1_200
BLOCKS = ("llm", "database", "trading")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run depends on, checked.

    ``source`` is ``data`` as an absolute path, ``again`` the command that goes on with the run.
    """

    llm: LLMConfig
    database: DatabaseConfig
    trading: TradingConfig
    data: Path
    symbol: str
    demo: bool = False
    speed: float = 0.0
    follow: bool = False
    source: str = ""
    simulated: bool = False
    resume: bool = False
    session: str | None = None
    adopt: bool = False
    output_named: bool = False
    again: str = "--resume"
    dashboard: bool = False
    picture: Path | None = None

    @property
    def mode(self) -> str:
        """What the session is stored as."""
        if not self.simulated:
            return "live"
        return "simulated/demo" if self.demo else "simulated"

    def csv_feed(self, in_thread: InThread) -> CsvFeed:
        """The feed over the file of bars; it is read by ``in_thread``."""
        return CsvFeed(
            self.data,
            speed=self.speed,
            follow=self.follow,
            poll_seconds=self.trading.follow_poll_seconds,
            zone=self.llm.bars_timezone,
            symbol=self.symbol,
            in_thread=in_thread,
        )

    def host_session(self, new_id: str) -> HostSession:
        """The session of a run: ``new_id``, or an earlier one that it is to go on with."""
        return HostSession(
            self.session if self.session is not None else new_id,
            symbol=self.symbol,
            source=self.source,
            sources=(str(self.data),) if self.source == str(self.data.resolve()) else (),
            mode=self.mode,
            goes_on="named" if self.session is not None else "newest" if self.resume else "no",
            flag="--resume" if self.resume else "--session",
            own_folder=self.output_named,
            resumable=True,
        )


def load(args: argparse.Namespace, *, bars_from: str | None = None) -> Settings:
    """Settings from the command line over the configuration file. Raises ConfigError or UsageError.

    With ``bars_from``, the source of a feed of the host's own, no file of bars need be named.
    """
    file = SettingsFile(args.config or HOME / "config.json")
    file.expect_only(BLOCKS)
    llm = file.llm()
    database = file.database(
        args.database_url, named_by="--database-url" if args.database_url else "DATABASE_URL"
    )
    trading = file.block("trading", TradingConfig)
    data = _data(args, bars_from)
    settings = Settings(
        llm=_for_run(llm, args),
        database=database,
        trading=trading,
        data=data,
        symbol=args.symbol or trading.symbol,
        demo=args.demo,
        source=bars_from or str(data.resolve()),
        simulated=args.demo or args.simulate,
        speed=args.speed if args.speed is not None else (DEMO_BARS_PER_SECOND if args.demo else 0.0),
        follow=args.follow,
        resume=args.resume,
        session=args.session,
        adopt=args.adopt,
        output_named=args.output is not None,
        again=_again(args, "main_with_database.py" if bars_from is None else sys.argv[0]),
        dashboard=not args.no_dashboard and terminal_available(),
        picture=args.picture,
    )
    IndicatorSet(llm.indicators_to_include)  # what cannot be computed is an error before anything starts
    return settings


def _for_run(llm: LLMConfig, args: argparse.Namespace) -> LLMConfig:
    changes: dict[str, Any] = {}
    if args.timezone is not None:
        changes["bars_timezone"] = _zone(args.timezone)
    if args.output is not None:
        changes["csv_output_directory"] = str(args.output.absolute())
    if args.demo or args.simulate:
        changes["model"] = f"simulated/{llm.model.removeprefix('simulated/')}"
        changes["enabled"] = True
        changes["requests_per_minute"] = max(llm.requests_per_minute, DEMO_REQUESTS_PER_MINUTE)
        changes["tokens_per_minute"] = max(llm.tokens_per_minute, DEMO_REQUESTS_PER_MINUTE * 10_000)
    return llm.model_copy(update=changes)


def _again(args: argparse.Namespace, program: str) -> str:
    """The command that goes on with this run. An address of a database may hold a password: not shown."""
    words = ["python", program]
    for name in ("demo", "simulate", "follow"):
        words += [f"--{name}"] if getattr(args, name) else []
    for name in ("config", "data", "symbol", "timezone"):
        words += [f"--{name}", str(value)] if (value := getattr(args, name)) is not None else []
    words += ["--database-url", "..."] if args.database_url else []
    return " ".join([shlex.join(words), "--resume"])


def _zone(name: str) -> str:
    try:
        zone_named(name)
    except ValueError as error:
        raise UsageError(f"--timezone: {error}") from None
    return name


def _data(args: argparse.Namespace, bars_from: str | None) -> Path:
    if args.data is not None:
        if not args.data.is_file():
            raise UsageError(f"{args.data}: no such file of bars; name one with --data, or try --demo")
        return Path(args.data)
    if not (args.demo or bars_from):
        raise UsageError("no bars: name a CSV file with --data, or try --demo")
    return SAMPLE_BARS
