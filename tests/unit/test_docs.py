"""The pages say what the code does: what they name is there, and nothing generated is stale."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from docs.generate import BLOCKS, PAGES, command_names, filled
from tests.unit.test_readme import ROOT, embedding_example

DOCS = ROOT / "docs"
OWN_PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.glob("*.md"), *DOCS.glob("[!d]*/*.md"), ROOT / "llm_integration/README.md"]
)
STORED = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
CONTAINED = re.compile(r"```.*?```", re.S)


def words(text: str) -> list[str]:
    """Versions of Python break the lines of a help text in different places."""
    return text.split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_reference_is_not_stale(page: Path) -> None:
    """What stands between its markers is what the code says; `python -m docs.generate` writes it anew."""
    text = page.read_text(encoding="utf-8")
    assert words(filled(text)) == words(text)


def test_every_command_and_every_block_of_settings_has_its_place() -> None:
    """A new command or block without a heading of its own in the reference is noticed."""
    assert re.findall(r"<!-- help: (.*?) -->", STORED["commands.md"]) != []
    assert set(re.findall(r"<!-- help: (.*?) -->", STORED["commands.md"])) == set(command_names())
    assert set(re.findall(r"<!-- settings: (.*?) -->", STORED["settings.md"])) == set(BLOCKS)


@pytest.mark.parametrize("page", OWN_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    """A link of a page to a file of this repository is one that can be followed in a checkout."""
    text = CONTAINED.sub("", page.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_file_of_the_glossary_is_there() -> None:
    """A word whose file was moved or removed is noticed, and so is a class that does not exist any more."""
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    files = re.findall(r"`([\w/]+\.py)`", text)
    assert len(files) > 50
    assert [file for file in files if not (ROOT / file).is_file()] == []
    for name, file in re.findall(r"^\| ([A-Z]\w+)[^|]*\|.*?`([\w/]+\.py)` \|$", text, re.M):
        if name not in ("R",):
            assert re.search(rf"^class {name}\b", (ROOT / file).read_text(encoding="utf-8"), re.M), name


def test_the_tutorial_shows_the_example_of_the_readme() -> None:
    """The lines to copy are the same in both places."""
    assert embedding_example() in (DOCS / "tutorial/3-your-process.md").read_text(encoding="utf-8")


def test_the_guarantees_that_the_security_page_names_are_made() -> None:
    """Each quotation begins a promise of docs/guarantees.md."""
    promised = (DOCS / "guarantees.md").read_text(encoding="utf-8")
    quoted = re.findall(r'"([A-Z][^"]+?) ?\.\.\."', (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(quoted) >= 7
    assert [words for words in quoted if f"| {words}" not in promised] == []


def test_the_license_of_the_package_is_the_file() -> None:
    """MIT in metadata and file, and the file goes with the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (project["license"], project["license-files"]) == ("MIT", ["LICENSE"])
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License")
    assert "the Tradent LLM sidecar authors" in text


def test_the_supported_versions_are_those_that_are_tested() -> None:
    """Classifiers and noxfile name the same Pythons."""
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))
    supported = re.search(r"^SUPPORTED = \((.*?)\)", (ROOT / "noxfile.py").read_text(), re.M)
    assert supported
    assert named == re.findall(r"3\.\d+", supported[1])


def test_commit_hooks_fetch_nothing() -> None:
    """Every hook is local and calls a tool of .venv."""
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"repo: (\S+)", text) == ["local"]
    assert all(entry.startswith(".venv/bin/") for entry in re.findall(r"entry: (\S+)", text))
    assert set(re.findall(r"language: (\S+)", text)) == {"system"}
