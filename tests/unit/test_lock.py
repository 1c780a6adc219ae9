"""The lock files: what they pin is what the requirements ask for, on every system that is supported."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK, DEV_LOCK = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
ASKED = ROOT / "requirements.txt"
DEV_ASKED = ROOT / "requirements-dev.txt"

SYSTEMS = [
    {
        "python_version": version.rpartition(".")[0],
        "python_full_version": version,
        "sys_platform": system.lower(),
        "platform_system": system,
        "platform_machine": machine,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
    }
    for version, (system, machine) in product(
        ("3.11.0", "3.11.15", "3.12.0", "3.12.13", "3.13.0", "3.13.14"),
        (("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "x86_64"), ("Darwin", "arm64")),
    )
]


@dataclass(frozen=True, slots=True)
class Pin:
    """One entry of a lock file."""

    wanted: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        return canonicalize_name(self.wanted.name)

    @property
    def version(self) -> str:
        (only,) = self.wanted.specifier
        assert only.operator == "=="
        return only.version

    def holds_on(self, system: dict[str, str]) -> bool:
        return self.wanted.marker is None or self.wanted.marker.evaluate(system)


def asked(file: Path) -> list[Requirement]:
    """The lines of a requirements file."""
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def pins(file: Path) -> Iterator[Pin]:
    """The entries of a lock file."""
    for line in file.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if line and not line.lstrip().startswith(("#", "--")):
            wanted, *hashes = re.split(r"\s+--hash=sha256:", line.rstrip())
            yield Pin(Requirement(wanted), tuple(hashes))


def on(file: Path, system: dict[str, str]) -> dict[str, str]:
    """The version of each package that is installed there; each once."""
    found = [pin for pin in pins(file) if pin.holds_on(system)]
    names = [pin.name for pin in found]
    assert len(names) == len(set(names)), f"a package twice on {system}"
    return {pin.name: pin.version for pin in found}


@pytest.mark.parametrize(("file", "sources"), [(LOCK, [ASKED]), (DEV_LOCK, [ASKED, DEV_ASKED])])
def test_the_lock_satisfies_what_is_asked_for(file: Path, sources: list[Path]) -> None:
    """On every Python and system each package is pinned once, within its range."""
    for system in SYSTEMS:
        locked = on(file, system)
        for wanted in (line for source in sources for line in asked(source)):
            name = canonicalize_name(wanted.name)
            assert name in locked, f"{wanted} is not in {file.name}: make lock"
            assert wanted.specifier.contains(locked[name]), f"{wanted}, locked {locked[name]}: make lock"


def test_both_locks_hold_the_same_releases() -> None:
    """What is tested is what a locked installation runs."""
    for system in SYSTEMS:
        locked = on(LOCK, system)
        assert locked.items() <= on(DEV_LOCK, system).items()


@pytest.mark.parametrize("file", [LOCK, DEV_LOCK])
def test_every_pin_has_hashes_and_no_file_names_a_host(file: Path) -> None:
    """Files may come from any registry: the hashes say whether they are the right ones."""
    found = list(pins(file))
    assert len(found) > 30
    for pin in found:
        assert pin.hashes, pin.name
        assert all(re.fullmatch(r"[0-9a-f]{64}", one) for one in pin.hashes), pin.name
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"://|--(?:extra-)?index-url|--find-links|--trusted-host", text)


def test_the_extras_are_part_of_what_is_locked() -> None:
    """requirements.txt is the library with all its extras, range for range, and `all` names each of them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    (everything,) = map(Requirement, extras.pop("all"))
    assert everything.name == project["name"]
    assert everything.extras == set(extras)
    wanted = {str(Requirement(line)) for lines in extras.values() for line in lines}
    wanted |= {str(Requirement(line)) for line in project["dependencies"]}
    assert {str(line) for line in asked(ASKED)} == wanted
