"""Reads a database URL as it is meant, or says what is wrong without showing anything of it.

A password that holds one of ``/ ? # @ %`` unescaped makes a URL that other readers cut in the wrong place,
and then print. Here a URL whose parts do not fit together is refused; nothing of its text leaves this
module but what was recognised: the host, the port, a plain database name, and the names of parameters.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from llm_integration.record.errors import DatabaseRefusedError

__all__ = ["SCHEMA_NAME", "SSL_MODES", "ConnectionSettings", "DatabaseURLError", "plain_name", "read_url"]

SCHEMES = re.compile(r"postgres(?:ql)?(?:\+[a-z0-9_]+)?://", re.IGNORECASE)
"""Also as SQLAlchemy writes it, with the name of a driver."""
HOST_NAME = re.compile(r"\w[\w.-]*")
PLAIN_NAME = re.compile(r"[\w.$-]{1,63}", re.ASCII)
SCHEMA_NAME = re.compile(r"(?!pg_)[a-z_][a-z0-9_$]{0,62}")
PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,40}")
DEFAULT_PORT = 5432
DEFAULT_HOSTS = ("/run/postgresql", "/var/run/postgresql", "/tmp", "/private/tmp", "localhost")  # noqa: S108
"""Where a server on this machine listens, as the driver tries them."""
LONGEST_CONNECT_SECONDS = 60.0
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SESSIONS = ("any", "primary", "standby", "prefer-standby", "read-write", "read-only")
POOLER_PORTS = frozenset({6432, 6543})
POOLER_HOST = re.compile(r"-pooler\b|\bpooler\.|pgbouncer", re.IGNORECASE)

ENCODE = (
    "does not read as postgresql://user:password@host:port/database; in user and password write"
    " / as %2F, ? as %3F, # as %23, @ as %40, : as %3A and % as %25"
)
WRONG_PORT = "should have a port from 1 to 65535"
NO_SCHEME = "should be 'embedded' or start with postgresql://"

IGNORED = frozenset(
    [
        "channel_binding",
        "client_encoding",
        "fallback_application_name",
        "gssencmode",
        "gssdelegation",
        "hostaddr",
        "idle_in_transaction_session_timeout",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "lock_timeout",
        "max_idle_connection_lifetime",
        "pool_size",
        "pool_timeout",
        "prepare_threshold",
        "preparethreshold",
        "prepared_statement_cache_size",
        "prepared_statements",
        "replication",
        "require_auth",
        "requirepeer",
        "service",
        "socket_timeout",
        "sslaccept",
        "sslcertmode",
        "sslcompression",
        "sslsni",
        "statement_cache_size",
        "statement_timeout",
        "supa",
        "tcp_user_timeout",
        "timezone",
        "uselibpqcompat",
        "workaround",
    ]
)
"""Parameters of other drivers and of providers that change nothing here."""


class DatabaseURLError(DatabaseRefusedError, ValueError):
    """The URL cannot be read as it is meant. The message shows nothing of it."""


class _Problem(Exception):  # noqa: N818  it never leaves this module
    pass


@dataclass(frozen=True, slots=True, repr=False)
class ConnectionSettings:
    """What a URL says. None: it does not say. ``ignored`` names its parameters that change nothing here."""

    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    user: str | None = None
    password: SecretStr | None = None
    database: str | None = None
    sslmode: str | None = None
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None
    sslcrl: str | None = None
    sslpassword: SecretStr | None = None
    direct_tls: bool = False
    passfile: str | None = None
    krbsrvname: str = "postgres"
    gsslib: str = "gssapi"
    connect_timeout: float | None = None
    session: str = "any"
    server_settings: Mapping[str, str] = field(default_factory=dict)
    schema: str | None = None
    pooler: bool | None = None
    connection_limit: int | None = None
    ignored: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[tuple[str, int], ...]:
        """Hosts, or folders of sockets, with their ports, in the order in which they are tried."""
        hosts = self.hosts or DEFAULT_HOSTS
        ports = self.ports or (DEFAULT_PORT,)
        return tuple(zip(hosts, ports if len(ports) == len(hosts) else ports[:1] * len(hosts), strict=True))

    @property
    def address(self) -> str:
        """Where it leads, for messages: the places and the database, nothing of user and password."""
        where = [host if host.startswith("/") else f"{_bracketed(host)}:{port}" for host, port in self.places]
        at = ",".join(where) if self.hosts else f"the default host:{self.places[0][1]}"
        name = plain_name(self.database) if self.database else "the default database"
        return f"{at} ({name})" if at.startswith("/") else f"{at}/{name}"

    @property
    def likely_pooler(self) -> bool:
        """True when the URL says, or host or port suggest, that a pooler of transactions answers."""
        if self.pooler is not None:
            return self.pooler
        return any(
            port in POOLER_PORTS or (not host.startswith("/") and POOLER_HOST.search(host))
            for host, port in self.places
        )

    def secrets(self) -> tuple[str, ...]:
        """Pieces that must not appear in a message: the passwords, and names that could be parts of one."""
        hidden = [each.get_secret_value() for each in (self.password, self.sslpassword) if each is not None]
        hidden += [name for name in (self.user, self.database) if name and plain_name(name) != name]
        return tuple(sorted((each for each in hidden if len(each) > 3), key=len, reverse=True))

    def __repr__(self) -> str:
        return f"ConnectionSettings({self.address})"

    def arguments(self) -> dict[str, Any]:
        """For ``asyncpg.connect``: everything is named, so that no ``PG*`` variable says otherwise.

        Only a password that is not given is looked for where ``psql`` would: PGPASSWORD, ``~/.pgpass``.
        """
        user = self.user or _system_user()
        arguments: dict[str, Any] = {
            "host": [host for host, _ in self.places],
            "port": [port for _, port in self.places],
            "user": user,
            "database": self.database or user,
            "direct_tls": self.direct_tls,
            "target_session_attrs": self.session,
            "krbsrvname": self.krbsrvname,
            "gsslib": self.gsslib,
        }
        if self.password is not None:
            arguments["password"] = self.password.get_secret_value  # called by the driver when it is asked
        if self.passfile is not None:
            arguments["passfile"] = self.passfile
        return arguments


def read_url(url: str | SecretStr) -> ConnectionSettings:
    """The settings that ``url`` means. Raises DatabaseURLError, which shows nothing of it."""
    url = url if isinstance(url, SecretStr) else SecretStr(url)  # no frame of a traceback holds the text
    read = _read(url)
    if isinstance(read, str):
        raise DatabaseURLError(read)
    return read


def plain_name(name: str) -> str:
    """A name of a database as it may be shown: itself when it is plain, else a mark that tells it apart."""
    if PLAIN_NAME.fullmatch(name):
        return name
    return f"a database #{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _read(url: SecretStr) -> ConnectionSettings | str:
    """The settings, or what is wrong: an exception would carry the frames that hold the text."""
    try:
        return _parsed(url.get_secret_value().strip())
    except _Problem as problem:
        return str(problem)


def _parsed(text: str) -> ConnectionSettings:
    if text[:1] in "'\"`“‘«" and text:
        raise _Problem("stands in quotes; leave them out")
    scheme = SCHEMES.match(text)
    if scheme is None:
        raise _Problem(NO_SCHEME)
    if not all(char.isprintable() for char in text):
        raise _Problem(
            "holds a line break or another character that cannot be seen; write it as %0A and the like"
        )
    rest = text[scheme.end() :]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    after = rest[len(authority) :]
    if "#" in after or "@" in after:
        raise _Problem(ENCODE)
    path, _, query = after.partition("?")
    login, _, hosts = authority.rpartition("@")
    user, colon, password = login.partition(":")
    values = _Values(
        settings={
            "user": _decoded(user) or None,
            "password": SecretStr(_decoded(password)) if colon and password else None,
            "database": _database(path),
            **_places(hosts),
        },
        shows_names="@" in authority,
    )
    for name, value in _pairs(query):
        values.take(name, value)
    return values.done()


def _pairs(query: str) -> list[tuple[str, str]]:
    pairs = [piece.partition("=") for piece in query.split("&") if piece]
    return [
        (_decoded(name), _decoded(value.replace("+", "%20") if name.lower() == "options" else value))
        for name, _, value in pairs
    ]


def _decoded(text: str) -> str:
    """``text`` without percent encoding, which must be whole and spell UTF-8."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise _Problem(ENCODE)
    raw = re.sub(
        rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode("utf-8", "replace")
    )
    try:
        plain = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _Problem(ENCODE) from None
    if "\0" in plain:
        raise _Problem(ENCODE)
    return plain


def _database(path: str) -> str | None:
    name = path.removeprefix("/").removesuffix("/")
    if "/" in name:
        raise _Problem(ENCODE)
    return _decoded(name) or None


def _places(text: str) -> dict[str, Any]:
    """``host:port,host:port``, each host a name, an address, [an IPv6 address] or an escaped folder."""
    if not text:
        return {}
    hosts, ports = [], []
    for piece in text.split(","):
        found = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::(\d{1,5}))?", piece)
        if found is None:
            raise _Problem(ENCODE)
        hosts.append(_host(_decoded(found[1])))
        ports.append(_port(found[2]))
    if hosts == [""]:
        return {"ports": tuple(ports)} if ports != [DEFAULT_PORT] else {}
    return {"hosts": tuple(host or "localhost" for host in hosts), "ports": tuple(ports)}


def _host(text: str) -> str:
    if not text or text.startswith("/") or HOST_NAME.fullmatch(text):
        return text
    if text.startswith("[") or ":" in text:
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv6Address(text.strip("[]")))
    raise _Problem(ENCODE)


def _port(text: str | None) -> int:
    port = int(text) if text else DEFAULT_PORT
    if not 0 < port < 65_536:
        raise _Problem(WRONG_PORT)
    return port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        raise DatabaseURLError("names no user, and this process has none; write it before the host") from None


class _Values:
    """The settings of one URL, as its parameters are read."""

    def __init__(self, settings: dict[str, Any], *, shows_names: bool) -> None:
        self._settings = settings
        self._shows_names = shows_names
        """False where the name of an unknown parameter could be a piece of a password."""
        self._server: dict[str, str] = {}
        self._ignored: list[str] = []
        self._unknown: list[str] = []

    def take(self, name: str, value: str) -> None:
        """One parameter, honoured or noted as ignored."""
        known = name.lower()
        if known in READERS:
            READERS[known](self, value)
        elif known in IGNORED:
            self._ignored.append(known)
        else:
            self._unknown.append(name)

    def done(self) -> ConnectionSettings:
        """Everything that was read."""
        names = [each for each in self._unknown if self._shows_names and PARAMETER_NAME.fullmatch(each)]
        hidden = len(self._unknown) - len(names)
        if hidden:
            names.append(f"{hidden} parameter(s) that are not known")
        hosts, ports = self._settings.get("hosts", ()), self._settings.get("ports", ())
        if len(ports) not in (0, 1, len(hosts)):
            raise _Problem("names another number of ports than of hosts")
        if self._settings.get("direct_tls"):  # there is no going back to a connection without
            self._settings.setdefault("sslmode", "require")
            if self._settings["sslmode"] in SSL_MODES[:3]:
                raise _Problem("has sslnegotiation=direct, which needs sslmode=require or more")
        return ConnectionSettings(
            **self._settings,
            server_settings=self._server,
            ignored=tuple(dict.fromkeys(self._ignored + names)),
        )

    def text(self, key: str, value: str) -> None:
        if value:
            self._settings[key] = value

    def secret(self, key: str, value: str) -> None:
        if value:
            self._settings[key] = SecretStr(value)
        if key == "password":
            self._shows_names = False  # an & in it would have made a parameter of its rest

    def choice(self, key: str, name: str, value: str, allowed: tuple[str, ...]) -> None:
        if value.lower() not in allowed:
            raise _Problem(f"has a wrong {name}; it should be one of {', '.join(allowed)}")
        self._settings[key] = value.lower()

    def hosts(self, value: str) -> None:
        if not self._settings.get("hosts"):  # what stands before the path goes first, as everywhere
            found = _places(value)
            ports = self._settings.get("ports")
            self._settings.update(found if ports is None else {**found, "ports": ports})

    def ports(self, value: str) -> None:
        pieces = value.split(",")
        if not all(re.fullmatch(r"\d{1,5}", piece) for piece in pieces):
            raise _Problem(WRONG_PORT)
        self._settings["ports"] = tuple(_port(piece) for piece in pieces)

    def sslmode(self, value: str) -> None:
        self.choice("sslmode", "sslmode", {"no-verify": "require"}.get(value.lower(), value), SSL_MODES)

    def ssl(self, value: str) -> None:
        """``ssl=true`` of JDBC and node; a mode in words counts as one."""
        yes = value.lower() in ("true", "1", "on", "yes", "")
        no = value.lower() in ("false", "0", "off", "no")
        if "sslmode" not in self._settings or not yes:
            self.sslmode("require" if yes else "disable" if no else value)

    def connect_timeout(self, value: str) -> None:
        if not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", value):
            raise _Problem("has a wrong connect_timeout; it should be a number of seconds")
        if float(value):
            self._settings["connect_timeout"] = min(float(value), LONGEST_CONNECT_SECONDS)

    def connection_limit(self, value: str) -> None:
        if not re.fullmatch(r"[1-9]\d{0,3}", value):
            raise _Problem("has a wrong connection_limit; it should be a number from 1")
        self._settings["connection_limit"] = int(value)

    def schema(self, value: str) -> None:
        if not SCHEMA_NAME.fullmatch(value):
            raise _Problem("has a wrong schema; it should be a name of a-z, 0-9 and _, not pg_...")
        self._settings["schema"] = value

    def pooler(self, value: str) -> None:
        self._settings["pooler"] = value.lower() not in ("false", "0", "off", "no")

    def negotiation(self, value: str) -> None:
        self.choice("direct_tls", "sslnegotiation", value, ("postgres", "direct"))
        self._settings["direct_tls"] = self._settings["direct_tls"] == "direct"

    def server(self, name: str, value: str) -> None:
        if value:
            self._server[name] = value


def _text(key: str) -> Callable[[_Values, str], None]:
    return lambda values, value: values.text(key, value)


def _server(name: str) -> Callable[[_Values, str], None]:
    return lambda values, value: values.server(name, value)


READERS: Mapping[str, Callable[[_Values, str], None]] = {
    "host": _Values.hosts,
    "port": _Values.ports,
    "user": _text("user"),
    "password": lambda values, value: values.secret("password", value),
    "dbname": _text("database"),
    "database": _text("database"),
    "passfile": _text("passfile"),
    "krbsrvname": _text("krbsrvname"),
    "gsslib": lambda values, value: values.choice("gsslib", "gsslib", value, ("gssapi", "sspi")),
    "sslmode": _Values.sslmode,
    "ssl": _Values.ssl,
    "sslrootcert": _text("sslrootcert"),
    "sslcert": _text("sslcert"),
    "sslkey": _text("sslkey"),
    "sslcrl": _text("sslcrl"),
    "sslpassword": lambda values, value: values.secret("sslpassword", value),
    "sslnegotiation": _Values.negotiation,
    "target_session_attrs": lambda values, value: values.choice(
        "session", "target_session_attrs", value, SESSIONS
    ),
    "connect_timeout": _Values.connect_timeout,
    "connection_limit": _Values.connection_limit,
    "schema": _Values.schema,
    "currentschema": _Values.schema,
    "pgbouncer": _Values.pooler,
    "application_name": _server("application_name"),
    "options": _server("options"),
    "search_path": _server("search_path"),
}
"""What is done with each parameter that means something here."""
