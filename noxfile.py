"""Every check on every supported Python that is installed: ``make matrix``, or ``nox -s tests-3.13`` for one.

A version whose interpreter is missing or does not work is named and left out; 3.14 also while a dependency
cannot be installed there.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import nox
from nox.command import CommandFailed

HERE = Path(__file__).parent
SUPPORTED = ("3.11", "3.12", "3.13")
TRIED = (*SUPPORTED, "3.14")
REQUIREMENTS = ("-r", "requirements.txt", "-r", "requirements-dev.txt")


def installed() -> dict[str, Path]:
    """The interpreters that work, by version."""
    found = subprocess.run([HERE / ".ci" / "pythons", *TRIED], capture_output=True, text=True, check=True)
    lines = (line.split(" ", 1) for line in found.stdout.splitlines())
    return {version: Path(path) for version, path in lines}


FOUND = installed()
# nox takes the first name on the PATH, which may be a shim that only fails.
os.environ["PATH"] = os.pathsep.join([*(str(path.parent) for path in FOUND.values()), os.environ["PATH"]])

nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["checks", "tests"]


@nox.session(python=next(iter(FOUND), None))
def checks(session: nox.Session) -> None:
    """Style, types and import rules, once."""
    session.install(*REQUIREMENTS)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy", ".")
    session.run("lint-imports")


@nox.session(python=TRIED)
def tests(session: nox.Session) -> None:
    """Every test; those without a server of their own in two processes."""
    try:
        session.install(*REQUIREMENTS)
    except CommandFailed:
        if session.python in SUPPORTED:
            raise
        session.skip("a dependency cannot be installed there yet")
    session.run("python", "-m", "pytest", "-q", "-n", "2", "tests/unit", *session.posargs)
    session.run("python", "-m", "pytest", "-q", "--ignore=tests/unit", *session.posargs)
