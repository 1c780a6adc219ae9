"""What the README says is what the code does."""

from __future__ import annotations

import json
import re
import tomllib
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


def embedding_example() -> str:
    """The Python lines under the embedding marker."""
    found = re.search(r"<!-- embedding -->\n```python\n(.*?)```", README, re.S)
    assert found
    return found[1]


def test_the_settings_tables_are_those_of_the_code() -> None:
    """Each block's table in the README is the one generated from its model."""
    for model in (LLMConfig, DatabaseConfig, TradingConfig, Route, When, Bounds, Shadow, Budget):
        assert settings_table(model) in README


def test_the_example_settings_are_ones_that_load() -> None:
    """What the README shows as an llm block is accepted, and changes what it says."""
    found = re.search(r"<!-- llm example -->\n```json\n(.*?)```", README, re.S)
    assert found
    config = LLMConfig.from_file_values(json.loads(found[1]), where="README.md")
    assert (len(config.routes), len(config.budgets), config.batch_size) == (3, 3, "auto")


def test_every_model_that_is_named_is_served_with_a_known_price() -> None:
    """Nothing that the README shows is retired or about to go; the one that is stands there as such."""
    shipped = ModelCatalogue()
    shipped.load_now()
    assert shipped.as_of is not None
    named = set(re.findall(r"\b(?:google|openai|anthropic)/[a-z][a-z0-9.-]*[a-z0-9]", README))
    named.remove("google/gemini-2.5-flash-preview-05-20")
    assert len(named) >= 4
    for model in named:
        assert shipped.price(model) is not None, model
        assert shipped.warnings([model], shipped.as_of.date()) == [], model


def test_every_indicator_that_there_is_is_named() -> None:
    """The list of the README has each family, with the number of bars where it takes one."""
    for name, family in FAMILIES.items():
        other = name.replace("stoch_", "stochastic_")
        assert (f"`{other}_N`" if family.default else f"`{other}`") in README, name


def test_the_help_text_is_the_one_printed() -> None:
    """The options in the README are the program's."""
    options = {action.option_strings[0] for action in build_parser()._actions if action.dest != "help"}
    assert all(option in README for option in options)


def test_the_embedding_example_fits_into_fifteen_lines() -> None:
    """It stays short enough to be copied."""
    lines = [line for line in embedding_example().splitlines() if line.strip()]
    assert len(lines) <= 15


def test_requirements_and_package_metadata_name_the_same_ranges() -> None:
    """requirements.txt is the library's dependencies plus those of the host and of ``worth``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    required = sorted(line for line in lines if line and not line.startswith("#"))
    assert required == sorted(project["dependencies"] + extras["host"] + extras["worth"])


def test_every_dependency_has_its_reason() -> None:
    """The decision record names each package of requirements.txt."""
    record = (ROOT / "docs/decisions/0001-dependencies.md").read_text()
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            assert re.split(r"[<>=]", line)[0] in record
