"""TLS as ``sslmode`` asks for it, from what the URL says alone: no ``PGSSL*`` variable has a part in it."""

from __future__ import annotations

import ssl
from pathlib import Path

from llm_integration.record.database_url import ConnectionSettings
from llm_integration.record.errors import DatabaseRefusedError

__all__ = ["Tls", "tls_attempts"]

Tls = ssl.SSLContext | bool
SYSTEM = "system"


def tls_attempts(settings: ConnectionSettings) -> tuple[Tls, ...]:
    """What to connect with, in turn, until the server takes it. False is a connection without TLS.

    Reads certificates from disk. Raises DatabaseRefusedError when one cannot be read.
    """
    mode = settings.sslmode or "prefer"
    if mode == "disable" or all(host.startswith("/") for host, _ in settings.places):
        return (False,)
    context = _context(settings, mode)
    if mode in ("allow", "prefer"):
        return (context, False) if mode == "prefer" else (False, context)
    return (context,)


def _context(settings: ConnectionSettings, mode: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = mode == "verify-full"
    _trust(context, settings.sslrootcert or _default_file("root.crt"), mode)
    if settings.sslcrl:
        _load(context, "sslcrl", settings.sslcrl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    _identify(context, settings)
    if ssl.HAS_ALPN:
        context.set_alpn_protocols(["postgresql"])
    return context


def _trust(context: ssl.SSLContext, root: str | None, mode: str) -> None:
    """Whose certificates are believed. ``require`` alone believes any, as everywhere."""
    if mode in ("allow", "prefer") or (mode == "require" and not root):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif root and root != SYSTEM:
        _load(context, "sslrootcert", root)
    else:
        context.load_default_certs()
        context.check_hostname = (
            context.check_hostname or root == SYSTEM
        )  # anybody can get such a certificate


def _load(context: ssl.SSLContext, name: str, file: str) -> None:
    try:
        context.load_verify_locations(cafile=str(Path(file).expanduser()))
    except OSError as error:  # ssl's own errors are among them
        raise _unreadable(name, error) from None


def _identify(context: ssl.SSLContext, settings: ConnectionSettings) -> None:
    """Show a certificate of ours, if there is one."""
    certificate = settings.sslcert or _default_file("postgresql.crt")
    if certificate is None:
        return
    key = settings.sslkey or _default_file("postgresql.key")
    password = settings.sslpassword
    try:
        context.load_cert_chain(
            Path(certificate).expanduser(),
            Path(key).expanduser() if key else None,
            password=password.get_secret_value if password else lambda: "",  # never asked on the terminal
        )
    except OSError as error:
        raise _unreadable("sslcert or sslkey", error) from None


def _default_file(name: str) -> str | None:
    """Where ``psql`` looks for it, if it is there."""
    try:
        file = Path.home() / ".postgresql" / name
        return str(file) if file.is_file() else None
    except (OSError, RuntimeError):  # no home folder
        return None


def _unreadable(name: str, error: OSError) -> DatabaseRefusedError:
    why = (
        "it holds no usable certificate"
        if isinstance(error, ssl.SSLError)
        else error.strerror or "it is not there"
    )
    return DatabaseRefusedError(f"the file that {name} names cannot be used: {why}")
