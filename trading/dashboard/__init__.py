"""What the program shows while it trades: a terminal dashboard, or plain log lines with progress.

Both are context managers around the trading loop and ask a function of the caller, on the event loop, for a
``DashboardState``. Drawing a frame costs tens of milliseconds, so that happens in a thread of its own, which
sees nothing but those immutable snapshots.
"""

from trading.dashboard.progress import PlainProgress, RecentMessages, progress_line
from trading.dashboard.screen import Dashboard, export_svg, restore_terminal, terminal_available
from trading.dashboard.state import DashboardState, RatedSignal
from trading.dashboard.view import dashboard_view

__all__ = [
    "Dashboard",
    "DashboardState",
    "PlainProgress",
    "RatedSignal",
    "RecentMessages",
    "dashboard_view",
    "export_svg",
    "progress_line",
    "restore_terminal",
    "terminal_available",
]
