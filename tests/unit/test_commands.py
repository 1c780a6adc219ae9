"""The command line of ``python -m llm_integration``, and what it prints."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llm_integration.commands import main
from llm_integration.commands.arguments import count, since
from llm_integration.commands.export import _Thread
from llm_integration.commands.line import COMMANDS, load_command
from llm_integration.commands.settings import load
from llm_integration.commands.terminal import clean, digits, json_line, say, show_table
from llm_integration.errors import ConfigError


def leave(arguments: list[str]) -> int:
    """The exit status, also when the argument parser leaves."""
    try:
        return main(arguments)
    except SystemExit as left:
        return int(left.code or 0)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help ends with 0 and tells what each option does."""
    assert leave([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: python -m llm_integration {name} ")
    _, parser = load_command(name)
    for action in parser._actions:
        assert action.help, f"{name} {action.option_strings}"
        assert not action.option_strings or action.option_strings[0] in shown


def test_the_overview_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """--help without a command names them all."""
    assert leave(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name a command: check, export"),
        (["exprot"], "did you mean 'export'?"),
        (["ex\x1b[2Jport\nx"], "unknown command"),
        (["--loud"], "--loud"),
        (["export", "--loud"], "--loud"),
        (["export", "--all", "--session", "x"], "not allowed"),
        (["costs", "--since", "soon"], "'soon'"),
        (["health", "--window", "5"], "between 50 and 10,000"),
        (["simulate", "--port", "99999"], "not a port"),
        (["simulate", "--fault", "nonsense=1"], "nonsense"),
        (["export", "--config", "/nowhere/config.json"], "no such file"),
        (["export", "--database-url", "http://x"], "postgresql://"),
    ],
)
def test_wrong_usage_is_one_line_on_stderr_and_status_2(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing on stdout, no traceback, no control character."""
    assert leave(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told in captured.err
    assert captured.err.count("\n") == 1
    assert captured.err[:-1].isprintable()


def test_a_command_leaves_no_logging_behind(capsys: pytest.CaptureFixture[str]) -> None:
    """Handlers of the process are as before: a program may run a command itself."""
    before = list(logging.getLogger().handlers)
    assert leave(["costs", "--config", "/nowhere"]) == 2
    assert logging.getLogger().handlers == before
    assert "costs: " in capsys.readouterr().err


def test_the_library_does_not_load_its_commands() -> None:
    """``import llm_integration`` brings neither the commands nor the database nor rich."""
    code = (
        "import sys, llm_integration; "
        "print([m for m in sys.modules if m.startswith(('llm_integration.commands', 'database', 'rich'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "name", ["llm_integration", "llm_integration.simulator", "llm_integration.reference"]
)
def test_the_programs_of_the_package_still_run(name: str) -> None:
    """Each ends with 0 where it is only asked to tell something."""
    arguments = [] if name.endswith("reference") else ["--help"]
    done = subprocess.run(
        [sys.executable, "-m", name, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_simulator_and_its_command_take_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """``simulate --list-faults`` prints the simulator's own table."""
    from llm_integration.simulator.__main__ import main as simulator_main  # noqa: PLC0415  only needed here

    assert simulator_main(["--list-faults"]) == 0
    expected = capsys.readouterr().out
    assert main(["simulate", "--list-faults"]) == 0
    assert capsys.readouterr().out == expected


def test_moments_are_read_as_people_write_them() -> None:
    """Days, times and how long ago; a time without a zone is UTC."""
    assert since("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    assert since("2026-01-31T14:30") == datetime(2026, 1, 31, 14, 30, tzinfo=UTC)
    ago = datetime.now(UTC) - since("36h")
    assert abs(ago - timedelta(hours=36)) < timedelta(minutes=1)
    for wrong in ("yesterday", "", "7 weeks", "-3d", "99999999999d"):
        with pytest.raises(argparse.ArgumentTypeError):
            since(wrong)


@pytest.mark.parametrize("wrong", ["0", "-1", "1.5", "x", "", "²", "9" * 30])
def test_a_count_is_a_whole_number_above_0(wrong: str) -> None:
    """Anything else is an error of usage."""
    assert count("12") == 12
    with pytest.raises(argparse.ArgumentTypeError):
        count(wrong)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("a\nb\tc\rd", "a b c d"),
        ("\u202eesrever\u200b", "esrever"),
        ("\ud800\x00\x9b5nx", "x"),
        ("[bold]b[/bold]", "[bold]b[/bold]"),
        ("x" * 600, "x" * 499 + "…"),
    ],
)
def test_text_from_outside_cannot_command_the_terminal(hostile: str, shown: str) -> None:
    """Control sequences and invisible characters go, the rest stays, in one line of bounded length."""
    assert clean(hostile) == shown


def test_tables_show_text_as_it_is_and_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    """Markup in a cell is text, None is a dash, Decimals keep their digits."""
    show_table("[red]t[/red]", ("name", "n"), [("[blink]x[/blink]\x1b[5m", 1_000), (None, 2)])
    show_table("d", ("cost", "at"), [(Decimal("1E-8"), datetime(2026, 1, 2, tzinfo=UTC))])
    say("line\x1b[2J")
    shown = capsys.readouterr().out
    assert "[red]t[/red]" in shown
    assert "│ [blink]x[/blink] │ 1,000 │" in shown
    assert "│ -                │     2 │" in shown
    assert "0.00000001" in shown
    assert "2026-01-02 00:00" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("0.023264550000000", "0.02326455"), ("1E-8", "0.00000001"), ("100", "100"), ("0", "0"), ("1.0", "1")],
)
def test_amounts_keep_their_digits_and_no_idle_zeros(amount: str, shown: str) -> None:
    """Neither an exponent nor a rounding; a whole number keeps its zeros."""
    assert digits(Decimal(amount)) == shown


def test_json_is_exact_and_safe(capsys: pytest.CaptureFixture[str]) -> None:
    """Decimals as text, numbers as numbers, times in ISO 8601, and no byte a terminal could obey."""
    json_line(
        {"usd": Decimal("0.00000012"), "n": 3, "at": datetime(2026, 1, 2, tzinfo=UTC), "x": "\x1b\x9b…"}
    )
    shown = capsys.readouterr().out
    assert json.loads(shown) == {
        "usd": "0.00000012",
        "n": 3,
        "at": "2026-01-02T00:00:00+00:00",
        "x": "\x1b\x9b…",
    }
    assert shown.isascii()
    assert "\x1b" not in shown
    with pytest.raises(ValueError, match="JSON"):
        json_line(float("nan"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["costs"],
        ["explain-route", "--symbol", "ES", "--type", "BUY"],
        ["export"],
        ["health"],
        ["prompt", "list"],
        ["prompt", "render", "--last"],
        ["retry", "--failed"],
    ],
)
def test_without_rich_a_command_says_what_to_install_before_it_does_anything(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit status 2, although no database can be reached."""
    monkeypatch.setitem(sys.modules, "rich", None)
    assert leave([*arguments, "--database-url", "postgresql://127.0.0.1:9/none"]) == 2
    shown = capsys.readouterr()
    told = 'tables need rich: pip install "tradent-llm-sidecar[cli]", or use --json'
    assert (shown.out, shown.err) == ("", f"{arguments[0]}: {told}\n")


def test_without_rich_json_does_as_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scripts need no table."""
    monkeypatch.setitem(sys.modules, "rich", None)
    assert leave(["prompt", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["prompts"]


@pytest.mark.parametrize(
    ("started", "told"),
    [
        ("/usr/local/bin/tradent", "tradent"),
        ("tradent", "tradent"),
        ("/venv/lib/llm_integration/__main__.py", "python -m llm_integration"),
        ("/home/tradent/run.py", "python -m llm_integration"),
        ("-c", "python -m llm_integration"),
        ("", "python -m llm_integration"),
    ],
)
def test_help_names_the_program_as_it_was_started(
    started: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stands there can be typed again, for the overview and for each command."""
    monkeypatch.setattr(sys, "argv", [started])
    for arguments in ([], ["costs"], ["prompt", "list"], ["simulate"]):
        assert leave([*arguments, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"usage: {' '.join([told, *arguments])} ")


async def test_work_in_a_thread_ends_when_its_command_is_interrupted() -> None:
    """It stops at its next pause, and the command goes on only then: nobody closes its files before."""
    thread, started, ended = _Thread(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        try:
            for _ in range(1_000):
                thread.pause(0.01)
        except InterruptedError:
            ended.set()
            raise

    task = asyncio.create_task(thread.do(work))
    await asyncio.to_thread(started.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
    assert await _Thread().do(sum, [1, 2]) == 3


def arguments(**values: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"config": None, "database_url": None, **values})


def test_settings_come_from_the_file_the_environment_and_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """config.json of this folder unless another is named; without one the defaults."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert load(arguments()).file is None
    (tmp_path / "config.json").write_text('{"llm": {"model": "a/b"}, "trading": {"symbol": "ES"}}')
    found = load(arguments())
    assert (str(found.file), found.llm.model, found.database.embedded) == ("config.json", "a/b", True)
    monkeypatch.setenv("LLM_MODEL", "c/d")
    monkeypatch.setenv("DATABASE_URL", "postgresql://one/x")
    found = load(arguments(database_url="postgresql://two/x"))
    assert found.llm.model == "c/d"
    assert found.database.url.get_secret_value() == "postgresql://two/x"
    (tmp_path / "config.json").write_text('{"llmm": {}}')
    with pytest.raises(ConfigError, match="did you mean 'llm'"):
        load(arguments())
