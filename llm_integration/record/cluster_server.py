"""The server process of one embedded cluster: found, set up, started and ended. Blocking.

Every method is for whoever holds the cluster's ``start.lock``; see ``cluster``.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from llm_integration.record.errors import EmbeddedServerError
from llm_integration.record.placement import LONGEST_SOCKET_PATH, SOCKET_NAME, Place, find_binaries
from llm_integration.record.postmaster import (
    Folder,
    Postmaster,
    ServerBounds,
    accepts_connections,
    end_server,
    folder_of,
    kill_all,
    processes_in,
    read_postmaster,
    remove_stale_lock,
    works_in,
)
from llm_integration.record.programs import MOST_OUTPUT, ProgramError, advice_for, reason, run

__all__ = ["PAUSE_SECONDS", "Server"]

logger = logging.getLogger(__name__)

START_SECONDS = 60
CREATE_SECONDS = 75
ORPHAN_SECONDS = 2.0
"""How long the children of a server that was killed may take to notice it."""
PAUSE_SECONDS = 0.02
LARGEST_LOG = 5_000_000


class Server:
    """The server in ``place``, which is in the folder ``base`` of its user, run with ``settings``.

    ``leaving`` cuts short whatever waits: this process is about to go. What is raised is one line long.
    """

    def __init__(
        self, base: Path, place: Place, settings: Mapping[str, str], leaving: threading.Event
    ) -> None:
        self._base = base
        self.place = place
        self._settings = settings
        self._leaving = leaving
        self._known: Postmaster | None = None
        self._data_folder: Folder | None = None
        self.socket_folder: Path | None = None

    def running(self) -> bool:
        """True while its process lives and can be found; it may be starting, or frozen."""
        found = read_postmaster(self.place.data)
        return found is not None and found.reachable

    def kill(self) -> None:
        """Kill it and wait for nothing."""
        kill_all(self.pid() or 0, self._data_folder, 0.0)

    def pause(self) -> None:
        """A moment's wait; raises EmbeddedServerError when this process is leaving."""
        if self._leaving.wait(PAUSE_SECONDS):
            raise EmbeddedServerError("embedded PostgreSQL: given up while it was being started")

    def gone(self) -> EmbeddedServerError:
        """Its folder is not there, and no new one is to be made."""
        return EmbeddedServerError(
            f"embedded PostgreSQL: the folder {self.place.data} is gone; put it back, or start this program"
            " anew for an empty one"
        )

    def ensure_running(self, *, may_create: bool = True) -> bool:
        """Have a server that takes connections; True when it had to be started."""
        data = self.place.data
        self._data_folder = folder_of(data) or self._data_folder
        found = read_postmaster(data)
        if found is not None:
            self._refuse_a_copy(found)
            if self._answers(found):
                return False
        is_there = (data / "PG_VERSION").exists()
        if not is_there and not may_create:
            raise self.gone()
        self._take_over()
        binaries = find_binaries(self.place)
        if not is_there:
            self._create(binaries)
            self._data_folder = folder_of(data)
        self._clear_away(found)
        self._start(binaries)
        return True

    def _clear_away(self, found: Postmaster | None) -> None:
        """End what is left of a server that was killed, or that nobody can reach any more."""
        data = self.place.data
        if found is not None and found.alive:
            end_server(found.pid, self._data_folder, ServerBounds())
        deadline = time.monotonic() + ORPHAN_SECONDS
        while processes_in(self._data_folder) and time.monotonic() < deadline:
            self.pause()
        kill_all(0, self._data_folder, ORPHAN_SECONDS)
        remove_stale_lock(data / "postmaster.pid", self._data_folder)

    def _refuse_a_copy(self, found: Postmaster) -> None:
        """Files that were copied while their server was writing them cannot be trusted."""
        with contextlib.suppress(OSError):
            if found.alive and not found.data.samefile(self.place.data):
                raise EmbeddedServerError(
                    f"embedded PostgreSQL: {self.place.data} was copied from {found.data} while a server was"
                    f" running there; remove {self._base} to start afresh, or stop that one and copy again"
                )

    def _take_over(self) -> None:
        """Root's copy of a cluster belongs to root, which cannot run it: give it to the account that does."""
        account, data = self.place.account, self.place.data
        if account.switch and data.exists() and data.stat().st_uid == 0:
            for path in (data, *data.rglob("*")):
                os.chown(path, account.uid, account.gid, follow_symlinks=False)

    def _answers(self, found: Postmaster) -> bool:
        """True when the server is up; waits for one that is still starting or recovering."""
        deadline = time.monotonic() + START_SECONDS
        while found.alive:
            if found.ready and found.socket is not None:
                if accepts_connections(found.socket):
                    self._remember(found, found.socket)
                    return True
                if not found.socket.exists():
                    return False  # somebody removed it: nobody can get in any more
            if time.monotonic() > deadline:
                raise EmbeddedServerError(f"embedded PostgreSQL in {self.place.folder} does not become ready")
            self.pause()
            again = read_postmaster(self.place.data)
            if again is None:
                return False
            found = again
        return False

    def _remember(self, found: Postmaster, at: Path) -> None:
        self._known, self.socket_folder = found, at.parent

    def _create(self, binaries: Path) -> None:
        """Make the cluster aside and move it into place, so that a kill leaves no half of one."""
        part = self.place.folder / "data.part"
        shutil.rmtree(part, ignore_errors=True)
        try:
            part.mkdir(mode=0o700)
            if self.place.account.switch:
                os.chown(part, self.place.account.uid, self.place.account.gid)
            no_sync = ("--no-sync",) if self._settings.get("fsync") == "off" else ()
            self._run(
                CREATE_SECONDS, binaries / "initdb", "-D", part, "-U", "postgres", "--auth=trust",
                "--encoding=UTF8", "--no-locale", "--no-instructions", *no_sync,
            )  # fmt: skip
            part.rename(self.place.data)
        except ProgramError as error:
            why = reason(error.output, of_log=True) or f"{error}; it said last: {reason(error.output)}"
            what = f"embedded PostgreSQL cannot be set up in {self.place.folder}: {why}"
            raise EmbeddedServerError(f"{what}{advice_for(why)}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _start(self, binaries: Path) -> None:
        folder = self._socket_folder()
        remove_stale_lock(folder / f"{SOCKET_NAME}.lock", self._data_folder)
        settings = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": '"' + str(folder).replace('"', '""') + '"',
            "unix_socket_permissions": "0700",
            **self._settings,
        }
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        logged = self._log_size()
        if logged > LARGEST_LOG:
            self.place.log.replace(self.place.log.with_suffix(".log.1"))
            logged = 0
        try:
            self._run(
                START_SECONDS + 5, binaries / "pg_ctl", "start", "-D", self.place.data, "-w",
                "-t", str(START_SECONDS), "-l", self.place.log, "-o", options,
            )  # fmt: skip
        except ProgramError as error:
            why = self._logged_reason(logged) or reason(error.output) or "it ended before it was ready"
            what = f"embedded PostgreSQL does not start: {why}{advice_for(why)}"
            raise EmbeddedServerError(what) from error
        self.socket_folder = folder
        self._known = read_postmaster(self.place.data)

    def stop(self, bounds: ServerBounds) -> None:
        """End whatever of our server runs."""
        pid = self.pid()
        if pid is None:
            ended = kill_all(
                0, self._data_folder, bounds.killed
            )  # it was killed or stopped; its children go, too
        else:
            ended = end_server(pid, self._data_folder, bounds)
        if not ended:
            raise EmbeddedServerError("it does not end, not even killed; does its disk answer?")
        if self.socket_folder not in (None, self.place.data):
            with contextlib.suppress(OSError):
                self.socket_folder.rmdir()

    def pid(self) -> int | None:
        """Our server's process, if it lives; never one that has got its number since."""
        known = [each.pid for each in (read_postmaster(self.place.data), self._known) if each is not None]
        return next((pid for pid in known if works_in(pid, self._data_folder)), None)

    def _run(self, seconds: float, *command: str | Path) -> None:
        said = run(
            command, account=self.place.account, folder=self.place.folder, seconds=seconds,
            hurry=self._leaving,
        )  # fmt: skip
        logger.debug("%s: %s", Path(command[0]).name, said)

    def _socket_folder(self) -> Path:
        """The data directory, or a private folder of a short name when its path does not suit a socket."""
        text = str(self.place.data / SOCKET_NAME)
        if len(os.fsencode(text)) <= LONGEST_SOCKET_PATH and "," not in text:
            return self.place.data
        for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  private folder of a random name below
            folder = Path(parent) / f"tradent-{_short_name(self.place.data)}"
            if len(os.fsencode(folder / SOCKET_NAME)) <= LONGEST_SOCKET_PATH and "," not in str(folder):
                return self._private_folder(folder)
        raise EmbeddedServerError(f"embedded PostgreSQL: the path {self.place.data} is too long for a socket")

    def _private_folder(self, folder: Path) -> Path:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            if self.place.account.switch:
                os.chown(folder, self.place.account.uid, self.place.account.gid)
        if folder.is_symlink() or folder.stat().st_uid != self.place.account.uid:
            raise EmbeddedServerError(f"embedded PostgreSQL: {folder} belongs to another user")
        return folder

    def _log_size(self) -> int:
        try:
            return self.place.log.stat().st_size
        except OSError:
            return 0

    def _logged_reason(self, start: int) -> str:
        """Why the server gave up, by what it has logged since ``start``."""
        try:
            with self.place.log.open("rb") as log:
                log.seek(max(start, log.seek(0, os.SEEK_END) - MOST_OUTPUT))
                return reason(log.read().decode(errors="replace"), of_log=True)
        except OSError:
            return ""


def _short_name(data: Path) -> str:
    """A name for ``data`` that a copy elsewhere does not have."""
    return hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
