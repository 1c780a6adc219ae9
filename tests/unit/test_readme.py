"""What the README, and the pages that go on from it, say is what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from database import DatabaseConfig
from llm_integration.config import LLMConfig
from llm_integration.config.budgets import Budget
from llm_integration.config.routes import Bounds, Route, Shadow, When
from llm_integration.model_catalogue import ModelCatalogue
from llm_integration.reference import settings_table
from trading.command_line import build_parser
from trading.config import TradingConfig
from trading.indicators import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
SETTINGS_FILE = (ROOT / "docs/how-to/settings-file.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")


def embedding_example() -> str:
    """The Python lines under the embedding marker."""
    found = re.search(r"<!-- embedding -->\n```python\n(.*?)```", README, re.S)
    assert found
    return found[1]


def test_the_settings_tables_are_those_of_the_code() -> None:
    """Each block's table in the reference is the one generated from its model."""
    for model in (LLMConfig, DatabaseConfig, TradingConfig, Route, When, Bounds, Shadow, Budget):
        assert settings_table(model) in SETTINGS


def test_the_example_settings_are_ones_that_load() -> None:
    """What the page shows as an llm block is accepted, and changes what it says."""
    found = re.search(r"<!-- llm example -->\n```json\n(.*?)```", SETTINGS_FILE, re.S)
    assert found
    config = LLMConfig.from_file_values(json.loads(found[1]), where="settings-file.md")
    assert (len(config.routes), len(config.budgets), config.batch_size) == (3, 3, "auto")


def test_every_model_that_is_named_is_served_with_a_known_price() -> None:
    """Nothing that the pages show is retired or about to go; the one that is stands there as such."""
    shipped = ModelCatalogue()
    shipped.load_now()
    assert shipped.as_of is not None
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("[htr]*/*.md"))
    named = set(re.findall(r"\b(?:google|openai|anthropic)/[a-z][a-z0-9.-]*[a-z0-9]", pages + README))
    named.remove("google/gemini-2.5-flash-preview-05-20")
    assert len(named) >= 4
    for model in named:
        assert shipped.price(model) is not None, model
        assert shipped.warnings([model], shipped.as_of.date()) == [], model


def test_every_indicator_that_there_is_is_named() -> None:
    """The list of the reference has each family, with the number of bars where it takes one."""
    for name, family in FAMILIES.items():
        other = name.replace("stoch_", "stochastic_")
        assert (f"`{other}_N`" if family.default else f"`{other}`") in SETTINGS, name


def test_the_help_text_is_the_one_printed() -> None:
    """The options in the reference are the program's."""
    options = {action.option_strings[0] for action in build_parser()._actions if action.dest != "help"}
    assert all(option in COMMANDS for option in options)


def test_the_embedding_example_fits_into_fifteen_lines() -> None:
    """It stays short enough to be copied."""
    lines = [line for line in embedding_example().splitlines() if line.strip()]
    assert len(lines) <= 15


def test_every_dependency_has_its_reason() -> None:
    """The decision record names each package of requirements.txt."""
    record = (ROOT / "docs/decisions/0001-dependencies.md").read_text()
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            assert re.split(r"[<>=]", line)[0] in record
