"""LLMConfig: where a value comes from, what is allowed, and that the key shows nowhere."""

from __future__ import annotations

import codecs
import json
import logging
import traceback
from collections.abc import Callable
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from database import DatabaseConfig
from llm_integration.config import (
    DEFAULT_BASE_URL,
    DEFAULT_MODEL,
    LLMConfig,
    clean_key,
    environment,
    load_settings,
    normalise_model_id,
    suggestion,
)
from llm_integration.errors import ConfigError, TradentError
from llm_integration.llm_processor import LLMProcessor
from llm_integration.sidecar.outcomes import rules_of
from llm_integration.worth.rules import ResolverRules

KEY = "sk-or-v1-MARKER"
ROOT = Path(__file__).resolve().parents[2]
REPORT_BLOCK: dict[str, Any] = json.loads((ROOT / "tests/data/report_llm_block.json").read_text())["llm"]

OLD_BLOCK: dict[str, Any] = {
    "enabled": True,
    "memory_retention_minutes": 60,
    "max_memory_signals": 1000,
    "csv_output_directory": "llm_results",
    "batch_export_interval_seconds": 30,
    "model": "openrouter/google/gemini-2.5-flash-preview-05-20",
    "batch_size": 1,
    "poll_interval": 5.0,
    "cleanup_interval_minutes": 10,
    "max_retries": 3,
    "lookback_periods": 20,
    "indicators_to_include": ["sma_20", "ema_50", "rsi_14", "macd", "atr_14"],
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting comes from the machine that runs the tests."""
    for name in [*environment("")]:
        if name.startswith(("LLM_", "OPENROUTER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TRADENT_ENV_FILE", "")


def written(folder: Path, content: object, name: str = "config.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(ConfigError) as caught:
        LLMConfig.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


# Where a value comes from


def test_the_defaults_and_the_shipped_file_are_the_block_of_the_report(tmp_path: Path) -> None:
    """Key for key and value for value; only the model is one that is served today."""
    shipped = json.loads((ROOT / "config.json").read_text(encoding="utf-8"))["llm"]
    assert {**shipped, "model": REPORT_BLOCK["model"]} == REPORT_BLOCK
    assert list(shipped) == list(REPORT_BLOCK)
    for config in (LLMConfig(), LLMConfig.load(ROOT / "config.json")):
        values = config.model_dump(mode="json")
        assert {name: values[name] for name in REPORT_BLOCK} == {**REPORT_BLOCK, "model": DEFAULT_MODEL}
    pasted = LLMConfig.load(written(tmp_path, {"llm": REPORT_BLOCK}))
    assert pasted == LLMConfig(model="google/gemini-2.5-flash-preview-05-20")


def test_the_report_block_has_four_attempts_and_a_bare_client_five(monkeypatch: pytest.MonkeyPatch) -> None:
    """max_retries counts what follows the first attempt; a setting beats the bare client's own number."""
    assert LLMConfig().max_retries == 3
    assert LLMProcessor(LLMConfig()).config.max_retries == 3
    assert LLMProcessor().config.max_retries == 4
    monkeypatch.setenv("LLM_MAX_RETRIES", "2")
    assert LLMProcessor().config.max_retries == 2


def test_the_blocks_that_users_have_load_unchanged(tmp_path: Path) -> None:
    """An old llm block gives the same values, with the id of its model normalised."""
    config = LLMConfig.load(written(tmp_path, {"trading": {"symbol": "ES"}, "llm": OLD_BLOCK}))
    expected = {**OLD_BLOCK, "model": "google/gemini-2.5-flash-preview-05-20"}
    assert {name: getattr(config, name) for name in OLD_BLOCK} == expected


def test_keyword_beats_environment_beats_file_beats_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each source is overridden by the one before it, setting by setting."""
    path = written(tmp_path, {"llm": {"poll_interval": 2, "max_retries": 7}})
    assert (LLMConfig().poll_interval, LLMConfig.load(path).poll_interval) == (1.0, 2.0)
    monkeypatch.setenv("LLM_POLL_INTERVAL", "3")
    assert LLMConfig().poll_interval == LLMConfig.load(path).poll_interval == 3.0
    assert LLMConfig.load(path).max_retries == 7
    assert LLMConfig(poll_interval=4).poll_interval == 4.0


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("LLM_ENABLED", "false", "enabled", False),
        ("LLM_MODEL", "openrouter/a/b", "model", "a/b"),
        ("LLM_MAX_RETRIES", "0", "max_retries", 0),
        ("LLM_TEMPERATURE", "0.5", "temperature", 0.5),
        ("LLM_BATCH_SIZE", "1", "batch_size", 1),
        ("LLM_INDICATORS_TO_INCLUDE", "rsi_14, sma_20,,", "indicators_to_include", ["rsi_14", "sma_20"]),
        ("LLM_INDICATORS_TO_INCLUDE", '["rsi_14", "a,b"]', "indicators_to_include", ["rsi_14", "a,b"]),
        ("LLM_FALLBACK_MODELS", "openrouter/a/b,c/d", "fallback_models", ["a/b", "c/d"]),
        ("LLM_INDICATORS_TO_INCLUDE", "", "indicators_to_include", []),
        ("OPENROUTER_BASE_URL", "http://localhost:11434/v1/", "base_url", "http://localhost:11434/v1"),
        ("OPENROUTER_BASE_URL", "", "base_url", DEFAULT_BASE_URL),
    ],
)
def test_the_environment_is_text_for_every_type(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: object
) -> None:
    """Numbers, switches, lists and addresses are read from the text of a variable."""
    monkeypatch.setenv(variable, text)
    assert getattr(LLMConfig(), field) == value
    assert getattr(LLMConfig.from_file_values({}, where="config.json"), field) == value


def test_the_own_variable_of_the_address_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """LLM_BASE_URL stands over OPENROUTER_BASE_URL, and both over the file."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", "http://shared")
    assert LLMConfig.from_file_values({"base_url": "http://file"}, where="f").base_url == "http://shared"
    monkeypatch.setenv("LLM_BASE_URL", "http://own")
    assert LLMConfig().base_url == "http://own"


def test_the_env_file_stands_under_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What TRADENT_ENV_FILE names is read, the process environment wins, and neither is changed."""
    path = written(
        tmp_path, f"OPENROUTER_API_KEY='{KEY}'\nLLM_MAX_RETRIES=7\nLLM_POLL_INTERVAL=9\nEMPTY\n", ".my_env"
    )
    monkeypatch.setenv("TRADENT_ENV_FILE", str(path))
    monkeypatch.setenv("LLM_POLL_INTERVAL", "2")
    config = LLMConfig()
    assert config.api_key is not None
    assert config.api_key.get_secret_value() == KEY
    assert (config.max_retries, config.poll_interval) == (7, 2.0)
    monkeypatch.setenv("TRADENT_ENV_FILE", "")
    assert "OPENROUTER_API_KEY" not in environment()


def test_without_a_name_the_env_file_is_the_one_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """.env of the working folder is read by default; a missing file is no error; a name given wins."""
    monkeypatch.delenv("TRADENT_ENV_FILE")
    monkeypatch.chdir(tmp_path)
    assert LLMConfig().max_retries == 3
    written(tmp_path, "LLM_MAX_RETRIES=9\n", ".env")
    other = written(tmp_path, "LLM_MAX_RETRIES=8\n", "other.env")
    assert LLMConfig().max_retries == 9
    assert environment(other)["LLM_MAX_RETRIES"] == "8"
    assert "LLM_MAX_RETRIES" not in environment(tmp_path / "absent.env")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (f"# Schlüssel\nOPENROUTER_API_KEY={KEY}\n".encode("utf-8-sig"), KEY),
        (f"# Schlüssel\r\nOPENROUTER_API_KEY={KEY}\r\n".encode("utf-16"), KEY),
        (codecs.BOM_UTF16_BE + f"OPENROUTER_API_KEY='{KEY}'".encode("utf-16-be"), KEY),
        (codecs.BOM_UTF32_LE + f"OPENROUTER_API_KEY={KEY}".encode("utf-32-le"), KEY),
        (f"# Schlüssel für später\nOPENROUTER_API_KEY={KEY}".encode("latin-1"), KEY),
        (f"# prix en \x80\nOPENROUTER_API_KEY={KEY}\n".encode("latin-1"), KEY),
        (b"", None),
        (codecs.BOM_UTF8, None),
    ],
    ids=["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1", "cp1252", "empty", "only-a-mark"],
)
def test_an_env_file_is_read_in_the_encodings_that_editors_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bytes, shown: str | None
) -> None:
    """PowerShell's UTF-16, Notepad's byte order mark and an old editor's Latin-1 all give the key."""
    (tmp_path / ".env").write_bytes(raw)
    monkeypatch.delenv("TRADENT_ENV_FILE")
    monkeypatch.chdir(tmp_path)
    key = LLMConfig().api_key
    assert (None if key is None else key.get_secret_value()) == shown


def _a_folder(file: Path) -> None:
    file.mkdir()


def _a_loop(file: Path) -> None:
    file.symlink_to(file.name)


def _nul_bytes(file: Path) -> None:
    file.write_bytes(b"OPENROUTER_API_KEY=MARKER\0\n")


def _utf_16_without_its_mark(file: Path) -> None:
    file.write_bytes("OPENROUTER_API_KEY=MARKER\n".encode("utf-16-le"))


def _half_a_character(file: Path) -> None:
    file.write_bytes(codecs.BOM_UTF16_LE + b"M\0A")


def _without_end(file: Path) -> None:
    file.write_bytes(b"# MARKER\n" * 2_000_000)


def test_the_env_file_beside_the_configuration_is_read_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that goes on elsewhere has the same key; a file in the working folder comes first."""
    monkeypatch.delenv("TRADENT_ENV_FILE")
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    for folder in (home, elsewhere):
        folder.mkdir()
    monkeypatch.chdir(elsewhere)
    config = written(home, '{"llm": {"max_retries": 1, "poll_interval": 2.0}}', "config.json")
    written(home, "OPENROUTER_API_KEY=sk-or-v1-home\nLLM_MAX_RETRIES=9\n", ".env")
    found = LLMConfig.load(config)
    assert found.api_key is not None
    assert (found.api_key.get_secret_value(), found.max_retries) == ("sk-or-v1-home", 9)
    assert LLMConfig().api_key is None, "no file, no folder beside which to look"
    written(elsewhere, "LLM_MAX_RETRIES=5\n", ".env")
    assert (LLMConfig.load(config).api_key, LLMConfig.load(config).max_retries) == (None, 5)
    monkeypatch.setenv("TRADENT_ENV_FILE", "")
    assert LLMConfig.load(config).max_retries == 1


@pytest.mark.parametrize(
    "make", [_a_folder, _a_loop, _nul_bytes, _utf_16_without_its_mark, _half_a_character, _without_end]
)
@pytest.mark.parametrize("name", [".env", "config.json"])
def test_a_file_that_is_no_text_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], name: str
) -> None:
    """A folder, a file that cannot be opened, NUL characters, half a character: one line."""
    file = tmp_path / name
    make(file)
    if name == ".env":
        monkeypatch.setenv("TRADENT_ENV_FILE", str(file))
    with pytest.raises(ConfigError) as caught:
        LLMConfig() if name == ".env" else LLMConfig.load(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: cannot be read: ")
    assert message.isprintable()
    assert "MARKER" not in message
    assert ("TRADENT_ENV_FILE" in message) == (name == ".env")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_configuration_file_is_read_in_any_unicode_encoding(tmp_path: Path, encoding: str) -> None:
    """The byte order mark says which; names keep their letters."""
    (tmp_path / "config.json").write_bytes('{"llm": {"csv_output_directory": "größe"}}'.encode(encoding))
    assert LLMConfig.load(tmp_path / "config.json").csv_output_directory == "größe"


def test_a_configuration_file_in_latin_1_is_refused(tmp_path: Path) -> None:
    """JSON is Unicode: the name of a folder is not guessed."""
    (tmp_path / "config.json").write_bytes('{"llm": {"csv_output_directory": "größe"}}'.encode("latin-1"))
    assert "it is no UTF-8 text; save it as UTF-8" in refusal(tmp_path / "config.json")


# Where relative paths start


def test_relative_paths_of_a_file_start_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the working folder is; what the file leaves out counts as if it stood there."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    block = {
        "csv_output_directory": "out/llm", "prompt_directory": "prompts", "prompt": "a/b.md",
        "routes": [{"prompt": "./c.md"}, {"prompt": "named"}], "shadow": [{"prompt": "../d.md"}],
    }  # fmt: skip
    written(home, {"llm": block})
    monkeypatch.chdir(elsewhere)
    config = LLMConfig.load("../home/config.json")
    assert config.output_folder.resolve() == home / "out/llm"
    assert (config.prompt_folder or elsewhere).resolve() == home / "prompts"
    files = {name: file.resolve() for name, file in config.prompt_files.items()}
    assert files == {"a/b.md": home / "a/b.md", "./c.md": home / "c.md", "../d.md": tmp_path / "d.md"}
    assert (config.csv_output_directory, config.prompt) == ("out/llm", "a/b.md")
    bare = LLMConfig.load(written(home, {}, "bare.json"))
    assert bare.output_folder == home / "output/llm_enhanced"
    assert bare.prompt_folder is None
    assert bare == LLMConfig()


def test_paths_from_the_environment_and_from_code_start_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each setting by where it came from, also one that is changed or copied later; absolute ones stay."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    written(home, {"llm": {"csv_output_directory": "out", "prompt_directory": "prompts"}})
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("LLM_PROMPT_DIRECTORY", "prompts")
    monkeypatch.setenv("LLM_PROMPT", "./x.md")
    config = LLMConfig.load("../home/config.json")
    assert config.output_folder.resolve() == home / "out"
    assert (config.prompt_folder or home).resolve() == elsewhere / "prompts"
    assert config.prompt_files["./x.md"].resolve() == elsewhere / "x.md"
    assert config.model_copy().output_folder.resolve() == home / "out"
    assert (
        config.model_copy(update={"csv_output_directory": "out"}).output_folder.resolve() == elsewhere / "out"
    )
    config.csv_output_directory = "out"
    assert config.output_folder.resolve() == elsewhere / "out"
    assert LLMConfig(csv_output_directory="x").output_folder.resolve() == elsewhere / "x"
    config.csv_output_directory = str(tmp_path / "absolute")
    assert config.output_folder == tmp_path / "absolute"


def test_a_path_survives_save_and_load_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder of this machine gets into the file."""
    path = written(tmp_path, {"llm": {"csv_output_directory": "out", "prompt": "x.md"}})
    before = LLMConfig.load(path)
    before.save(path)
    saved = json.loads(path.read_text(encoding="utf-8"))["llm"]
    assert (saved["csv_output_directory"], saved["prompt"]) == ("out", "x.md")
    monkeypatch.chdir("/")
    assert LLMConfig.load(path).output_folder == before.output_folder == tmp_path / "out"


def test_the_outbox_of_a_file_starts_in_its_folder() -> None:
    """Its default too; without a file in the working folder, and an empty name is none."""
    folder = Path("/somewhere")
    assert DatabaseConfig().outbox_folder == Path(".tradent/outbox")
    assert DatabaseConfig().in_folder(folder).outbox_folder == folder / ".tradent/outbox"
    assert DatabaseConfig(outbox_directory="/o").in_folder(folder).outbox_folder == Path("/o")
    assert DatabaseConfig(outbox_directory="").in_folder(folder).outbox_folder is None
    assert DatabaseConfig().in_folder(folder).outbox_directory == ".tradent/outbox"


# What is allowed


@pytest.mark.parametrize(
    ("field", "lowest", "below", "highest", "above"),
    [
        ("max_concurrency", 1, 0, 256, 257),
        ("requests_per_minute", 1, 0, 1_000_000, 1_000_001),
        ("tokens_per_minute", 1_000, 999, 10_000_000_000, 10_000_000_001),
        ("max_retries", 0, -1, 20, 21),
        ("request_timeout_seconds", 0.001, 0, 600, 600.1),
        ("retry_after_cap_seconds", 0, -0.1, 86_400, 86_401),
        ("signal_max_age_seconds", 0.001, 0, 604_800, 604_801),
        ("max_tokens", 16, 15, 65_536, 65_537),
        ("temperature", 0, -0.1, 2, 2.1),
        ("batch_max_tokens", 1_000, 999, 1_000_000, 1_000_001),
        ("batch_reply_tokens", 50, 49, 8_000, 8_001),
        ("rating_health_window", 50, 49, 10_000, 10_001),
        ("lookback_periods", 1, 0, 500, 501),
        ("max_memory_signals", 1, 0, 10_000_000, 10_000_001),
        ("memory_retention_minutes", 0, -1, 525_600, 525_601),
        ("cleanup_interval_minutes", 0.001, 0, 1_440, 1_441),
        ("poll_interval", 0.001, 0, 3_600, 3_601),
        ("lease_seconds", 1, 0.9, 3_600, 3_601),
        ("write_batch_size", 1, 0, 5_000, 5_001),
        ("max_unwritten_results", 1, 0, 1_000_000, 1_000_001),
        ("batch_export_interval_seconds", 0.001, 0, 86_400, 86_401),
        ("csv_queue_size", 10, 9, 10_000_000, 10_000_001),
        ("csv_max_held_bars", 0, -1, 10_000_000, 10_000_001),
        ("drain_timeout_seconds", 0, -1, 86_400, 86_401),
    ],
)
def test_every_number_has_its_bounds(
    tmp_path: Path, field: str, lowest: float, below: float, highest: float, above: float
) -> None:
    """Both ends of the range are allowed; past them, the file and the key are named with what is allowed."""
    for value in (lowest, highest):
        assert getattr(LLMConfig(**{field: value}), field) == value
    for value in (below, above):
        message = refusal(written(tmp_path, {"llm": {field: value}}))
        assert f"llm: {field}: should be " in message
        assert message.endswith(f"not {value!r}")


def test_no_number_is_without_bounds() -> None:
    """A number that is added to the settings needs bounds, and a place in the test above."""
    marks = test_every_number_has_its_bounds.pytestmark  # type: ignore[attr-defined]  # set by parametrize
    tested = {row[0] for row in marks[0].args[1]}
    numbers = {name for name, info in LLMConfig.model_fields.items() if info.annotation in (int, float)}
    assert numbers == tested


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"enabled": "maybe"}, "enabled: should be a valid boolean"),
        ({"model": 5}, "model: should be a valid string, not 5"),
        ({"model": ""}, "model: String should have at least 1 character"),
        ({"model": "x" * 201}, "model: String should have at most 200 characters"),
        ({"csv_output_directory": ""}, "csv_output_directory: String should have at least 1"),
        ({"max_retries": 2.5}, "max_retries: should be a valid integer"),
        ({"max_retries": None}, "max_retries: should be a valid integer"),
        ({"poll_interval": "soon"}, "poll_interval: should be a valid number"),
        ({"temperature": "nan"}, "temperature: should be a finite number"),
        ({"poll_interval": "inf"}, "poll_interval: should be"),
        (
            {"reasoning_effort": "huge"},
            "reasoning_effort: should be 'none', 'minimal', 'low', 'medium' or 'high'",
        ),
        (
            {"response_format": "xml"},
            "response_format: should be 'auto', 'json_schema', 'json_object' or 'text'",
        ),
        ({"indicators_to_include": 7}, "indicators_to_include: should be a valid list"),
        ({"indicators_to_include": "[broken"}, "indicators_to_include: should be a valid list"),
        ({"indicators_to_include": ["x"] * 51}, "indicators_to_include: List should have at most 50 items"),
        ({"fallback_models": ["x"] * 11}, "fallback_models: List should have at most 10 items"),
        ({"base_url": "ftp://host"}, "base_url: should be a URL such as"),
        ({"base_url": "https://"}, "base_url: should be a URL such as"),
        ({"base_url": "https://host/v1?key=1"}, "base_url: should be a URL such as"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(tmp_path: Path, block: dict[str, Any], words: str) -> None:
    """File, key and what is allowed are named in a single line."""
    assert words in refusal(written(tmp_path, {"llm": block}))


def test_all_faults_of_a_block_are_named_at_once(tmp_path: Path) -> None:
    """Whoever corrects a file sees every wrong setting in the first message."""
    message = refusal(written(tmp_path, {"llm": {"poll_interval": -1, "max_retries": "x", "temperature": 3}}))
    for field in ("poll_interval", "max_retries", "temperature"):
        assert f"{field}: should be" in message


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("bach_size", "batch_size"),
        ("Model", "model"),
        ("pollinterval", "poll_interval"),
        ("MAX_RETRY", "max_retries"),
    ],
)
def test_an_unknown_key_suggests_the_nearest(tmp_path: Path, key: str, meant: str) -> None:
    """A misspelt key is an error that names the setting it looks like, in files and in code."""
    assert f"unknown key {key!r} (did you mean {meant!r}?)" in refusal(written(tmp_path, {"llm": {key: 1}}))
    with pytest.raises(ValidationError, match=f"did you mean {meant!r}"):
        LLMConfig(**{key: 1})


def test_a_key_like_no_other_gets_the_whole_list() -> None:
    """When nothing is near, all known names are listed."""
    assert suggestion("zzzzzz", ["alpha", "beta"]) == " (known: alpha, beta)"
    with pytest.raises(ConfigError, match="known: enabled, model, fallback_models"):
        load_settings(LLMConfig, {"zzzzzz": 1}, "here")


@pytest.mark.parametrize(("value", "meant"), [(1, 1), (20, 20), ("2", 2), (" 20 ", 20), ("AUTO", "auto")])
def test_a_batch_size_is_a_number_of_signals_or_auto(value: object, meant: object) -> None:
    """Numbers may come as text, as they do from the environment."""
    assert LLMConfig.from_file_values({"batch_size": value}, where="config.json: llm").batch_size == meant


@pytest.mark.parametrize("value", [0, -1, 51, "many", 1.5, None, True])
def test_a_senseless_batch_size_is_refused(value: object) -> None:
    """What is no number of signals at all is a plain wrong value."""
    with pytest.raises(
        ConfigError, match='batch_size: should be a number of signals from 1 to 50, or "auto"'
    ):
        LLMConfig.from_file_values({"batch_size": value}, where="config.json: llm")


def test_blocks_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes, shadows and budgets can be set without a file."""
    monkeypatch.setenv("LLM_BUDGETS", '[{"per": "day", "usd": "1.50"}]')
    monkeypatch.setenv("LLM_ROUTES", '[{"when": {"symbol": "ES*"}, "model": "openrouter/a/b"}]')
    monkeypatch.setenv("LLM_SHADOW", '[{"model": "c/d", "share": 0.5}]')
    config = LLMConfig()
    assert config.budgets[0].usd == Decimal("1.50")
    assert config.routes[0].model == "a/b"
    assert config.shadow[0].share == 0.5


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("ROUTES", "[{", "routes: should be a JSON list"),
        ("ROUTES", '[{"when": {"symbl": "x"}, "model": "a/b"}]', "did you mean 'symbol'"),
        ("BUDGETS", '[{"per": "week", "usd": 1}]', "budgets.0.per"),
        ("SHADOW", '[{"share": 0.5}]', "give model, prompt or both"),
        ("OUTCOMES", "{", "outcomes: should be a JSON object"),
        ("OUTCOMES", '{"spred": 1}', "did you mean 'spread'"),
        ("OUTCOMES", '{"session_end": "25:00"}', "outcomes.session_end: should be a time of day"),
        ("OUTCOMES", '{"horizon_bars": 0}', "outcomes.horizon_bars"),
        ("OUTCOMES", '{"slippage": -0.1}', "outcomes.slippage"),
        ("OUTCOMES", '{"entry": "open"}', "outcomes.entry"),
    ],
)
def test_a_wrong_block_is_one_line_that_names_its_place(
    monkeypatch: pytest.MonkeyPatch, field: str, text: str, words: str
) -> None:
    """A fault deep inside a list is found by its position and key."""
    monkeypatch.setenv(f"LLM_{field}", text)
    with pytest.raises(ConfigError) as caught:
        LLMConfig.from_file_values({}, where="config.json: llm")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("{}", ResolverRules()),
        ('{"horizon_bars": null}', ResolverRules(horizon_bars=None)),
        ('{"horizon_bars": 5, "entry": "close"}', ResolverRules("close", 5)),
        ('{"session_end": " 22:05 ", "spread": 0.25}', ResolverRules(session_end=time(22, 5), spread=0.25)),
        ('{"session_end": null, "commission": 1}', ResolverRules(commission=1.0)),
        ('{"slippage": 0.5}', ResolverRules(slippage=0.5)),
    ],
)
def test_outcomes_are_counted_by_the_rules_that_are_set(
    monkeypatch: pytest.MonkeyPatch, text: str, rules: ResolverRules
) -> None:
    """The block says what the resolver does; defaults are those of worth, null is no limit."""
    monkeypatch.setenv("LLM_OUTCOMES", text)
    assert rules_of(LLMConfig.from_file_values({}, where="config.json")).as_json() == rules.as_json()


def test_an_assignment_is_checked_like_the_rest() -> None:
    """Setting a field later is validated, and a refused value leaves the old one."""
    config = LLMConfig()
    config.model = "openrouter/a/b"
    assert config.model == "a/b"
    with pytest.raises(ValidationError, match="greater than 0"):
        config.poll_interval = -1
    assert config.poll_interval == 1.0
    with pytest.raises(ValidationError, match="unknown key"):
        config.bogus = 1  # type: ignore[attr-defined]  # what the test is about


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("openrouter/google/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("openrouter/auto", "openrouter/auto"),
        ("openrouter/openrouter/auto", "openrouter/auto"),
        ("google/gemini-2.5-flash:free", "google/gemini-2.5-flash:free"),
        ("  meta/llama ", "meta/llama"),
        ("llama3", "llama3"),
    ],
)
def test_a_model_id_is_normalised_once(given: str, known: str) -> None:
    """A leading openrouter/ goes if the rest is still an id of author and model."""
    assert normalise_model_id(given) == known
    assert LLMConfig(model=given, fallback_models=[given]).fallback_models == [known]


# Files


def test_save_and_load_give_the_same_settings(tmp_path: Path) -> None:
    """Settings survive a round trip, and other blocks of the file stay as they are."""
    path = written(tmp_path, {"trading": {"symbol": "ES", "ü": [1.5, None]}, "llm": {"poll_interval": 1}})
    config = LLMConfig(
        enabled=False, model="a/b", fallback_models=["c/d"], base_url="http://localhost:1/v1", max_retries=0,
        temperature=0.25, reasoning_effort=None, indicators_to_include=["größe"], poll_interval=0.125,
    )  # fmt: skip
    config.save(path)
    assert LLMConfig.load(path) == config
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["trading"] == {"symbol": "ES", "ü": [1.5, None]}
    assert set(content["llm"]) == set(LLMConfig.model_fields)
    LLMConfig.load(path).save(path)
    assert json.loads(path.read_text(encoding="utf-8")) == content


def test_save_makes_file_and_folder_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """A new file in a new folder is written whole, without a temporary file left over."""
    path = tmp_path / "new" / "config.json"
    LLMConfig().save(path, section="opinions")
    assert LLMConfig.load(path, section="opinions") == LLMConfig()
    assert [*path.parent.iterdir()] == [path]


def test_a_file_without_the_block_gives_the_defaults(tmp_path: Path) -> None:
    """A file need not mention the sidecar; a byte order mark does no harm."""
    assert LLMConfig.load(written(tmp_path, "\ufeff{}")) == LLMConfig()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        ("[1]", "must hold a JSON object"),
        ('{"llm": []}', "'llm' must be an object of settings"),
        ('{"llm": {"temperature": NaN}}', "temperature: should be a finite number"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: str, words: str) -> None:
    """Broken files are named in one line with what is wrong."""
    assert words in refusal(written(tmp_path, content))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are no text are each one clear line."""
    assert "no such file" in refusal(tmp_path / "absent.json")
    assert "cannot be read" in refusal(tmp_path)
    (tmp_path / "bytes.json").write_bytes(b"\xff{}")
    assert "cannot be read" in refusal(tmp_path / "bytes.json")


def test_a_wrong_variable_over_a_good_file_names_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the file's value is fine and the variable's is not, the environment is blamed."""
    monkeypatch.setenv("LLM_POLL_INTERVAL", "-3")
    with pytest.raises(
        ConfigError, match=r"^environment: poll_interval: should be greater than 0, not '-3'$"
    ):
        LLMConfig.load(written(tmp_path, {"llm": {"poll_interval": 5}}))


def test_a_fault_of_the_file_is_named_though_a_variable_covers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong value in the file is told even when the environment would replace it."""
    monkeypatch.setenv("LLM_POLL_INTERVAL", "3")
    message = refusal(written(tmp_path, {"llm": {"poll_interval": -5}}))
    assert "poll_interval: should be greater than 0, not -5" in message


# The key


@pytest.mark.parametrize(
    "given",
    [KEY, f" {KEY}\n", f'"{KEY}"', f"'{KEY}'", f"“{KEY}”", f"\r\n\t '{KEY}' \r\n", f'" {KEY} "'],
)
def test_what_copying_leaves_around_a_key_is_removed(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """Quotes, blanks and line breaks around the key are no part of it."""
    monkeypatch.setenv("OPENROUTER_API_KEY", given)
    key = LLMConfig().api_key
    assert key is not None
    assert key.get_secret_value() == KEY


@pytest.mark.parametrize("given", [None, "", "  \n", '""', "' '"])
def test_an_empty_key_is_no_key(given: str | None) -> None:
    """Nothing but quotes and blanks counts as no key."""
    assert clean_key(given) is None


@pytest.mark.parametrize(
    "given", ["MARKER key", "MARKER\nkey", "MARKER\r\nX-Evil: 1", "MARKERü", "MARKER\x00k", "MARKER\x7f"]
)
def test_a_key_that_could_not_stand_in_a_header_is_refused_unseen(given: str) -> None:
    """A blank, a line break or a foreign character inside a key is an error that does not show the key."""
    with pytest.raises(ConfigError, match="OPENROUTER_API_KEY") as caught:
        clean_key(given)
    assert "MARKER" not in "".join(traceback.format_exception(caught.value))


def test_the_key_comes_from_its_variable_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a keyword nor a file may carry the key, and the refusal does not repeat it."""
    with pytest.raises(ValidationError, match="unknown key 'api_key'") as keyword:
        LLMConfig(api_key=KEY)
    message = refusal(written(tmp_path, {"llm": {"api_key": KEY}}))
    assert "api_key does not belong in a file" in message
    assert "MARKER" not in message + str(keyword.value) + repr(keyword.value)
    monkeypatch.setenv("LLM_API_KEY", KEY)
    assert LLMConfig().api_key is None


def test_the_key_shows_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No text made of the settings holds the key: repr, str, dumps, schema, log, file, traceback, refusal."""
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    config = LLMConfig()
    path = tmp_path / "config.json"
    config.save(path)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("%s %r %s", config, config, vars(config))
    with pytest.raises(ValidationError) as refused:
        config.poll_interval = -1
    texts = [
        repr(config), str(config), repr(config.api_key), str(config.api_key), str(config.model_dump()),
        config.model_dump_json(), json.dumps(LLMConfig.model_json_schema()), caplog.text,
        path.read_text(encoding="utf-8"), "".join(traceback.format_exception(refused.value)),
        str(refused.value.errors()), repr(config.model_copy(update={"model": "a/b"})),
        str(config.__getstate__()),
    ]  # fmt: skip
    assert [text for text in texts if "MARKER" in text] == []
    assert config.api_key is not None


@pytest.mark.parametrize(
    "url", ["https://user:MARKER@host/v1", "https://MARKER@host", "http://host/v1?key=MARKER"]
)
def test_a_password_in_the_address_is_refused_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """An address with a user, a password or a query is refused, and the refusal does not show it."""
    path = written(tmp_path, {"llm": {"base_url": url}})
    assert "MARKER" not in refusal(path)
    monkeypatch.setenv("OPENROUTER_BASE_URL", url)
    with pytest.raises(ValidationError) as caught:
        LLMConfig()
    assert "MARKER" not in "".join(traceback.format_exception(caught.value))


def test_a_configuration_error_is_of_the_tree() -> None:
    """ConfigError is caught by the library's root and by ValueError."""
    assert issubclass(ConfigError, TradentError)
    assert issubclass(ConfigError, ValueError)


@pytest.mark.parametrize("field", ["poll_interval", "max_retries", "temperature"])
def test_true_is_no_number(tmp_path: Path, field: str) -> None:
    """A truth value where a number belongs is a mistake, not 1."""
    assert f"{field}: should be a number" in refusal(written(tmp_path, {"llm": {field: True}}))


@pytest.mark.parametrize("text", ["null", "NULL", " null ", ""])
def test_the_environment_can_leave_the_reasoning_to_the_model(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """The word null stands for what the file writes without quotes."""
    monkeypatch.setenv("LLM_REASONING_EFFORT", text)
    assert LLMConfig().reasoning_effort is None


def test_saving_keeps_the_mode_of_the_file_and_leaves_no_draft(tmp_path: Path) -> None:
    """A shared config.json stays shared, a private one private."""
    for mode in (0o644, 0o600):
        file = tmp_path / f"{mode}.json"
        file.write_text("{}")
        file.chmod(mode)
        LLMConfig().save(file)
        assert file.stat().st_mode & 0o777 == mode
    assert len(list(tmp_path.iterdir())) == 2


def test_a_new_file_gets_the_mode_of_any_new_file(tmp_path: Path) -> None:
    """Not that of a temporary file."""
    LLMConfig().save(tmp_path / "new.json")
    (tmp_path / "other").touch()
    assert (tmp_path / "new.json").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_quote_inside_a_key_is_refused_unseen() -> None:
    """Two keys pasted together, or half a line of a script, are not sent anywhere."""
    with pytest.raises(ConfigError) as caught:
        clean_key("sk-or-abc'def")
    assert "quote" in str(caught.value)
    assert "abc" not in str(caught.value)
