"""The server process: what its lock file says, whether it lives, and how it is ended. Blocking.

It is ended by signals, not by ``pg_ctl``: that takes no process of its own, and no longer than it is told.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from llm_integration.record.programs import child_environment

__all__ = [
    "Folder",
    "Postmaster",
    "ServerBounds",
    "accepts_connections",
    "end_server",
    "folder_of",
    "is_postgres",
    "kill_all",
    "processes_in",
    "read_postmaster",
    "remove_stale_lock",
    "works_in",
]

PAUSE_SECONDS = 0.02
CONNECT_SECONDS = 1.0
PROC = Path("/proc")

Folder = tuple[int, int]
"""A data directory by device and inode: it stays the same when it is moved, or deleted under its server."""


@dataclass(frozen=True, slots=True)
class ServerBounds:
    """Seconds that giving the server up may take: the wait for another process that starts or stops it, and
    the time the server gets to end after being asked for it, told so, and killed.
    """

    lock: float = 1.0
    fast: float = 5.0
    immediate: float = 1.0
    killed: float = 0.5

    @property
    def total(self) -> float:
        """All of them."""
        return self.lock + self.fast + self.immediate + self.killed


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What ``postmaster.pid`` says about a server that runs, or ran. ``pid`` 0: a crash tore the file."""

    pid: int
    socket: Path | None
    ready: bool
    data: Path

    @property
    def alive(self) -> bool:
        """True while its process lives, though it may be starting, frozen or cut off."""
        return works_in(self.pid, folder_of(self.data))

    @property
    def reachable(self) -> bool:
        """True while it lives and its socket is where it put it."""
        return self.alive and self.socket is not None and self.socket.exists()


def read_postmaster(data: Path) -> Postmaster | None:
    """The lock file of the server in ``data``; None when there is none."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return None
    pid = abs(int(lines[0])) if lines and lines[0].strip().lstrip("-").isdigit() else 0
    home = Path(lines[1]) if len(lines) > 1 else data
    try:
        place = Path(lines[4].strip()) / f".s.PGSQL.{int(lines[3])}"
    except (IndexError, ValueError):  # it is being written, or a crash tore it
        return Postmaster(pid, None, ready=False, data=home)
    return Postmaster(pid, place, len(lines) > 7 and lines[7].strip() == "ready", home)


def remove_stale_lock(file: Path, folder: Folder | None) -> None:
    """Remove a lock file of the server in ``folder`` if its process is gone.

    PostgreSQL does so itself, unless the number belongs to another process by now, or to a zombie, as it
    does in containers where nobody reaps. Nobody else may be starting the server meanwhile.
    """
    try:
        owner = int(file.read_text().split()[0])
    except FileNotFoundError:
        return
    except (IndexError, ValueError):
        owner = 0  # torn by a crash
    if not works_in(abs(owner), folder):
        file.unlink(missing_ok=True)


def accepts_connections(path: Path) -> bool:
    """True when somebody listens on the socket; a frozen server does."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_SECONDS)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def folder_of(data: Path) -> Folder | None:
    """What ``data`` is called by the kernel; None when it is not there."""
    try:
        found = data.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def processes_in(folder: Folder | None) -> list[int]:
    """The server's processes: those of the name that work in its data directory. Linux; elsewhere none."""
    if folder is None or not _has_proc():
        return []
    numbers = [int(path.name) for path in PROC.iterdir() if path.name.isdecimal()]
    return [pid for pid in numbers if works_in(pid, folder)]


def works_in(pid: int, folder: Folder | None) -> bool:
    """True when ``pid`` is a process of the server in ``folder``, and not one that got its number since."""
    return is_postgres(pid) and (not _has_proc() or folder_of(PROC / str(pid) / "cwd") == folder)


def end_server(pid: int, folder: Folder | None, bounds: ServerBounds) -> bool:
    """End the server: in order, else without its last checkpoint, else by killing it. False if it still runs.

    A server that was frozen is woken first. Whatever way it ends nothing that was committed is lost.
    """
    for number, seconds in ((signal.SIGINT, bounds.fast), (signal.SIGQUIT, bounds.immediate)):
        family = {pid, *processes_in(folder)}
        _send(pid, number)
        for each in family:
            _send(each, signal.SIGCONT)
        if _gone([pid], seconds):
            return True
    return kill_all(pid, folder, bounds.killed)


def kill_all(pid: int, folder: Folder | None, seconds: float) -> bool:
    """Kill the server and its children, which a frozen one would leave behind. False if any still lives."""
    family = [each for each in {pid, *processes_in(folder)} if each]
    for each in family:
        _send(each, signal.SIGKILL)
    return _gone(family, seconds)


def _send(pid: int, number: signal.Signals) -> None:
    if is_postgres(pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _gone(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(is_postgres, pids)):
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def _has_proc() -> bool:
    return (PROC / "self" / "stat").exists()


def is_postgres(pid: int) -> bool:
    """False when ``pid`` is free, a zombie, or something that is not PostgreSQL."""
    if pid <= 0:
        return False
    if _has_proc():
        try:
            name, _, rest = (PROC / str(pid) / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            return False
        return name == "postgres" and not rest.startswith((" Z", " X"))
    shown = subprocess.run(  # noqa: S603  fixed program and a number
        ["ps", "-o", "stat=,comm=", "-p", str(pid)],  # noqa: S607  part of every macOS
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
        env=child_environment(),
    ).stdout.strip()
    return "postgres" in shown and not shown.startswith("Z")
