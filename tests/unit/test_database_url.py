"""Database URLs as people and providers write them, and what becomes of a password that breaks them."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from database.db_manager import DatabaseManager
from llm_integration.record.config import DatabaseConfig
from llm_integration.record.database_url import ConnectionSettings, DatabaseURLError, read_url

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "database_urls.jsonl").read_text("utf-8").splitlines()
]
READABLE = [case for case in CASES if "problem" not in case]
UNREADABLE = [case for case in CASES if "problem" in case]
MARKER = "MRKRsecret"


@pytest.mark.parametrize("case", READABLE, ids=lambda case: case["url"])
def test_a_url_is_read_as_it_is_meant(case: dict[str, Any]) -> None:
    """Hosts, login, database and parameters of drivers and providers."""
    told = read_url(case["url"])
    for name, wanted in case.items():
        if name == "url":
            continue
        found: Any = getattr(told, name)
        if isinstance(found, SecretStr):
            found = found.get_secret_value()
        assert (list(found) if isinstance(found, tuple) else found) == wanted, name


@pytest.mark.parametrize("case", UNREADABLE, ids=lambda case: case["url"])
def test_a_url_that_does_not_read_as_meant_says_what_to_write(case: dict[str, Any]) -> None:
    """One line, without anything of the URL."""
    with pytest.raises(DatabaseURLError) as caught:
        read_url(case["url"])
    message = str(caught.value)
    assert case["problem"] in message
    assert "\n" not in message
    assert "p@" not in message


BREAKING = "/?#@%:[] '\"\\\n\t\r+&=;,!$*()<>{}|^~`äß€\u00a0\u200b\ud800%2F%zz%00"
PIECES = st.text(st.one_of(st.sampled_from(BREAKING), st.characters(codec="utf-8")), max_size=6)
HOSTS = st.sampled_from(["127.0.0.1:1", "h:5432", "h", "[::1]:1", "h1,h2", "", "h:port", "10.0.0.9:6432"])
FORMS = st.sampled_from(
    [
        "postgresql://user:{}@{}/db", "postgresql://{}@{}/db", "postgres://user:{}@{}", "user:{}@{}/db",
        "postgresql://user:{}@{}/db?sslmode=disable", "postgresql://{}:{}/db", "postgresql:user:{}@{}/db",
        "postgresql://u@{1}/db?password={0}", "postgresql://{1}/db?user=u&password={0}&sslmode=disable",
        "postgresql+asyncpg://user:{}@{}/db", " postgresql://user:{}@{}/db\n", "'postgresql://user:{}@{}/db'",
        "jdbc:postgresql://{1}/db?user=u&password={0}", "host={1} user=u password={0}",
        "postgresql://user%3A{}@{}/db", "postgresql://u:p@{1}/{0}@x", "postgresql://u:p@{1}/db?{0}@=1",
    ]
)  # fmt: skip


@settings(max_examples=500)
@given(form=FORMS, host=HOSTS, before=PIECES, after=PIECES, escaped=st.booleans())
@example(form="postgresql://user:{}@{}/db", host="127.0.0.1:1", before="12/", after="", escaped=False)
@example(form="postgresql://user:{}@{}/db", host="127.0.0.1:1", before="a@b:5/", after="", escaped=False)
@example(form="postgresql://u@{1}/db?password={0}", host="h", before="a&", after="=", escaped=False)
@example(form="postgresql://{}:{}/db", host="", before="", after="", escaped=False)
@example(form="postgresql://user%3A{}@{}/db", host="h", before="", after="", escaped=True)
def test_no_url_makes_its_password_appear(
    form: str, host: str, before: str, after: str, escaped: bool
) -> None:
    """Whatever stands in it and however it is cut: not in errors, their variables, reprs, addresses."""
    password = before + MARKER + after
    url = SecretStr(form.format(quote(password.encode("utf-8", "replace")) if escaped else password, host))
    shown = _everything_shown(url)
    assert MARKER not in shown
    assert MARKER.lower() not in shown.lower()


def _everything_shown(url: SecretStr) -> str:
    parts = []
    try:
        parts.append(repr(told := read_url(url)) + told.address + repr(told.ignored))
    except DatabaseURLError as error:
        parts.append(_frames(error))
    try:
        parts.append(repr(DatabaseConfig.model_validate({"url": url})))
    except ValidationError as error:
        parts.append(_frames(error) + repr(error.errors()))
    manager = DatabaseManager(url)
    parts.append(repr(manager) + manager.address + repr(manager.connections._opener.connector))
    return "".join(parts)


def _frames(error: BaseException) -> str:
    """What a reporter of crashes would send: the traceback with the variables of each frame of ours."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


@given(password=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_an_escaped_password_arrives_as_it_is(password: str) -> None:
    """Whatever its characters."""
    told = read_url(f"postgresql://user:{quote(password, safe='')}@host:5433/db?sslmode=disable")
    assert told.password is not None
    assert told.password.get_secret_value() == password
    assert (told.address, told.user) == ("host:5433/db", "user")


def test_nothing_is_left_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every keyword that a PG* variable could fill is given, the password alone excepted."""
    arguments = ConnectionSettings(hosts=("h",)).arguments()
    assert {"host", "port", "user", "database", "direct_tls", "target_session_attrs", "krbsrvname"} <= set(
        arguments
    )
    monkeypatch.setenv("PGUSER", "nobody_of_that_name")
    assert arguments["user"] == ConnectionSettings(hosts=("h",)).arguments()["user"]
