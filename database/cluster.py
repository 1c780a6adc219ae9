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
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from database.errors import EmbeddedServerError
from database.placement import LONGEST_SOCKET_PATH, SOCKET_NAME, Place, choose_place, find_binaries

__all__ = ["Cluster"]

logger = logging.getLogger(__name__)

START_SECONDS = 60
STOP_SECONDS = 15
LOCK_SECONDS = 90.0
PAUSE_SECONDS = 0.02
LARGEST_LOG = 5_000_000


@dataclass(frozen=True, slots=True)
class _Postmaster:
    """What ``postmaster.pid`` says about a server that runs, or ran."""

    pid: int
    socket: Path
    ready: bool
    data: Path


class Cluster:
    """A handle on the cluster that belongs to the folder ``base``."""

    def __init__(self, base: Path, settings: Mapping[str, str] | None = None) -> None:
        self._base = base
        self._settings = dict(settings or {})
        self._place: Place | None = None
        self._users: int | None = None
        self._guard: int | None = None
        self._owner_pid = 0
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
        if self._users is not None:
            return
        self._place = choose_place(self._base)
        users: int | None = None
        try:
            with self._starting():
                users = self._open("users.lock")
                self.was_shared = not _try_lock(users, fcntl.LOCK_EX)
                self.socket_folder = self._ensure_running()
                fcntl.flock(users, fcntl.LOCK_SH)
        except BaseException as error:
            if users is not None:
                os.close(users)
            if isinstance(error, (OSError, subprocess.SubprocessError)):
                raise EmbeddedServerError(f"embedded PostgreSQL: {error}") from error
            raise
        self._users, self._owner_pid = users, os.getpid()
        if self.place.outside:
            self._guard = _guard_against_cleaning(self.place.folder)
        atexit.register(self.release)

    def release(self) -> None:
        """Give the server up; the last user stops it. Repeating it does nothing."""
        users, self._users = self._users, None
        if users is None or self._owner_pid != os.getpid():
            return
        atexit.unregister(self.release)
        try:
            with self._starting():
                fcntl.flock(users, fcntl.LOCK_UN)
                if _try_lock(users, fcntl.LOCK_EX):
                    self._stop()
        except (OSError, EmbeddedServerError, subprocess.SubprocessError) as error:
            logger.error("embedded PostgreSQL in %s was not stopped: %s", self.place.folder, error)
        finally:
            os.close(users)
            if self._guard is not None:
                os.close(self._guard)
                self._guard = None

    # Locks

    def _open(self, name: str) -> int:
        path = self.place.folder / name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        owner = self.place.folder.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)  # its owner must be able to open it, too
        return descriptor

    @contextlib.contextmanager
    def _starting(self) -> Iterator[None]:
        descriptor = self._open("start.lock")
        try:
            deadline = time.monotonic() + LOCK_SECONDS
            while not _try_lock(descriptor, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise EmbeddedServerError(
                        f"embedded PostgreSQL: another process has been starting or stopping the server in "
                        f"{self.place.folder} for {LOCK_SECONDS:.0f} s"
                    )
                time.sleep(PAUSE_SECONDS)
            yield
        finally:
            os.close(descriptor)

    # Starting and stopping, with start.lock held

    def _ensure_running(self) -> Path:
        found = _read_postmaster(self.place.data)
        if found is not None:
            self._refuse_a_copy(found)
            if self._answers(found):
                return found.socket.parent
        self._take_over()
        binaries = find_binaries(self.place)
        if not (self.place.data / "PG_VERSION").exists():
            self._create(binaries)
        _remove_stale_lock(self.place.data / "postmaster.pid")
        return self._start(binaries)

    def _refuse_a_copy(self, found: _Postmaster) -> None:
        """Files that were copied while their server was writing them cannot be trusted."""
        with contextlib.suppress(OSError):
            if _is_postgres(found.pid) and not found.data.samefile(self.place.data):
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

    def _answers(self, found: _Postmaster) -> bool:
        """True when the server is up; waits for one that is still recovering."""
        deadline = time.monotonic() + START_SECONDS
        while found.pid and _connects(found.socket):
            if found.ready:
                return True
            if time.monotonic() > deadline:
                raise EmbeddedServerError(f"embedded PostgreSQL in {self.place.folder} does not become ready")
            time.sleep(PAUSE_SECONDS)
            again = _read_postmaster(self.place.data)
            if again is None:
                return False
            found = again
        return False

    def _create(self, binaries: Path) -> None:
        """Make the cluster aside and move it into place, so that a kill leaves no half of one."""
        part = self.place.folder / "data.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        if self.place.account.switch:
            os.chown(part, self.place.account.uid, self.place.account.gid)
        no_sync = ("--no-sync",) if self._settings.get("fsync") == "off" else ()
        self._run(
            binaries / "initdb", "-D", str(part), "-U", "postgres", "--auth=trust", "--encoding=UTF8",
            "--no-locale", "--no-instructions", *no_sync,
        )  # fmt: skip
        part.rename(self.place.data)

    def _start(self, binaries: Path) -> Path:
        folder = self._socket_folder()
        _remove_stale_lock(folder / f"{SOCKET_NAME}.lock")
        settings = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": '"' + str(folder).replace('"', '""') + '"',
            "unix_socket_permissions": "0700",
            **self._settings,
        }
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        logged = self._log_size()
        if self.place.log.exists() and self.place.log.stat().st_size > LARGEST_LOG:
            self.place.log.replace(self.place.log.with_suffix(".log.1"))
        try:
            self._run(
                binaries / "pg_ctl", "start", "-D", str(self.place.data), "-w", "-t", str(START_SECONDS),
                "-l", str(self.place.log), "-o", options,
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            said = "; ".join((error.output or b"").decode(errors="replace").splitlines())[:300]
            reason = said if said and self._log_size() == logged else self._last_log_line()
            raise EmbeddedServerError(f"embedded PostgreSQL does not start: {reason}") from error
        return folder

    def _stop(self) -> None:
        found = _read_postmaster(self.place.data)
        if found is None or not _is_postgres(found.pid):
            return  # it was stopped or killed by somebody else
        if not any(self._stopped(mode) for mode in ("fast", "immediate")):
            raise EmbeddedServerError(self._last_log_line())
        if found.socket.parent != self.place.data:
            with contextlib.suppress(OSError):
                found.socket.parent.rmdir()

    def _stopped(self, mode: str) -> bool:
        program, seconds = find_binaries(self.place) / "pg_ctl", str(STOP_SECONDS)
        try:
            self._run(program, "stop", "-D", str(self.place.data), "-w", "-t", seconds, "-m", mode)
        except subprocess.CalledProcessError:
            return False
        return True

    def _run(self, program: Path, *arguments: str) -> None:
        account = self.place.account
        as_account: dict[str, Any] = {}
        if account.switch:
            as_account = {"user": account.uid, "group": account.gid, "extra_groups": []}
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))
        }
        with tempfile.TemporaryFile() as output:  # a pipe would stay open in the server and never end
            try:
                subprocess.run(  # noqa: S603  programs of the wheel, arguments of our own
                    [str(program), *arguments],
                    check=True,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.place.folder,
                    env={**environment, "LC_ALL": "C"},
                    timeout=START_SECONDS + STOP_SECONDS,
                    start_new_session=True,  # a Ctrl-C in the terminal is not for the server
                    **as_account,
                )
            except subprocess.CalledProcessError as error:
                output.seek(0)
                error.output = output.read(4_000)
                logger.debug("%s: %s", program.name, error.output.decode(errors="replace"))
                raise

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

    def _last_log_line(self) -> str:
        try:
            lines = self.place.log.read_text(errors="replace").splitlines()
        except OSError as error:
            return f"no log: {error}"
        telling = [line for line in lines[-20:] if any(word in line for word in ("FATAL", "PANIC", "ERROR"))]
        return (telling or lines or ["its log is empty"])[-1][:300]


def _short_name(data: Path) -> str:
    """A name for ``data`` that a copy elsewhere does not have."""
    return hashlib.sha256(os.fsencode(data)).hexdigest()[:16]


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_postmaster(data: Path) -> _Postmaster | None:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    try:
        pid, folder, port = int(lines[0]), lines[4].strip(), int(lines[3])
    except (IndexError, ValueError):  # it is being written, or a crash tore it
        return _Postmaster(0, data / SOCKET_NAME, ready=False, data=data)
    ready = len(lines) > 7 and lines[7].strip() == "ready"
    return _Postmaster(abs(pid), Path(folder) / f".s.PGSQL.{port}", ready, Path(lines[1]))


def _remove_stale_lock(file: Path) -> None:
    """Remove a lock file of PostgreSQL whose process is gone.

    PostgreSQL does so itself, unless the number belongs to another process by now, or to a zombie, as it
    does in containers where nobody reaps. ``users.lock`` and ``start.lock`` are held and nothing listens.
    """
    try:
        owner = int(file.read_text().split()[0])
    except FileNotFoundError:
        return
    except (IndexError, ValueError):
        owner = 0  # torn by a crash
    if not _is_postgres(abs(owner)):
        file.unlink(missing_ok=True)


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


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _is_postgres(pid: int) -> bool:
    """False when ``pid`` is free, a zombie, or something that is not PostgreSQL."""
    if pid <= 0:
        return False
    if Path("/proc/self/stat").exists():
        try:
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            return False
        return name == "postgres" and not rest.startswith(" Z")
    shown = subprocess.run(  # noqa: S603  fixed program and a number
        ["ps", "-o", "stat=,comm=", "-p", str(pid)],  # noqa: S607  part of every macOS
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    ).stdout.strip()
    return "postgres" in shown and not shown.startswith("Z")
