"""``prompt`` and ``explain-route`` where no database is needed."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llm_integration.commands import main, prompt_source
from llm_integration.commands.prompt_samples import built_in
from llm_integration.commands.prompt_show import show_text, visible
from llm_integration.config import LLMConfig
from llm_integration.prompts import builtin_prompt
from llm_integration.prompts.lint import lint

DEFAULT = builtin_prompt().source
ROUTES = [
    {"name": "futures", "when": {"symbol": "ES*", "risk_reward_min": 1.1}, "model": "a/futures"},
    {"name": "strong", "when": {"indicator": {"adx_14": {"min": 25}}}, "ensemble": ["a/one", "b/two"]},
    {"name": "night", "when": {"time": "22:00-02:00"}, "max_tokens": 300, "temperature": 0.5},
    {"name": "busy", "when": {"backlog_min": 50}, "model": "google/gemini-2.5-flash", "fallbacks": ["a/b"]},
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings and no list of models but the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prompt_source, "default_base", lambda: tmp_path)


def settings(**llm: Any) -> None:
    Path("config.json").write_text(json.dumps({"llm": llm}))


def told(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> dict[str, Any]:
    """The JSON of a command that ends with ``status``."""
    assert main([*arguments, "--json"]) == status
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def shown(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(list(arguments)) == status
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("described", "rule"),
    [
        (["--symbol", "ESZ6", "--risk-reward", "1.1"], "futures"),
        (["--symbol", "ESZ6", "--risk-reward", "1.09"], None),
        (["--symbol", "ESZ6"], None),
        (["--symbol", "NQ", "--indicator", "rsi_14=3", "--indicator", "adx_14=25"], "strong"),
        (["--symbol", "ESZ6", "--risk-reward", "3", "--indicator", "adx_14=25"], "futures"),
        (["--type", "BUY", "--time", "2026-01-31T23:30"], "night"),
        (["--symbol", "NQ", "--backlog", "50"], "busy"),
    ],
)
def test_a_described_signal_takes_the_rule_it_would_take(
    described: list[str], rule: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """First match wins; a bound is met to the last digit; what is left out matches no bound."""
    settings(routes=ROUTES)
    if "--time" not in described:
        described = [*described, "--time", "2026-01-31T12:00"]
    report = told(capsys, "explain-route", *described)
    assert report["rule"] == rule
    assert [each["rule"] for each in report["rules"]] == ["futures", "strong", "night", "busy"]
    assert [each["rule"] for each in report["rules"] if each["chosen"]] == ([rule] if rule else [])
    assert report["signal"]["signal_id"] is None


def test_the_plan_is_the_rules_own_over_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """Models, fallbacks, ensemble, max_tokens, temperature and prompt as a worker would take them."""
    settings(routes=ROUTES, model="c/d", fallback_models=["e/f"], max_tokens=700)
    noon = ["--time", "2026-01-31T12:00"]
    usual = told(capsys, "explain-route", "--symbol", "X", *noon)
    assert [(each["model"], each["role"]) for each in usual["models"]] == [
        ("c/d", "first"),
        ("e/f", "fallback"),
    ]
    assert (usual["max_tokens"], usual["temperature"]) == (700, 0.0)
    assert usual["prompt"] == {"name": "default", "version": "1", "hash": builtin_prompt().hash}
    night = told(capsys, "explain-route", "--symbol", "X", "--time", "2026-01-31T01:00")
    assert (night["max_tokens"], night["temperature"]) == (300, 0.5)
    strong = told(capsys, "explain-route", "--indicator", "adx_14=30", *noon)
    assert [each["role"] for each in strong["models"]] == ["ensemble", "ensemble"]


def test_price_and_form_are_known_only_where_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """A listed model is asked by schema at its listed price; of another one both stay unknown."""
    settings(routes=ROUTES)
    busy = ["explain-route", "--symbol", "X", "--backlog", "50", "--time", "2026-01-31T12:00"]
    first, fallback = told(capsys, *busy)["models"]
    assert (first["listed"], first["response_format"]) == (True, "json_schema")
    assert Decimal(first["usd_per_million_prompt_tokens"]) == Decimal("0.3")
    assert (fallback["listed"], fallback["response_format"]) == (False, "json_object")
    assert fallback["usd_per_million_prompt_tokens"] is None
    table = shown(capsys, *busy)
    assert "unknown" in table
    assert "busy: chosen (backlog 50 is at least 50)" in table


def test_why_is_told_in_lines_that_no_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    """Each rule has its line; what came from outside is harmless in it."""
    settings(routes=ROUTES)
    out = shown(capsys, "explain-route", "--symbol", "N\x1b[2JQ\x07", "--time", "2026-01-31T12:00")
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "- futures: no (symbol NQ does not match 'ES*'" in out
    assert "- default: chosen (no rule matches)" in out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["explain-route"], "say which signal"),
        (["explain-route", "--last", "--symbol", "X"], "not both"),
        (["prompt", "render"], "say which signal"),
        (["prompt", "render", "--stored", "--last", "--prompt", "default"], "leave --prompt"),
        (["prompt", "render", "--system", "--prompt", "nothing"], "there is no prompt 'nothing'"),
        (["prompt", "lint", "./nothing.md"], "no such prompt file"),
        (["prompt", "lint", "no\x1b[2Jthing"], "cannot be the name"),
        (["prompt", "diff", "default", "nothing"], "there is no prompt 'nothing'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing on stdout, no traceback, no control character."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert why in captured.err
    assert captured.err.count("\n") == 1
    assert captured.err[:-1].isprintable()


@pytest.mark.parametrize(
    "arguments",
    [
        ["prompt"],
        ["prompt", "rendre"],
        ["prompt", "lint"],
        ["prompt", "diff", "default"],
        ["prompt", "lint", "default", "--signals", "0"],
        ["prompt", "render", "--last", "--signal", "x"],
        ["explain-route", "--risk-reward", "-1"],
        ["explain-route", "--risk-reward", "nan"],
        ["explain-route", "--indicator", "rsi_14"],
        ["explain-route", "--indicator", "=5"],
        ["explain-route", "--indicator", "rsi_14=inf"],
        ["explain-route", "--time", "soon"],
    ],
)
def test_an_argument_that_means_nothing_is_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line's own errors, of the parts of ``prompt`` too."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    captured = capsys.readouterr()
    assert (left.value.code, captured.out, captured.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("part", ["render", "lint", "diff", "list"])
def test_every_part_of_prompt_explains_itself(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help of each names its options and ends with 0."""
    with pytest.raises(SystemExit) as left:
        main(["prompt", part, "--help"])
    out = capsys.readouterr().out
    assert left.value.code == 0
    assert out.startswith(f"usage: python -m llm_integration prompt {part} ")
    assert "--json" in out


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain ü €", "plain ü €"),
        ("\x1b[2J\x07\r\x00\x9b", "\\x1b[2J\\x07\\x0d\\x00\\x9b"),
        ("tab\tstays", "tab\tstays"),
        ("\u202e\u2028\ufeff\ud800\U000e0001", "\\u202e\\u2028\\ufeff\\ud800\\U000e0001"),
    ],
)
def test_every_character_of_a_prompt_can_be_seen(text: str, seen: str) -> None:
    """Nothing is dropped, and nothing acts."""
    assert visible(text) == seen


def test_a_message_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Only a line feed ends a line; a form feed or a separator is shown."""
    show_text("user", "a\n\nb\x0cc\u2028d\n")
    assert capsys.readouterr().out == "--- user ---\na\n\nb\\x0cc\\u2028d\n"


def test_the_system_message_needs_no_database(capsys: pytest.CaptureFixture[str]) -> None:
    """It is printed whole and harmless; JSON has it as it is."""
    Path("mine.md").write_text(
        DEFAULT.replace("name: default", "name: mine").replace("a sober", "a\x1b[31m sober"), encoding="utf-8"
    )
    assert "a\\x1b[31m sober trading analyst" in shown(
        capsys, "prompt", "render", "--system", "--prompt", "./mine.md"
    )
    report = told(capsys, "prompt", "render", "--system", "--prompt", "./mine.md")
    assert "a\x1b[31m sober" in report["system"]
    assert report["prompt"]["name"] == "mine"


def test_the_builtin_prompt_has_nothing_to_complain_about(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor do the built-in signals make a finding."""
    report = told(capsys, "prompt", "lint", "default")
    assert report["prompts"] == {"default": []}
    assert (report["ok"], report["stored_signals"]) == (True, 0)
    assert not lint(builtin_prompt(), built_in(LLMConfig()))


def test_lint_names_every_fault_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Undefined names, missing instructions and bars from the future; status 1."""
    faulty = DEFAULT.replace("{{ signal.symbol }}", "{{ signal.simbol }}").replace(
        "{{ signal.stop }}", "{{ nothing }}"
    )
    Path("faulty.md").write_text(faulty)
    Path("vague.md").write_text(DEFAULT.replace("TRADING SIGNAL ANALYSIS REQUEST", "Hello"))
    report = told(capsys, "prompt", "lint", "./faulty.md", "./vague.md", "default", status=1)
    at = 1 + faulty.split("\n").index("Symbol: {{ signal.simbol }}")
    found = {(each["severity"], each["line"]) for each in report["prompts"]["./faulty.md"]}
    assert ("error", at) in found
    assert len([line for severity, line in found if severity == "error"]) >= 2
    assert any("lacks the line" in each["message"] for each in report["prompts"]["./vague.md"])
    assert report["prompts"]["default"] == []
    out = shown(capsys, "prompt", "lint", "./faulty.md", status=1)
    assert f"./faulty.md:{at}: error: ".removeprefix("./") in out


def test_a_warning_alone_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """A prompt without a section for batches works."""
    Path("alone.md").write_text(DEFAULT[: DEFAULT.index("{% block batch %}")])
    report = told(capsys, "prompt", "lint", "./alone.md")
    assert [each["severity"] for each in report["prompts"]["./alone.md"]] == ["warning"]


def test_lint_finds_a_name_that_is_not_its_files(capsys: pytest.CaptureFixture[str]) -> None:
    """A worker would refuse the file, so lint does."""
    Path("prompts").mkdir()
    Path("prompts/mine.md").write_text(DEFAULT)
    settings(prompt_directory="prompts")
    report = told(capsys, "prompt", "lint", "mine", status=1)
    (finding,) = report["prompts"]["mine"]
    assert "'mine'" in finding["message"]


def test_settings_start_in_their_folder_and_what_is_typed_in_the_working_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same relative name is the file beside config.json for the settings, and mine when I type it."""
    home, here = Path("home").absolute(), Path("here").absolute()
    for folder in (home, here):
        folder.mkdir()
        (folder / "same.md").write_text(DEFAULT.replace("name: default", f"name: {folder.name}"))
    (home / "config.json").write_text(json.dumps({"llm": {"prompt": "./same.md"}}))
    monkeypatch.chdir(here)
    given = ["--config", "../home/config.json"]
    shown_by_settings = told(capsys, "prompt", "render", "--system", *given)
    typed = told(capsys, "prompt", "render", "--system", "--prompt", "./same.md", *given)
    assert (shown_by_settings["prompt"]["name"], typed["prompt"]["name"]) == ("home", "here")
    both = told(capsys, "prompt", "diff", "./same.md", "default", *given)
    assert both["a"]["name"] == "here"
    listed = {each["name"]: each for each in told(capsys, "prompt", "list", *given)["prompts"]}
    assert Path(listed["./same.md"]["place"]).resolve() == home / "same.md"
    assert "nothing to complain" in shown(capsys, "prompt", "lint", "./same.md", *given)


def test_list_names_what_there_is_and_what_is_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """Built-in and own prompts with version and hash; a faulty one has its fault, and status 1."""
    Path("prompts").mkdir()
    Path("prompts/mine.md").write_text(DEFAULT.replace("name: default", "name: mine"))
    settings(prompt_directory="prompts", routes=[{"when": {"symbol": "ES"}, "prompt": "mine"}])
    found = {each["name"]: each for each in told(capsys, "prompt", "list")["prompts"]}
    assert set(found) == {"default", "mine"}
    assert (found["default"]["place"], found["default"]["hash"]) == ("built-in", builtin_prompt().hash)
    assert (found["mine"]["place"], found["mine"]["in_use"]) == (
        str(Path("prompts/mine.md").absolute()),
        True,
    )
    Path("prompts/broken.md").write_text("---\nname: broken\n")
    report = told(capsys, "prompt", "list", status=1)
    (broken,) = [each for each in report["prompts"] if each["fault"]]
    assert (broken["name"], broken["version"], broken["in_use"]) == ("broken", None, False)
    assert "broken cannot be used: " in shown(capsys, "prompt", "list", status=1)
