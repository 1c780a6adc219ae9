"""What aiohttp raises, as one line for the person who reads it. Pure."""

from __future__ import annotations

import ssl

import aiohttp
from yarl import URL

from llm_integration.http_client.guarded import ExcessError

__all__ = ["certificate_fault", "describe"]

TRUST = "put its issuer's certificate into a file and name that in SSL_CERT_FILE"
CERTIFICATES = {
    9: "is not valid yet; check the clock of this machine",
    10: "has expired; it has to be renewed at the server",
    18: f"is self-signed, so nobody vouches for it; if the server is yours, {TRUST}",
    19: f"comes from an issuer this machine does not know; if that is meant to be, {TRUST}",
    20: f"comes from an issuer this machine does not know; if that is meant to be, {TRUST}",
    21: f"comes without the certificates that lead to a known issuer; {TRUST}",
    23: "has been revoked",
    62: "is for another name; check the host in base_url",
    64: "is for another address; use the host's name in base_url",
}
"""By OpenSSL's number of what is wrong with a certificate (``X509_V_ERR_...``)."""


def certificate_fault(error: BaseException, url: str | URL) -> str | None:
    """What is wrong with the certificate of the server at ``url``, and what to do; None if nothing is."""
    cause = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error
    host = URL(url).host
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = CERTIFICATES.get(cause.verify_code)
        if reason is None:
            reason = f"is refused: {cause.verify_message[:100]}"
        return f"the certificate of {host} {reason}"
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return f"the certificate of {host} is not the one that is expected"
    return None


def describe(error: BaseException, url: str | URL) -> str:
    """One line about ``error``, which a request to ``url`` met; it quotes nothing that was received."""
    if told := certificate_fault(error, url):
        return told
    if told := _known(error, URL(url).host or "the server"):
        return told
    return f"{str(error) or 'connection lost'} ({type(error).__name__})"


def _known(error: BaseException, host: str) -> str | None:
    told = None
    if isinstance(error, ExcessError):
        told = str(error)
    elif isinstance(error, aiohttp.ClientHttpProxyError):
        told = f"the proxy refuses (HTTP {error.status}); check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
    elif isinstance(error, aiohttp.ClientProxyConnectionError):
        told = f"the proxy {error.host}:{error.port} cannot be reached; check HTTPS_PROXY and HTTP_PROXY"
    elif isinstance(error, aiohttp.ClientResponseError):  # its text quotes what was received
        told = "what came back is not valid HTTP"
    elif isinstance(error, (aiohttp.ClientConnectorSSLError, ssl.SSLError)):
        told = f"no encrypted connection to {host}; check whether base_url should begin with http://"
    elif isinstance(error, TimeoutError):
        told = f"{host} gives no answer in time"
    return told
