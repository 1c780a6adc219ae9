"""How requests leave: proxies of the environment, certificates, plain http, and what is said about it."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import ssl
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr

from llm_integration.commands import check_server
from llm_integration.commands.check_item import Status
from llm_integration.config import LLMConfig
from llm_integration.config.origin import address_origin
from llm_integration.errors import ConfigError, LineStoppedError, TransportError
from llm_integration.http_client import certificate_fault, is_loopback, key_objection, proxy_for
from llm_integration.llm_processor import LLMProcessor
from llm_integration.model_catalogue import ModelCatalogue
from tests.integration.raw_server import raw_server, read_request

ROOT = Path(__file__).resolve().parents[2]
TLS = Path(__file__).resolve().parent.parent / "data" / "tls"
KEY = "sk-or-v1-MARKERMARKERMARKER"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
LOCAL = "http://localhost:1/v1"
BODY = b'{"id":"c","model":"m","choices":[{"message":{"content":"fine"},"finish_reason":"stop"}]}'
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        for each in (name, name.upper()):
            monkeypatch.delenv(each, raising=False)


class Listener:
    """A server that notes the heads of requests and answers them all well."""

    def __init__(self) -> None:
        self.heads: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            self.heads.append(request.split(b"\r\n\r\n")[0].decode())
            writer.write(REPLY)
            await writer.drain()


def processor(url: str, *, key: str | None = KEY, **settings: object) -> LLMProcessor:
    config = LLMConfig(**{"base_url": url, "max_retries": 0, "request_timeout_seconds": 5.0} | settings)
    return LLMProcessor(config, api_key=None if key is None else SecretStr(key))


# Proxies


async def test_a_request_takes_the_proxy_of_the_environment_and_reads_no_netrc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its user and password go to it alone, and stand in no log; a password file for the host is not used."""
    netrc = tmp_path / "netrc"
    netrc.write_text(
        "machine api.example.test login me password NETRCMARKER\ndefault login a password NETRCMARKER\n"
    )
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    listener = Listener()
    async with raw_server(listener) as where:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:PROXYMARKER@{where}")
        client = processor("http://api.example.test/v1", key=None)
        with caplog.at_level(logging.DEBUG):
            assert (await client.complete("x")).text == "fine"
        await client.close()
        assert await ModelCatalogue("http://api.example.test/v1").refresh() is False  # no list, but asked for
    assert listener.heads[0].startswith("POST http://api.example.test/v1/chat/completions HTTP/1.1")
    assert listener.heads[1].startswith("GET http://api.example.test/v1/models HTTP/1.1")
    for head in listener.heads:
        sent = head.split("Proxy-Authorization: Basic ")[1].split("\r\n")[0]
        assert base64.b64decode(sent) == b"me:PROXYMARKER"
        assert "\r\nAuthorization" not in head
        assert "NETRC" not in head
    assert "PROXYMARKER" not in caplog.text
    assert f"through the proxy {where}" in caplog.text


async def test_an_https_address_is_reached_through_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy hears of host and port alone; neither key nor path."""
    heads: list[str] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with raw_server(proxy) as where:
        monkeypatch.setenv("https_proxy", f"http://me:PROXYMARKER@{where}")
        client = processor("https://api.example.test/v1")
        with pytest.raises(TransportError, match=r"the proxy refuses \(HTTP 403\); check HTTPS_PROXY"):
            await client.complete("x")
        await client.close()
    assert heads[0].startswith("CONNECT api.example.test:443 HTTP/1.1")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'me:PROXYMARKER').decode()}" in heads[0]
    assert KEY not in "".join(heads)


async def test_a_proxy_that_is_away_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable."""
    monkeypatch.setenv("HTTP_PROXY", "http://me:PROXYMARKER@127.0.0.1:9")
    client = processor("http://api.example.test/v1", key=None)
    with pytest.raises(TransportError, match=r"the proxy 127\.0\.0\.1:9 cannot be reached") as failure:
        await client.complete("x")
    await client.close()
    assert "PROXYMARKER" not in str(failure.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_loopback_never_takes_a_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local model is local, whatever the environment says."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    listener = Listener()
    async with raw_server(listener) as where:
        client = processor(f"http://{host}:{where.rpartition(':')[2]}/v1")
        assert (await client.complete("x")).text == "fine"
        await client.close()


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, "https://a.test/v1", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://a.test/v1", "p:1"),
        ({"https_proxy": "p:1"}, "https://a.test/v1", "p:1"),
        ({"HTTPS_PROXY": "https://p"}, "https://a.test/v1", "p:443"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://a.test/v1", None),
        ({"HTTP_PROXY": "http://p:1"}, "https://a.test/v1", None),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": "a.test"}, "http://a.test/v1", None),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": ".test"}, "http://a.test/v1", None),
        ({"HTTP_PROXY": "http://p:1", "no_proxy": "*"}, "http://a.test/v1", None),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": "a.test:8080"}, "http://a.test:8080/v1", None),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": "b.test"}, "http://a.test/v1", "p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "http://[::1]:1234/v1", None),
        ({"HTTP_PROXY": ""}, "http://a.test/v1", None),
    ],
)
def test_which_proxy_is_taken(
    variables: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As other programs read these variables, in either case."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = proxy_for(url)
    assert (None if found is None else found.name) == proxy


@pytest.mark.parametrize(
    "value", ["socks5://me:MARKER@p:1", "ftp://p:1", "http://", "http://p:x", "://MARKER"]
)
def test_a_proxy_that_cannot_be_used_is_one_line_without_its_value(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration error that names the variable."""
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ConfigError, match="HTTPS_PROXY names") as failure:
        processor("https://a.test/v1")
    assert "MARKER" not in str(failure.value)


# Plain http


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:11434/v1", True),
        ("http://LOCALHOST./v1", True),
        ("http://127.0.0.1/v1", True),
        ("http://127.8.9.1:1/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://[::ffff:127.0.0.1]/v1", True),
        ("http://0.0.0.0:8000/v1", True),
        ("http://model.localhost/v1", True),
        ("http://10.0.0.1/v1", False),
        ("http://192.168.1.5:1234/v1", False),
        ("http://localhost.example.test/v1", False),
        ("http://127.0.0.1.example.test/v1", False),
        ("http://ollama:11434/v1", False),
        ("http://[fe80::1]/v1", False),
    ],
)
def test_a_key_goes_over_plain_http_to_this_machine_only(url: str, local: bool) -> None:
    """Elsewhere it is refused at the start in one line that names the setting; without a key nothing is."""
    assert is_loopback(url) is local
    assert (key_objection(url, allowed=False) is None) is local
    if local:
        processor(url)
        return
    with pytest.raises(ConfigError, match="allow_plain_http"):
        processor(url)
    processor(url, key=None)
    processor(url, allow_plain_http=True)
    processor(url.replace("http://", "https://"))


async def test_check_sends_no_key_over_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says why, and asks nothing."""
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    items = await check_server._key(LLMConfig(base_url="http://example.test:9/v1"), date(2026, 1, 1))
    assert (items[0].status, "allow_plain_http" in items[0].text) == (Status.FAIL, True)


# What is said about the address


@pytest.mark.parametrize(
    ("process", "dotenv", "said", "suspicious"),
    [
        ({}, "", "the default", False),
        ({"OPENROUTER_BASE_URL": f"{LOCAL}/"}, "", "OPENROUTER_BASE_URL in the environment", False),
        ({"LLM_BASE_URL": "http://localhost:1/v1"}, "", "LLM_BASE_URL in the environment", False),
        ({}, f"OPENROUTER_BASE_URL={LOCAL}\n", "OPENROUTER_BASE_URL in .env", False),
        ({"OPENROUTER_API_KEY": KEY}, "LLM_BASE_URL=http://localhost:1/v1\n", "LLM_BASE_URL in .env", True),
        ({}, f"LLM_BASE_URL={LOCAL}\nOPENROUTER_API_KEY={KEY}\n", "LLM_BASE_URL in .env", False),
        (
            {"OPENROUTER_API_KEY": KEY, "LLM_BASE_URL": "http://localhost:1/v1"},
            "LLM_BASE_URL=http://localhost:2/v1\n", "LLM_BASE_URL in the environment", False,
        ),
    ],
)  # fmt: skip
def test_who_named_the_address_is_known(
    process: dict[str, str], dotenv: str, said: str, suspicious: bool, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The variable, or the file; an address from .env beside a key from the environment is suspicious."""
    file = tmp_path / ".env"
    file.write_text(dotenv)
    monkeypatch.setenv("TRADENT_ENV_FILE", str(file))
    for name, value in process.items():
        monkeypatch.setenv(name, value)
    origin = address_origin(LLMConfig())
    assert (origin.address_from, origin.suspicious) == (said, suspicious)


def test_an_address_of_a_file_or_of_code_is_named_so(tmp_path: Path) -> None:
    """With the file's name and block."""
    file = tmp_path / "config.json"
    file.write_text('{"llm": {"base_url": "http://localhost:1/v1"}}')
    assert address_origin(LLMConfig.load(file)).address_from == f"base_url in {file}: llm"
    assert address_origin(LLMConfig(base_url="http://localhost:1/v1")).address_from == "base_url in code"


async def test_the_first_request_says_where_requests_go_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line, and a warning if somebody else may have written the address; never the key."""
    listener = Listener()
    async with raw_server(listener) as where:
        file = tmp_path / ".env"
        file.write_text(f"OPENROUTER_BASE_URL=http://{where}/v1\n")
        monkeypatch.setenv("TRADENT_ENV_FILE", str(file))
        monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
        client = LLMProcessor(LLMConfig(max_retries=0))
        with caplog.at_level(logging.INFO):
            await asyncio.gather(*(client.complete("x") for _ in range(3)))
        await client.close()
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told[0] == ("INFO", f"requests go to http://{where}/v1 (OPENROUTER_BASE_URL in .env)")
    assert told[1][0] == "WARNING"
    assert "if you did not write that file" in told[1][1]
    assert len(told) == 2
    assert KEY not in caplog.text


# Certificates


def asked_over_tls(where: str, trusted: Path | None, **variables: str) -> str:
    """What a process that trusts ``trusted`` gets from https://WHERE, or the error's text."""
    script = (
        "import asyncio, sys\n"
        "from llm_integration import LLMConfig, LLMProcessor\n"
        "async def main():\n"
        f"    client = LLMProcessor(LLMConfig(base_url='https://{where}/v1', max_retries=0))\n"
        "    try:\n"
        "        print((await client.complete('x')).text)\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, error)\n"
        "    await client.close()\n"
        "asyncio.run(main())\n"
    )
    env = {**os.environ, "TRADENT_ENV_FILE": ""} | ({"SSL_CERT_FILE": str(trusted)} if trusted else {})
    env |= variables
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("served", "trusted", "told"),
    [
        ("localhost", True, "fine"),
        ("localhost", False, "LineStoppedError the certificate of localhost is self-signed"),
        ("other", True, "LineStoppedError the certificate of localhost is for another name; check the host"),
        ("expired", True, "LineStoppedError the certificate of localhost has expired"),
    ],
)
async def test_a_certificate_that_is_refused_is_one_clear_line(served: str, trusted: bool, told: str) -> None:
    """It says what is wrong, with which host, and what to do; signals wait."""
    file = TLS / f"{served}.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    async with raw_server(Listener(), tls=context) as where:
        local = where.replace("127.0.0.1", "localhost")
        said = await asyncio.to_thread(asked_over_tls, local, file if trusted else None)
    assert said.startswith(told)
    assert "\n" not in said


async def test_a_tunnel_is_encrypted_to_its_end() -> None:
    """The certificate is the server's, not the proxy's, and the answer comes through."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "other.pem")
    seen = bytearray()
    async with raw_server(Listener(), tls=context) as server:

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.extend(await reader.readuntil(b"\r\n\r\n"))
            host, _, port = server.rpartition(":")
            there_reader, there_writer = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                while data := await source.read(65_536):
                    seen.extend(data)
                    sink.write(data)
                sink.close()

            await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

        async with raw_server(relay) as proxy:
            said = await asyncio.to_thread(
                asked_over_tls, "other.test", TLS / "other.pem", HTTPS_PROXY=f"http://{proxy}"
            )
    assert said == "fine"
    assert seen.startswith(b"CONNECT other.test:443")
    assert b"chat/completions" not in seen


async def test_https_to_a_server_without_it_names_the_setting() -> None:
    """A common slip: the local server speaks plain http."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with raw_server(plain) as where:
        client = processor(f"https://{where}/v1")
        with pytest.raises(TransportError, match="whether base_url should begin with http://"):
            await client.complete("x")
        await client.close()


@pytest.mark.parametrize("code", [9, 10, 18, 19, 20, 21, 23, 62, 64, 7])
def test_every_fault_of_a_certificate_is_told_in_one_line(code: int) -> None:
    """With the host; an unknown number by OpenSSL's own words."""
    error = ssl.SSLCertVerificationError("raw")
    error.verify_code, error.verify_message = code, "certificate signature failure"
    told = certificate_fault(error, "https://api.example.test/v1")
    assert told is not None
    assert told.startswith("the certificate of api.example.test ")
    assert "raw" not in told
    assert certificate_fault(OSError("raw"), "https://api.example.test/v1") is None


async def test_the_line_stops_over_a_certificate_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """Every further signal waits instead of failing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "localhost.pem")
    async with raw_server(Listener(), tls=context) as where:
        client = processor(f"https://localhost:{where.rpartition(':')[2]}/v1", max_retries=3)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                with pytest.raises(LineStoppedError, match="self-signed"):
                    await client.complete("x")
        await client.close()
    assert len(caplog.records) == 1
