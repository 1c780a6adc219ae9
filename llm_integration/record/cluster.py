"""One embedded PostgreSQL cluster, shared by the processes that use it. Blocking; see ``embedded``.

Two lock files in the cluster's folder, held with ``flock``, so that the kernel gives them back however a
process ends:

- ``users.lock`` is held shared by everybody who uses the server. Whoever can get it exclusively is alone.
- ``start.lock`` is held exclusively while somebody starts or stops the server.

The last user stops the server. A process that is killed leaves the server running and no trace in the
locks; the next user finds it running, uses it, and stops it as the last one.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import logging
import os
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from llm_integration.record.errors import EmbeddedServerError
from llm_integration.record.placement import (
    LONGEST_SOCKET_PATH,
    SOCKET_NAME,
    Place,
    choose_place,
    find_binaries,
)
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
from llm_integration.record.programs import (
    MOST_OUTPUT,
    ProgramError,
    advice_for,
    explain_os_error,
    reason,
    run,
)

__all__ = ["Cluster"]

logger = logging.getLogger(__name__)

START_SECONDS = 60
CREATE_SECONDS = 75
LOCK_SECONDS = 90.0
ORPHAN_SECONDS = 2.0
"""How long the children of a server that was killed may take to notice it."""
PAUSE_SECONDS = 0.02
LARGEST_LOG = 5_000_000


class Cluster:
    """A handle on the cluster that belongs to the folder ``base``.

    For several threads: one starts, revives or gives up the server at a time, and whoever gives it up cuts
    the others short.
    """

    def __init__(self, base: Path, settings: Mapping[str, str] | None = None) -> None:
        self._base = base
        self._settings = dict(settings or {})
        self._place: Place | None = None
        self._users: int | None = None
        self._guard: int | None = None
        self._owner_pid = 0
        self._busy = threading.Lock()
        self._leaving = threading.Event()
        self._bounds = ServerBounds()
        self._server: Postmaster | None = None
        self._folder: Folder | None = None
        self.socket_folder: Path | None = None
        self.was_shared = False

    @property
    def place(self) -> Place:
        """Where the cluster is; known once it is acquired."""
        if self._place is None:
            raise EmbeddedServerError("embedded PostgreSQL is not started")
        return self._place

    def acquire(self) -> None:
        """Start the server, or join those who use it. Raises EmbeddedServerError, one line long."""
        with self._busy:
            if self._users is None:
                self._leaving = threading.Event()
                self._acquire()

    def _acquire(self) -> None:
        self._place = choose_place(self._base)
        users: int | None = None
        try:
            with self._starting():
                users = self._open("users.lock")
                self.was_shared = not _try_lock(users, fcntl.LOCK_EX)
                try:
                    self._ensure_running()
                except BaseException:
                    if self._leaving.is_set() and not self.was_shared:
                        self._stop(self._bounds)  # nobody waits for what was begun
                    raise
                fcntl.flock(users, fcntl.LOCK_SH)
        except BaseException as error:
            if users is not None:
                os.close(users)
            if isinstance(error, OSError):
                raise EmbeddedServerError(f"embedded PostgreSQL: {explain_os_error(error)}") from error
            raise
        self._users, self._owner_pid = users, os.getpid()
        if self.place.outside:
            self._guard = _guard_against_cleaning(self.place.folder)
        atexit.register(self.release)

    def running(self) -> bool:
        """True while the server's process lives and can be found; it may be starting, or frozen."""
        found = read_postmaster(self.place.data)
        return found is not None and found.reachable

    def revive(self) -> bool:
        """Start the server again if it has ended; True when it was this process that did.

        Raises EmbeddedServerError, one line long. Never makes a new cluster: what was stored is in the old
        one, wherever it is.
        """
        with self._busy:
            if self._users is None or self._leaving.is_set():
                return False
            try:
                return self._revive()
            except OSError as error:
                raise EmbeddedServerError(f"embedded PostgreSQL: {explain_os_error(error)}") from error

    def _revive(self) -> bool:
        if not self.place.folder.exists():
            raise self._gone()
        with self._starting():
            self._renew_users_lock()
            return self._ensure_running(may_create=False)

    def _gone(self) -> EmbeddedServerError:
        return EmbeddedServerError(
            f"embedded PostgreSQL: the folder {self.place.data} is gone; put it back, or start this program"
            " anew for an empty one"
        )

    def release(self, bounds: ServerBounds | None = None) -> None:
        """Give the server up; the last user stops it. Repeating it does nothing.

        Blocks for no longer than ``bounds``, and cuts short what another thread is starting.
        """
        self._bounds = bounds or ServerBounds()
        self._leaving.set()
        if not self._busy.acquire(timeout=self._bounds.total):
            logger.error("embedded PostgreSQL: what starts the server does not end, it is left as it is")
            return
        try:
            self._release(self._bounds)
        finally:
            self._busy.release()

    def abandon(self) -> None:
        """Kill the server if nobody else uses it, and wait for nothing: the process is about to leave."""
        self._leaving.set()
        users, alone = self._users, False
        with contextlib.suppress(OSError, EmbeddedServerError):
            lock = self._open("start.lock")
            if users is not None and _try_lock(lock, fcntl.LOCK_EX):
                fcntl.flock(users, fcntl.LOCK_UN)
                alone = _try_lock(users, fcntl.LOCK_EX)
        if alone:
            kill_all(self._pid() or 0, self._folder, 0.0)

    def _release(self, bounds: ServerBounds) -> None:
        users, self._users = self._users, None
        if users is None or self._owner_pid != os.getpid():
            return
        atexit.unregister(self.release)
        try:
            self._give_up(users, bounds)
        except (OSError, EmbeddedServerError) as error:
            logger.error("embedded PostgreSQL in %s was not stopped: %s", self.place.folder, error)
        finally:
            os.close(users)
            if self._guard is not None:
                os.close(self._guard)
                self._guard = None

    def _give_up(self, users: int, bounds: ServerBounds) -> None:
        gone = not self.place.folder.exists()  # nobody can come any more
        with contextlib.nullcontext() if gone else self._starting(bounds.lock, insist=True):
            fcntl.flock(users, fcntl.LOCK_UN)
            if _try_lock(users, fcntl.LOCK_EX):
                self._stop(bounds)

    # Locks

    def _open(self, name: str) -> int:
        path = self.place.folder / name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        owner = self.place.folder.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)  # its owner must be able to open it, too
        return descriptor

    def _renew_users_lock(self) -> None:
        """Hold the file that is there now, in case the folder was put back from a copy."""
        if self._users is None or os.fstat(self._users).st_ino == self._inode("users.lock"):
            return
        fresh = self._open("users.lock")
        fcntl.flock(fresh, fcntl.LOCK_SH)
        os.close(self._users)
        self._users = fresh

    def _inode(self, name: str) -> int | None:
        try:
            return (self.place.folder / name).stat().st_ino
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def _starting(self, seconds: float = LOCK_SECONDS, *, insist: bool = False) -> Iterator[None]:
        """Hold start.lock; ``insist`` waits for it though this process is leaving."""
        descriptor = self._open("start.lock")
        try:
            deadline = time.monotonic() + seconds
            while not _try_lock(descriptor, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise EmbeddedServerError(
                        f"embedded PostgreSQL: another process has been starting or stopping the server in "
                        f"{self.place.folder} for {seconds:.0f} s"
                    )
                self._pause(insist=insist)
            yield
        finally:
            os.close(descriptor)

    def _pause(self, *, insist: bool = False) -> None:
        if insist:
            time.sleep(PAUSE_SECONDS)
        elif self._leaving.wait(PAUSE_SECONDS):
            raise EmbeddedServerError("embedded PostgreSQL: given up while it was being started")

    # Starting and stopping, with start.lock held

    def _ensure_running(self, *, may_create: bool = True) -> bool:
        """Have a server that takes connections; True when it had to be started."""
        data = self.place.data
        self._folder = folder_of(data) or self._folder
        found = read_postmaster(data)
        if found is not None:
            self._refuse_a_copy(found)
            if self._answers(found):
                return False
        is_there = (data / "PG_VERSION").exists()
        if not is_there and not may_create:
            raise self._gone()
        self._take_over()
        binaries = find_binaries(self.place)
        if not is_there:
            self._create(binaries)
            self._folder = folder_of(data)
        self._clear_away(found)
        self._start(binaries)
        return True

    def _clear_away(self, found: Postmaster | None) -> None:
        """End what is left of a server that was killed, or that nobody can reach any more."""
        data = self.place.data
        if found is not None and found.alive:
            end_server(found.pid, self._folder, ServerBounds())
        deadline = time.monotonic() + ORPHAN_SECONDS
        while processes_in(self._folder) and time.monotonic() < deadline:
            self._pause()
        kill_all(0, self._folder, ORPHAN_SECONDS)
        remove_stale_lock(data / "postmaster.pid", self._folder)

    def _refuse_a_copy(self, found: Postmaster) -> None:
        """Files that were copied while their server was writing them cannot be trusted."""
        with contextlib.suppress(OSError):
            if found.alive and not found.data.samefile(self.place.data):
                raise EmbeddedServerError(
                    f"embedded PostgreSQL: {self.place.data} was copied from {found.data} while a server was "
                    f"running there; remove {self._base} to start afresh, or stop that one and copy again"
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
            self._pause()
            again = read_postmaster(self.place.data)
            if again is None:
                return False
            found = again
        return False

    def _remember(self, found: Postmaster, at: Path) -> None:
        self._server, self.socket_folder = found, at.parent

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
        remove_stale_lock(folder / f"{SOCKET_NAME}.lock", self._folder)
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
        self._server = read_postmaster(self.place.data)

    def _stop(self, bounds: ServerBounds) -> None:
        """End whatever of our server runs."""
        pid = self._pid()
        if pid is None:
            ended = kill_all(0, self._folder, bounds.killed)  # it was killed or stopped; its children go, too
        else:
            ended = end_server(pid, self._folder, bounds)
        if not ended:
            raise EmbeddedServerError("it does not end, not even killed; does its disk answer?")
        if self.socket_folder not in (None, self.place.data):
            with contextlib.suppress(OSError):
                self.socket_folder.rmdir()

    def _pid(self) -> int | None:
        """Our server's process, if it lives; never one that has got its number since."""
        known = [each.pid for each in (read_postmaster(self.place.data), self._server) if each is not None]
        return next((pid for pid in known if works_in(pid, self._folder)), None)

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


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _guard_against_cleaning(folder: Path) -> int:
    """Keep systemd-tmpfiles and its like from removing old files one by one; the lock on the folder, which
    it respects, works while it is held, the new times work for the weeks after.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    _try_lock(descriptor, fcntl.LOCK_SH)
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # it may have gone meanwhile
            os.utime(path, follow_symlinks=False)
    return descriptor
