"""What a run shows of itself: a snapshot for the dashboard while it trades, and the lines it ends with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from llm_integration.sidecar import Sidecar
from trading.bar_loop import BarLoop
from trading.dashboard import Dashboard, DashboardState, PlainProgress, RecentMessages
from trading.figures import sidecar_figures
from trading.ratings import Ratings
from trading.settings import Settings

__all__ = ["Showing"]


class Showing:
    """Asks loop, sidecar and ratings for their figures; holds none of its own but the last messages."""

    def __init__(self, settings: Settings, loop: BarLoop, sidecar: Sidecar, ratings: Ratings) -> None:
        self._settings, self._loop, self._sidecar, self._ratings = settings, loop, sidecar, ratings
        self.messages = RecentMessages()

    def display(self) -> AbstractContextManager[object]:
        """The dashboard, or lines of progress, for as long as the context lasts."""
        trading = self._settings.trading
        if self._settings.dashboard:
            return Dashboard(self.state, refreshes_per_second=trading.dashboard_refreshes_per_second)
        return PlainProgress(self.state, interval_seconds=trading.progress_interval_seconds)

    def state(self) -> DashboardState:
        """A snapshot for the dashboard and for the lines of progress; takes microseconds."""
        sidecar, loop = self._sidecar, self._loop
        stats = sidecar.statistics()
        trouble, connected = stats["database_error"], sidecar.parts.recording is not None
        return DashboardState(
            symbol=self._settings.symbol,
            strategy=loop.strategy.name,
            session_id=sidecar.session or "",
            simulated=self._settings.simulated,
            following=loop.progress.total_bars is None,
            last_close=loop.last_close,
            llm_on=sidecar.off_reason is None,
            llm_note=sidecar.off_reason or stats.get("note") or _notes(stats),
            database=trouble or ("connected" if connected else "none"),
            database_ok=trouble is None and connected,
            recent=self._ratings.recent,
            messages=self.messages.lines,
            **loop.progress.shown(),
            **sidecar_figures(stats),
        )

    def account(self, *, finished: bool, waits_because: str | None) -> list[str]:
        """What this run brought, and what is still open: the lines it ends with.

        ``waits_because`` says why signals are unanswered, if that is known.
        """
        stats, progress = self._sidecar.statistics(), self._loop.progress
        simulated = " (simulated)" if self._settings.simulated else ""
        lines = [
            f"session {self._sidecar.session} " + ("finished" if finished else "stopped"),
            f"bars {progress.bars}, signals {progress.signals}, rated {stats.get('rated', 0)}, "
            f"unrated {stats.get('unrated', 0)}, failed {stats.get('failed', 0)}, "
            f"expired {stats.get('expired', 0)}",
            f"{_cost_line(stats)}{simulated}, longest bar {progress.longest_bar_seconds * 1000:.1f} ms",
            f"files: {self._sidecar.config.output_folder}",
            f"database: {self._database_hint()}",
        ]
        if (adopted := stats.get("adopted")) and (adopted["completed"] or adopted["failed"]):
            lines.insert(2, (
                f"of other sessions, for which it was asked: rated {adopted['rated']} of"
                f" {adopted['completed'] + adopted['failed'] + adopted['expired']},"
                f" cost {adopted['cost_usd']} USD"
            ))  # fmt: skip
        waiting = self._waiting_line(stats, waits_because)
        if waiting:
            lines.append(waiting)
        if self._sidecar.off_reason is None and (waiting or not finished):
            lines.append(f"go on with: {self._settings.again}")
        return lines

    def _waiting_line(self, stats: Mapping[str, Any], waits_because: str | None) -> str | None:
        """How many signals are unanswered, and why; None when all have their end."""
        parts = self._sidecar.parts
        count = parts.session.unanswered if parts.session is not None else None
        if count is None:  # PostgreSQL did not say
            count = stats.get("memory", {}).get("pending", 0)
        if not count:
            return None
        kept = "" if parts.recording is not None else "; without PostgreSQL they are gone with this process"
        wait = "1 signal waits" if count == 1 else f"{count} signals wait"
        return f"{wait}: {waits_because or 'their answers had not come yet'}{kept}"

    def _database_hint(self) -> str:
        """How to look at the tables of this run."""
        parts = self._sidecar.parts
        if parts.recording is None:
            return "none; this run went to the files alone"
        if parts.server is not None:
            look = 'python -m database "SELECT ..."'
            return f"embedded PostgreSQL in {parts.server.location}; look with: {look}"
        return f"{parts.recording.manager!r}"


def _notes(stats: Mapping[str, Any]) -> str:
    """What is not as it should be while the LLM is on: a model that is gone or down, a budget used up."""
    gone: list[str] = stats["gone_models"]
    if stats.get("reason"):  # nothing is asked at all; the rest would only repeat it
        return "; ".join([*gone, stats["reason"]])
    models: Mapping[str, Any] = stats["processor"]["models"] if "processor" in stats else {}
    notes = [*gone]
    notes += [f"{name} is down: {each['reason']}" for name, each in models.items() if each["reason"]]
    notes += [f"budget {each['name']} is used up" for each in stats["budgets"] if each["state"] == "reached"]
    return "; ".join(notes)


def _cost_line(stats: Mapping[str, Any]) -> str:
    """What the answers cost, as far as it is known."""
    cost, unknown = stats.get("cost_usd", 0), stats.get("cost_unknown", 0)
    if not unknown:
        return f"cost {cost} USD"
    answers = "1 answer" if unknown == 1 else f"{unknown} answers"
    return f"cost {cost} USD, unknown for {answers}" if cost else f"cost unknown for {answers}"
