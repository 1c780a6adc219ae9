"""Builds the wheel of this checkout, and environments that hold it and what it says it needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.acceptance.test_program import ROOT, environment

__all__ = ["FOREIGN", "Installed", "build_wheel", "install", "requirements"]

FOREIGN = ("database", "trading", "main_with_database", "config", "tests")
"""Names that a user's own project is likely to have."""
SOURCES = ("llm_integration", "database", "trading", "pyproject.toml", "README.md", "LICENSE")
TRAP = """
from pathlib import Path
Path(__file__).with_name("imported").touch()
raise RuntimeError("this package belongs to the user's own project")
"""


def build_wheel(folder: Path) -> Path:
    """The wheel of a copy of this checkout, in which no earlier build has left anything."""
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).is_file():
            shutil.copy(ROOT / name, source)
    _done(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
         "--wheel-dir", str(folder), str(source)]
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel


def requirements(of: Distribution, extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """What a distribution needs on this machine, with some of its extras."""
    chosen = ["", *extras]
    for line in of.requires or ():
        wanted = Requirement(line)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in chosen):
            yield wanted


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with the wheel, and a user's project with packages of the same names in it."""

    folder: Path
    project: Path

    @property
    def program(self) -> str:
        """The console command."""
        return str(self.folder / "bin" / "tradent")

    @property
    def python(self) -> str:
        """The interpreter."""
        return str(self.folder / "bin" / "python")

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A process in the user's folder, which is on its path as well."""
        return subprocess.run(
            arguments, capture_output=True, text=True, timeout=60, env=self.variables(**variables),
            cwd=self.project, check=False,
        )  # fmt: skip

    def tradent(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """The console command there."""
        return self.run(self.program, *arguments, **variables)

    def variables(self, **values: str) -> dict[str, str]:
        """The environment of a process: the user's project stands before what is installed."""
        kept = environment(**values)
        kept.pop("VIRTUAL_ENV", None)
        return {**kept, "PYTHONPATH": str(self.project), "PYTHONWARNINGS": "error"}

    @contextmanager
    def simulator(self) -> Iterator[Mapping[str, str]]:
        """``tradent simulate`` on a free port; the variables that lead to it."""
        process = subprocess.Popen(
            [self.program, "simulate", "--port", "0"],
            stdout=subprocess.PIPE, text=True, env=self.variables(), cwd=self.project,
        )  # fmt: skip
        with process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(3)]
            try:
                yield dict(line.split()[1].split("=", 1) for line in lines[1:])
            finally:
                process.terminate()
                process.wait(10)
        assert process.returncode == 0

    def trapped(self) -> list[str]:
        """The packages of the user's project that were imported."""
        return [path.parent.name for path in self.project.glob("*/imported")]


def install(wheel: Path, folder: Path, *extras: str) -> Installed:
    """A new environment with the wheel, what it says it needs, and what these extras say."""
    venv.create(folder, with_pip=False, symlinks=True)
    installed = Installed(folder, folder / "project")
    _done(
        [sys.executable, "-m", "pip", "--python", installed.python, "install", "--quiet", "--no-deps",
         "--disable-pip-version-check", "--no-index", str(wheel)]
    )  # fmt: skip
    place = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (metadata,) = place.glob("tradent_llm_sidecar-*.dist-info")
    _link_closure(Distribution.at(metadata), extras, place)
    _done([sys.executable, "-m", "pip", "--python", installed.python, "check", "--disable-pip-version-check"])
    for name in FOREIGN:
        (installed.project / name).mkdir(parents=True)
        (installed.project / name / "__init__.py").write_text(TRAP)
    return installed


def _link_closure(first: Distribution, extras: Iterable[str], place: Path) -> None:
    """Links to the distributions of this environment that ``first`` needs, and to those that they need."""
    waiting, seen = list(requirements(first, extras)), set[str]()
    while waiting:
        wanted = waiting.pop()
        if canonicalize_name(wanted.name) in seen:
            continue
        seen.add(canonicalize_name(wanted.name))
        found = distribution(wanted.name)
        waiting += requirements(found, wanted.extras)
        for name in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            target = Path(str(found.locate_file(name))).resolve()
            if not (place / name).exists():
                (place / name).symlink_to(target)


def _done(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
