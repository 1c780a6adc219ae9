"""What children of this program inherit, how long they may take, and what their failure means."""

from __future__ import annotations

import ast
import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from llm_integration.record.programs import (
    Account,
    ProgramError,
    advice_for,
    child_environment,
    explain_os_error,
    reason,
    run,
)

ROOT = Path(__file__).resolve().parents[2]
OURSELVES = Account(os.geteuid(), os.getegid(), switch=False)
FAILURES = [
    json.loads(line)
    for line in (ROOT / "tests/data/server_failures.jsonl").read_text(encoding="utf-8").splitlines()
]
SECRETS = {
    "OPENROUTER_API_KEY": "sk-or-v1-secret", "BINANCE_API_SECRET": "secret", "AWS_SECRET_KEY": "secret",
    "DATABASE_URL": "postgresql://u:secret@h/d", "PGPASSWORD": "secret", "PGSERVICEFILE": "/secret",
    "LLM_MODEL": "secret", "LC_ALL": "xx_YY.secret", "LANG": "xx_YY.secret", "LD_PRELOAD": "/secret.so",
    "PYTHONPATH": "/secret", "SSH_AUTH_SOCK": "/secret", "anything else": "secret",
}  # fmt: skip
"""Kinds of variables that a child has no business with."""


def says(command: str, seconds: float = 20.0, hurry: threading.Event | None = None) -> str:
    """What a shell says, run as a child of ours is."""
    return run(["/bin/sh", "-c", command], account=OURSELVES, folder=ROOT, seconds=seconds, hurry=hurry)


def test_a_child_gets_a_few_variables_by_name() -> None:
    """Path, home, time zone and the loader's path are passed on, and nothing else, whatever its name."""
    passed = {"PATH": "/bin", "HOME": "/home/me", "TZ": "UTC", "LD_LIBRARY_PATH": "/lib"}
    assert child_environment(ours={**SECRETS, **passed}) == {**passed, "LC_ALL": "C"}
    assert child_environment("/var/lib/other", ours=passed)["HOME"] == "/var/lib/other"


def test_no_secret_reaches_a_real_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's own view of its environment."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    seen = says("env")
    assert "secret" not in seen
    assert "LC_ALL=C" in seen.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_child_inherits_no_file(tmp_path: Path) -> None:
    """Also not one that was opened as inheritable by somebody else in this process."""
    with (tmp_path / "open in the parent").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        assert "open in the parent" not in says("ls -l /proc/self/fd")


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case["reason"][:40])
def test_the_line_that_says_why_is_found_and_what_to_do(case: dict[str, str]) -> None:
    """Whatever stands around it in the output of initdb, pg_ctl and the server."""
    why = reason(case["output"])
    assert why == case["reason"]
    advice = advice_for(case["output"])
    assert case["advice"] in advice
    assert bool(advice) is bool(case["advice"])


def test_a_log_without_a_failure_gives_no_reason() -> None:
    """Its last line would say something that has nothing to do with it."""
    assert reason("LOG:  database system was interrupted\n", of_log=True) == ""


def test_an_error_of_the_system_names_the_path_and_what_to_do(tmp_path: Path) -> None:
    """One line, with the system's own words."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory") as caught:
        (tmp_path / "file" / "below").mkdir()
    assert explain_os_error(caught.value) == f"{tmp_path / 'file' / 'below'}: Not a directory"
    full = OSError(28, "No space left on device", "/x/y")
    assert explain_os_error(full).startswith("/x/y: No space left on device; make room")


@pytest.mark.parametrize("hurried", [False, True])
def test_a_program_that_hangs_is_killed_with_its_children(hurried: bool, tmp_path: Path) -> None:
    """At its bound, or at once when somebody is in a hurry."""
    hurry, file = threading.Event(), tmp_path / "child"
    if hurried:
        hurry.set()
    started = time.monotonic()
    with pytest.raises(ProgramError, match="did not end within"):
        says(f"sleep 600 & echo $! > {file}; wait", 60.0 if hurried else 0.5, hurry)
    assert time.monotonic() - started < 10
    number = file.read_text().strip() if file.exists() else ""
    while number and lives(number):
        assert time.monotonic() - started < 30
        time.sleep(0.01)


def lives(number: str) -> bool:
    """True unless the process is gone, or only waits to be reaped."""
    try:
        return not Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except OSError:
        return False


def test_a_program_that_fails_brings_what_it_said() -> None:
    """For the reason to be found in it."""
    with pytest.raises(ProgramError, match="sh ended with status 3") as caught:
        says("echo could not do it >&2; exit 3")
    assert caught.value.output == "could not do it\n"
    with pytest.raises(ProgramError, match="sh was ended by SIGTERM"):
        says("kill -TERM $$")


MODULES = ("subprocess.", "os.", "asyncio.", "pty.")
STARTERS = {
    "run", "Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput", "system", "popen",
    "spawn", "spawnv", "spawnve", "spawnl", "posix_spawn", "posix_spawnp", "execv", "execve", "execvp",
    "fork", "forkpty", "create_subprocess_exec", "create_subprocess_shell",
}  # fmt: skip


def children_started() -> list[tuple[str, ast.Call]]:
    """Every call in the product that starts a process."""
    found = []
    for folder in ("database", "llm_integration", "trading"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if name.startswith(MODULES) and name.split(".")[-1] in STARTERS:
                    assert isinstance(node, ast.Call)
                    found.append((f"{file.relative_to(ROOT)}:{node.lineno}", node))
    return found


def test_nothing_starts_a_process_with_our_environment() -> None:
    """Every call that starts one names the environment that it gets."""
    calls = [(place, node) for place, node in children_started() if ast.unparse(node.func) != "asyncio.run"]
    assert len(calls) >= 3
    for place, node in calls:
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        assert "child_environment(" in given.get("env", ""), place
