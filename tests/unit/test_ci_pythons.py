"""Which Pythons CI finds: those that work, wherever they are."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "pythons"
WORKS = "#!/bin/sh\necho {path}\n"
FAILS = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"
OTHER_VERSION = "#!/bin/sh\necho {path}\nexit 1\n"


def program(folder: Path, name: str, text: str) -> Path:
    """An interpreter that does what ``text`` says."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text.format(path=path))
    path.chmod(0o755)
    return path


def found(root: Path, *versions: str) -> list[str]:
    """What the script prints with nothing but ``root/shims``, ``root/bin`` and ``root/pyenv`` to look in."""
    path = os.pathsep.join([str(root / "shims"), str(root / "bin"), "/usr/bin", "/bin"])
    done = subprocess.run(
        [SCRIPT, *versions],
        env={"PATH": path, "PYENV_ROOT": str(root / "pyenv"), "HOME": str(root)},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout.splitlines()


@pytest.mark.parametrize("first", [FAILS, OTHER_VERSION])
def test_a_name_that_does_not_work_is_passed_over(tmp_path: Path, first: str) -> None:
    """A shim of pyenv stands on the PATH for every version; the next of that name may be a real one."""
    program(tmp_path / "shims", "python9.8", first)
    real = program(tmp_path / "bin", "python9.8", WORKS)
    assert found(tmp_path, "9.8", "9.9") == [f"9.8 {real}"]


def test_what_pyenv_has_is_found_behind_its_shim(tmp_path: Path) -> None:
    """Also when that version is not the chosen one."""
    program(tmp_path / "shims", "python9.8", FAILS)
    real = program(tmp_path / "pyenv" / "versions" / "9.8.1" / "bin", "python9.8", WORKS)
    program(tmp_path / "pyenv" / "versions" / "9.9.0" / "bin", "python9.9", FAILS)
    assert found(tmp_path, "9.8", "9.9") == [f"9.8 {real}"]


def test_nothing_that_works_is_nothing(tmp_path: Path) -> None:
    """The caller then says that this version is skipped."""
    program(tmp_path / "shims", "python9.8", FAILS)
    assert found(tmp_path, "9.8") == []
