"""Prompts as files: what a file may say, how it is found, and what it is rendered to."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from llm_integration.config import LLMConfig
from llm_integration.domain import Bar, Signal
from llm_integration.errors import ConfigError
from llm_integration.prompts import PromptLibrary, PromptTemplate, builtin_prompt
from llm_integration.prompts.names import SIGNAL
from llm_integration.signal_formatter import SignalFormatter
from llm_integration.signal_formatter.measures import CHOPPINESS_PERIODS, EFFICIENCY_PERIODS

NOW = datetime(2017, 1, 3, 16, tzinfo=UTC)
BARS = tuple(
    Bar(NOW + timedelta(hours=hour), 1.5, 1.75, 1.25, 1.5 + hour / 100, 7.0) for hour in range(-30, 5)
)
SIGNAL_OF_TESTS = Signal(
    "id-1", NOW, "EURUSD", "BUY", 1.5, 1.25, 2.0, {"rsi_14": 55.5}, BARS, strategy="cross", notes="second try"
)


def head(**changes: str) -> str:
    facts = {"name": "mine", "version": "7", "scale": "1-5", "language": "en", **changes}
    return "\n".join(["---", *(f"{key}: {value}" for key, value in facts.items() if value), "---", ""])


def prompt_file(user: str = "{{ signal.symbol }}", *, rest: str = "", **changes: str) -> str:
    blocks = (
        f"{{% block system %}}\nBe sober.\n{{% endblock %}}\n{{% block user %}}\n{user}\n{{% endblock %}}\n"
    )
    return head(**changes) + blocks + rest


def rendered(user: str, signal: Signal = SIGNAL_OF_TESTS, lookback: int = 3) -> str:
    config = LLMConfig(lookback_periods=lookback, indicators_to_include=["rsi_14", "macd"])
    return SignalFormatter(config, PromptTemplate(prompt_file(user))).format_signal_data(signal)


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        PromptTemplate.from_text(text, "mine.md")
    return str(caught.value)


def test_a_file_has_a_name_a_version_and_a_hash() -> None:
    """What is stored with a rating comes from the head of the file and from its text."""
    text = prompt_file(description="Mine")
    template = PromptTemplate.from_text(text)
    assert (template.name, template.version) == ("mine", "7")
    assert (template.facts.language, template.facts.description) == ("en", "Mine")
    assert template.hash == hashlib.sha256(text.encode()).hexdigest()
    assert template.short_hash == template.hash[:12]
    assert "mine" in repr(template)


def test_line_ends_do_not_change_the_hash_and_a_letter_does() -> None:
    """A file that went through another editor is the same prompt; one with another word is not."""
    text = prompt_file()
    known = PromptTemplate(text).hash
    for same in (text.replace("\n", "\r\n"), "\ufeff" + text, text + "\n\n", text.rstrip("\n")):
        assert PromptTemplate(same).hash == known
        assert PromptTemplate(same).system == "Be sober."
    assert PromptTemplate(text.replace("sober", "sombre")).hash != known


def test_sections_become_the_two_messages() -> None:
    """system and user come without the line breaks around them, and prompt tells of the file itself."""
    template = PromptTemplate(prompt_file("{{ signal.symbol }} by {{ prompt.name }} {{ prompt.version }}\n"))
    text = SignalFormatter(None, template).prompt(SIGNAL_OF_TESTS)
    assert (text.system, text.user) == ("Be sober.", "EURUSD by mine 7")


def test_every_name_of_the_reference_has_a_value() -> None:
    """Each name that a file may use for a signal gives something, in both kinds of request."""
    for name, shape in SIGNAL.items():
        shown = f"{{{{ signal.{name} }}}}" if shape == "text" else f"{{{{ signal.{name}|length }}}}"
        if name == "indicator":
            shown = "{{ signal.indicator.rsi_14 }}"
        batch = f"{{% block batch %}}{{% for signal in signals %}}{shown}{{% endfor %}}{{% endblock %}}"
        formatter = SignalFormatter(
            LLMConfig(indicators_to_include=["rsi_14"]), PromptTemplate(prompt_file(shown, rest=batch))
        )
        empty = name in ("price_check", "no_bars", "table")
        assert (formatter.format_signal_data(SIGNAL_OF_TESTS) == "") is empty, name
        assert (formatter.format_batch([SIGNAL_OF_TESTS]) == "") is (name in ("price_check", "no_bars")), name


def test_rows_can_be_arranged_freely() -> None:
    """A file may take bars and indicators apart, cut a list, and ask where in a loop it is."""
    text = rendered(
        "{% for bar in signal.bar_rows[-2:] %}{{ loop.index }}. {{ bar.time }} {{ bar.close }};\n{% endfor %}"
        "{% for one in signal.indicator_rows %}{{ one.name|upper }}={{ one.value }}\n{% endfor %}"
        "{% if signal.bars %}{{ signal.bar_rows[0].time }}{% endif %} {{ signal.indicator.rsi_14 }}"
    )
    assert [line for line in text.splitlines() if line] == [
        "1. 2017-01-03 15:00 1.49;", "2. 2017-01-03 16:00 1.50;",
        "RSI_14=55.5", "MACD=missing", "2017-01-03 14:00 55.5",
    ]  # fmt: skip


def test_conditions_ask_whether_there_is_something() -> None:
    """Empty texts are false, and texts can be compared for equality."""
    text = "{% if signal.notes and signal.type == 'BUY' %}{{ signal.notes }}{% else %}-{% endif %}"
    assert rendered(text) == "second try"
    assert rendered(text, Signal("x", NOW, "ES", "SELL", 1, 2, 3, notes="n")) == "-"
    assert rendered("{{ 'y' if signal.bars else 'n' }}", Signal("x", NOW, "ES", "SELL", 1, 2, 3)) == "n"


def test_a_shared_section_is_written_once_and_shown_where_it_is_wanted() -> None:
    """{{ self.section() }} repeats a section that stands elsewhere."""
    rest = "{% block scale %}1 to {{ prompt.scale }}{% endblock %}"
    formatter = SignalFormatter(None, PromptTemplate(prompt_file("<{{ self.scale() }}>", rest=rest)))
    assert formatter.format_signal_data(SIGNAL_OF_TESTS) == "<1 to 1-5>"


def test_text_that_looks_like_a_template_stays_text() -> None:
    """Nothing of a signal is run: braces come out as they went in."""
    for hostile in ("{{ signal.symbol }}", "{% for x in y %}", "{# x #}", "{{ ''.__class__ }}"):
        assert (
            rendered("{{ signal.notes }}", Signal("x", NOW, "ES", "BUY", 1, 2, 3, notes=hostile)) == hostile
        )


@pytest.mark.parametrize(
    ("changes", "line", "part"),
    [
        ({"name": ""}, 5, "name is missing"),
        ({"scale": ""}, 5, "scale is missing"),
        ({"language": ""}, 5, "language is missing"),
        ({"name": "../x"}, 2, "name should be letters"),
        ({"version": "v" * 33}, 3, "version should be"),
        ({"scale": "1-10"}, 4, "scale should be 1-5"),
        ({"language": "English"}, 5, "language should be"),
        ({"colour": "red"}, 6, "expected one of name, version, scale, language, description"),
        ({"description": "x" * 201}, 6, "description should be"),
    ],
)
def test_a_faulty_head_is_refused_by_line(changes: dict[str, str], line: int, part: str) -> None:
    """Each fault of the head names file, line and what is allowed."""
    message = refusal(prompt_file(**changes))
    assert message.startswith(f"mine.md:{line}: ")
    assert part in message


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("", "mine.md:1: a prompt file begins with"),
        ("name: x\n", "mine.md:1: a prompt file begins with"),
        ("---\nname: x\n", "mine.md:1: the block of facts has no closing line"),
        (head().replace("---\n", "---\nname: two\n", 1), "mine.md:3: name is given twice"),
        (head(), "mine.md:1: the section system is missing"),
        (prompt_file() + "stray", "mine.md:13: only sections may stand here"),
        (prompt_file("{{ signal.symbl }}"), "mine.md:11: unknown name 'symbl' (did you mean 'symbol'?)"),
        (prompt_file("a\n{{ market }}"), "mine.md:12: unknown name 'market'"),
        (prompt_file("a\n{% if %}"), "mine.md:12: Expected an expression"),
        (prompt_file("x" * 70_000), "mine.md:1: a prompt file has at most"),
        (prompt_file(rest="{% block user %}{% endblock %}"), "mine.md:13: block 'user' defined twice"),
    ],
)  # fmt: skip
def test_a_faulty_file_is_refused_by_line(text: str, start: str) -> None:
    """Each fault of the text names file and line, counted in the file as it is."""
    assert refusal(text).startswith(start), refusal(text)


def test_names_belong_to_their_section() -> None:
    """The system message knows no signal, a request about one knows no count, a shared section neither."""
    for text in (
        prompt_file().replace("Be sober.", "{{ signal.symbol }}"),
        prompt_file("{{ count }}"),
        prompt_file(rest="{% block batch %}{{ signal.symbol }}{% endblock %}"),
        prompt_file("{{ self.own() }}", rest="{% block own %}{{ signal.symbol }}{% endblock %}"),
    ):
        assert "unknown name" in refusal(text)


def test_an_indicator_that_is_not_configured_is_refused_before_the_first_signal() -> None:
    """A file that needs an indicator is refused by settings that do not include it."""
    template = PromptTemplate(prompt_file("{{ signal.indicator.adx }}"), "mine.md")
    SignalFormatter(LLMConfig(indicators_to_include=["adx"]), template)
    with pytest.raises(ConfigError, match=r"mine\.md:11: the section user cannot be written: .*adx"):
        SignalFormatter(LLMConfig(indicators_to_include=["rsi"]), template)
    with pytest.raises(ConfigError, match=r"mine\.md:11: .*adx"):
        SignalFormatter(LLMConfig(indicators_to_include=["rsi"])).using(template)


def test_a_first_bar_that_may_be_missing_is_refused_before_the_first_signal() -> None:
    """A file that takes the first bar for granted is refused, as there are signals without bars."""
    template = PromptTemplate(prompt_file("{{ signal.bar_rows[0].time }}"), "mine.md")
    with pytest.raises(ConfigError, match=r"mine\.md:11: .*no element 0"):
        SignalFormatter(None, template)


def test_without_a_batch_section_every_signal_stands_alone() -> None:
    """A file for single signals is used for single signals, and says so when asked for more."""
    formatter = SignalFormatter(None, PromptTemplate(prompt_file(), "mine.md"))
    assert not formatter.template.can_batch
    assert formatter.batchable([SIGNAL_OF_TESTS] * 3, 20, across_time=True) == [[0], [1], [2]]
    with pytest.raises(ConfigError, match="no section batch"):
        formatter.batch_prompt([SIGNAL_OF_TESTS])


def test_another_prompt_uses_the_same_settings_and_bars() -> None:
    """using() gives a formatter for another file that knows the bars already read."""
    first = SignalFormatter(LLMConfig(lookback_periods=2))
    first.format_signal_data(SIGNAL_OF_TESTS)
    second = first.using(PromptTemplate(prompt_file("{{ signal.bars }}")))
    assert second.format_signal_data(SIGNAL_OF_TESTS).count("\n") == 1
    assert (second.prompt_name, second.prompt_version, second.system_prompt) == ("mine", "7", "Be sober.")
    assert first.prompt_name == "default"
    assert second._reader is first._reader


# The library


def test_the_users_folder_comes_before_the_built_in_prompts(tmp_path: Path) -> None:
    """A file of the user's with a built-in name replaces it; other names are found beside each other."""
    (tmp_path / "default.md").write_text(prompt_file(name="default", version="mine"))
    (tmp_path / "bold.md").write_text(prompt_file(name="bold"))
    library = PromptLibrary(tmp_path)
    assert library.names() == ["bold", "default"]
    assert library.get().version == "mine"
    assert library.get("bold").name == "bold"
    assert library.get("bold") is library.get("bold")
    assert PromptLibrary().get() is builtin_prompt()
    assert PromptLibrary().names() == ["default"]


def test_a_path_names_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a slash or .md is a path, from the library's folder or else from the working folder."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.md").write_text(prompt_file(name="other"))
    monkeypatch.chdir(tmp_path)
    for library, name in (
        (PromptLibrary(), "folder/a.md"),
        (PromptLibrary("folder"), "a.md"),
        (PromptLibrary(), str(tmp_path / "folder" / "a.md")),
    ):
        assert library.get(name).name == "other"


@pytest.mark.parametrize("name", ["missing", "..", "", "a b", "x" * 500, "\x1b[31m"])
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(tmp_path: Path, name: str) -> None:
    """A name that leads nowhere is refused in one visible line."""
    with pytest.raises(ConfigError) as caught:
        PromptLibrary(tmp_path).get(name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_a_name_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    """Names have no path in them; whoever wants a file elsewhere writes its path."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out.md").write_text(prompt_file(name="out"))
    with pytest.raises(ConfigError):
        PromptLibrary(tmp_path / "in").get("out")


def test_a_file_that_calls_itself_otherwise_is_refused(tmp_path: Path) -> None:
    """The name under which a prompt is chosen is the name that is stored."""
    (tmp_path / "a.md").write_text(prompt_file(name="b"))
    with pytest.raises(ConfigError, match=r"a\.md:2: .*'a'.*'b'"):
        PromptLibrary(tmp_path).get("a")


def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe, bytes that are no UTF-8 and a huge file are one-line errors."""
    (tmp_path / "bytes.md").write_bytes(b"---\nname: \xff\n")
    (tmp_path / "huge.md").write_bytes(b"a" * 300_000)
    (tmp_path / "folder.md").mkdir()
    os.mkfifo(tmp_path / "pipe.md")
    for name, part in (
        ("none.md", "no such prompt file"), ("folder.md", "no such prompt file"), ("pipe.md", "no such"),
        ("bytes.md", "bytes.md:2: not UTF-8"), ("huge.md", "at most 262144 bytes"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=part):
            PromptTemplate.load(tmp_path / name)


def test_the_built_in_prompt_is_such_a_file() -> None:
    """It loads from the package, can batch, and gives the text that SignalFormatter sends by default."""
    template = builtin_prompt()
    assert template.name == "default"
    assert template.can_batch
    assert Path(template.where).is_file()
    own = SignalFormatter(None, PromptTemplate(template.source))
    assert own.prompt(SIGNAL_OF_TESTS) == SignalFormatter().prompt(SIGNAL_OF_TESTS)
    assert own.prompt_hash == SignalFormatter().prompt_hash


def test_the_labels_of_the_measures_name_their_periods() -> None:
    """The numbers in the built-in file are those the measures are computed with."""
    found: list[Any] = re.findall(
        r"(?:Choppiness Index|Efficiency ratio) \((\d+)\): ", builtin_prompt().source
    )
    assert [int(number) for number in found] == [CHOPPINESS_PERIODS, EFFICIENCY_PERIODS] * 2


def test_making_a_formatter_reads_no_file_and_imports_nothing() -> None:
    """A worker may be made on a running loop: the built-in prompt is read when the library is imported."""
    code = (
        "import sys, llm_integration as sidecar; config = sidecar.LLMConfig(); seen = []; "
        "sys.addaudithook(lambda event, args: event in ('open', 'import') and seen.append(args[0])); "
        "text = sidecar.SignalFormatter(config).format_batch([{}]); print(seen)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
