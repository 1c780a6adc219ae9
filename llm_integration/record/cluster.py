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
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from llm_integration.record.cluster_server import PAUSE_SECONDS, Server
from llm_integration.record.errors import EmbeddedServerError
from llm_integration.record.placement import Place, choose_place
from llm_integration.record.postmaster import ServerBounds
from llm_integration.record.programs import explain_os_error

__all__ = ["Cluster"]

logger = logging.getLogger(__name__)

LOCK_SECONDS = 90.0


class Cluster:
    """A handle on the cluster that belongs to the folder ``base``.

    For several threads: one starts, revives or gives up the server at a time, and whoever gives it up cuts
    the others short.
    """

    def __init__(self, base: Path, settings: Mapping[str, str] | None = None) -> None:
        self._base = base
        self._settings = dict(settings or {})
        self._server: Server | None = None
        self._users: int | None = None
        self._guard: int | None = None
        self._owner_pid = 0
        self._busy = threading.Lock()
        self._leaving = threading.Event()
        self._bounds = ServerBounds()
        self.was_shared = False

    @property
    def place(self) -> Place:
        """Where the cluster is; known once it is acquired."""
        return self._own_server.place

    @property
    def socket_folder(self) -> Path | None:
        """Where the server listens; None before it was started."""
        return None if self._server is None else self._server.socket_folder

    @property
    def _own_server(self) -> Server:
        if self._server is None:
            raise EmbeddedServerError("embedded PostgreSQL is not started")
        return self._server

    def acquire(self) -> None:
        """Start the server, or join those who use it. Raises EmbeddedServerError, one line long."""
        with self._busy:
            if self._users is None:
                self._leaving = threading.Event()
                self._acquire()

    def _acquire(self) -> None:
        place = choose_place(self._base)
        server = self._server = Server(self._base, place, self._settings, self._leaving)
        users: int | None = None
        try:
            with self._starting():
                users = self._open("users.lock")
                self.was_shared = not _try_lock(users, fcntl.LOCK_EX)
                try:
                    server.ensure_running()
                except BaseException:
                    if self._leaving.is_set() and not self.was_shared:
                        server.stop(self._bounds)  # nobody waits for what was begun
                    raise
                fcntl.flock(users, fcntl.LOCK_SH)
        except BaseException as error:
            if users is not None:
                os.close(users)
            if isinstance(error, OSError):
                raise EmbeddedServerError(f"embedded PostgreSQL: {explain_os_error(error)}") from error
            raise
        self._users, self._owner_pid = users, os.getpid()
        if place.outside:
            self._guard = _guard_against_cleaning(place.folder)
        atexit.register(self.release)

    def running(self) -> bool:
        """True while the server's process lives and can be found; it may be starting, or frozen."""
        return self._own_server.running()

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
            raise self._own_server.gone()
        with self._starting():
            self._renew_users_lock()
            return self._own_server.ensure_running(may_create=False)

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
            self._own_server.kill()

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
                self._own_server.stop(bounds)

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
                if insist:
                    time.sleep(PAUSE_SECONDS)
                else:
                    self._own_server.pause()
            yield
        finally:
            os.close(descriptor)


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
