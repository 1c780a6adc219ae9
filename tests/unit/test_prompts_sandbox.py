"""Prompt files that attack: nothing is reached, nothing is called, nothing grows, nothing hangs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_integration.errors import ConfigError
from llm_integration.prompts import PromptTemplate
from llm_integration.prompts.engine import MOST_OUTPUT, compile_prompt
from llm_integration.prompts.names import SIGNAL

HEAD = "---\nname: x\nversion: 1\nscale: 1-5\nlanguage: en\n---\n{% block system %}{% endblock %}"
ROWS = [dict.fromkeys(("time", "open", "high", "low", "close", "volume"), "1.2345") for _ in range(500)]
VALUES: dict[str, Any] = {
    "signal": dict.fromkeys(SIGNAL, "x" * 500) | {"bar_rows": ROWS, "bars": "x" * 30_000}
}


def template(user: str, rest: str = "") -> PromptTemplate:
    return PromptTemplate(f"{HEAD}{{% block user %}}{user}{{% endblock %}}{rest}", "mine.md")


@pytest.mark.parametrize(
    "user",
    [
        "{{ ''.__class__ }}",
        "{{ signal.__class__.__mro__ }}",
        "{{ signal['__class__'] }}",
        "{{ signal.symbol.upper }}",
        "{{ signal.symbol.format(1) }}",
        "{{ signal.symbol|attr('upper') }}",
        "{{ signal.indicator.__class__ }}",
        "{{ signal.indicator['__class__'] }}",
        "{{ signal.bar_rows|bounded }}",
        "{{ signal.get('x') }}",
        "{{ signal.items() }}",
        "{{ self.__init__ }}",
        "{{ self }}",
        "{{ self.user() }}",
        "{{ loop }}",
        "{% for a in signal.bar_rows %}{{ loop._iterator }}{% endfor %}",
        "{% for a in signal.bar_rows %}{{ loop.changed(a) }}{% endfor %}",
        "{% for a in signal.bar_rows recursive %}{{ loop(signal.bar_rows) }}{% endfor %}",
        "{{ range(1000000000) }}",
        "{% for i in range(1000000000) %}{% endfor %}",
        "{{ lipsum(9) }}",
        "{{ cycler('a') }}",
        "{{ joiner() }}",
        "{{ namespace() }}",
        "{{ dict() }}",
        "{{ caller() }}",
        "{{ super() }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 'a' + 'b' }}",
        "{{ 'a' ~ 'b' }}",
        "{{ '%9999999999s' % 1 }}",
        "{{ '%9999999999s'|format(1) }}",
        "{{ 'a'|center(1000000000) }}",
        "{{ 'a'|indent(1000000000) }}",
        "{{ signal.bars|replace('x', signal.bars) }}",
        "{{ signal.bar_rows|map(attribute='x') }}",
        "{{ [1] }}",
        "{{ {1: 2} }}",
        "{{ (1, 2) }}",
        "{{ 1e999 }}",
        "{{ 99999999999 }}",
        "{{ 'a" + "a" * 300 + "' }}",
        "{% set x = 1 %}",
        "{% set x %}a{% endset %}",
        "{% macro m() %}{% endmacro %}",
        "{% call m() %}{% endcall %}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% from 'os' import x %}",
        "{% extends 'x' %}",
        "{% filter upper %}a{% endfilter %}",
        "{% with a = 1 %}{% endwith %}",
        "{% autoescape true %}{% endautoescape %}",
        "{% for a in signal.symbol %}{% endfor %}",
        "{% for a, b in signal.bar_rows %}{% endfor %}",
        "{% for a in signal.bar_rows if a %}{% endfor %}",
        "{% for signal in signal.bar_rows %}{% endfor %}",
        "{% for _a in signal.bar_rows %}{% endfor %}",
        "{{ signal }}",
        "{{ signal.bar_rows }}",
        "{{ signal.bar_rows[0] }}",
        "{{ signal.symbol[0] }}",
        "{{ signal.bar_rows[signal.symbol] }}",
        "{{ signal.bars|bounded(0) }}",
        "{{ _work }}",
        "{{ signal.indicator.x|default(signal) }}",
        "{% if signal.risk > 2 %}{% endif %}",
        "{% if 'x' in signal.bars %}{% endif %}",
        "{{ 'a' if signal.notes }}",
        "{% block inner scoped %}{% endblock %}",
        "{% block batch %}{% endblock %}",
        "{{" + "(" * 30_000,
        "{% if 1 %}" * 60 + "{% endif %}" * 60,
        "{{ not " + "not " * 60 + "1 }}",
        "{{ " + "9" * 6_000 + " }}",
        "{{ signal.notes }}" * 3_000,
        "{{ signal.bars|upper }}" * 101,
        "{{ self.a() }}" * 21,
        "{{",
        "{% endfor %}",
        "{% debug %}",
        "{{ signal.symbol",
    ],
)
def test_what_is_more_than_arranging_texts_is_refused(user: str) -> None:
    """Python's insides, calls, arithmetic, assignments, other files and endless texts are refused."""
    with pytest.raises(ConfigError, match=r"^mine\.md:\d+: ") as caught:
        template(user)
    assert str(caught.value).isprintable()


def test_a_shared_section_cannot_call_itself_or_be_called_in_a_loop() -> None:
    """Sections do not nest by calling, so none can go on for ever, and no loop multiplies one."""
    rest = "{% block a %}{{ self.a() }}{% endblock %}"
    for user, more in (
        ("{{ self.a() }}", rest),
        ("{% for r in signal.bar_rows %}{{ self.b() }}{% endfor %}", "{% block b %}{% endblock %}"),
    ):
        with pytest.raises(ConfigError, match="nothing can be called"):
            template(user, more)


@pytest.mark.parametrize(
    "body",
    [
        "", "{{ c.open }}", "x", "{{ loop.index }}", "{% if signal.bars|upper %}{% endif %}",
        "{% if signal.bars == signal.notes %}{% endif %}",
    ],
)  # fmt: skip
def test_loops_in_loops_are_cut_off(body: str) -> None:
    """A hundred and twenty-five million rounds end after a bounded number, whatever stands inside."""
    rounds = "".join(f"{{% for {name} in signal.bar_rows %}}" for name in "abc")
    with pytest.raises(ConfigError, match="its loops take more than 20000 steps"):
        template(rounds + body + "{% endfor %}" * 3).render(VALUES)


def test_a_filter_in_a_loop_counts_for_more_than_a_name() -> None:
    """What goes over a whole text takes many steps: five hundred rounds with one are too many."""
    rounds = "{% for a in signal.bar_rows %}{% if signal.bars|upper %}{% endif %}{% endfor %}"
    with pytest.raises(ConfigError, match="steps"):
        template(rounds).render(VALUES)
    template(rounds.replace("|upper", "")).render(VALUES)


def test_an_unknown_filter_is_told_the_known_ones() -> None:
    """Whoever looks for a filter sees which there are."""
    with pytest.raises(
        ConfigError, match=r"unknown filter 'replace' \(known: count, d, default, .*, upper\)"
    ):
        template("{{ signal.symbol|replace('a', 'b') }}")


def test_a_text_cannot_grow_without_bound() -> None:
    """What would come to millions of characters is refused while it is written."""
    with pytest.raises(ConfigError, match="grows longer than"):
        template("{% for a in signal.bar_rows %}{{ signal.bars }}{% endfor %}").render(VALUES)
    assert len(template("{{ signal.bars }}" * 13).render(VALUES).user) <= MOST_OUTPUT


def test_a_row_for_every_bar_fits_in() -> None:
    """Five hundred bars, each taken apart, are well within the bounds."""
    text = template("{% for r in signal.bar_rows %}{{ r.time }} {{ r.open }} {{ r.close }}\n{% endfor %}")
    assert text.render(VALUES).user.count("1.2345 1.2345 1.2345") == 500


def test_a_value_that_is_not_there_is_an_error_with_its_line() -> None:
    """No missing value is passed over in silence."""
    with pytest.raises(ConfigError, match=r"^mine\.md:8: .*'symbol'"):
        template("\n{{ signal.symbol }}").render({"signal": {}})


PIECES = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "signal",
        ".",
        "symbol",
        "bars",
        "for",
        "in",
        "if",
        "endif",
        "endfor",
        "block",
        "endblock",
        " ",
        "\n",
        "x",
        "(",
        ")",
        "[",
        "]",
        "|",
        "upper",
        "'",
        '"',
        "__class__",
        "self",
        "==",
        "not",
        "1",
        "-",
        "bar_rows",
        "loop",
        "set",
        "=",
        "raw",
        "endraw",
        "~",
        "*",
        ":",
        "\x00",
        "é",
        "\ud800",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=60))
def test_no_text_breaks_the_checks(user: str) -> None:
    """Any text either loads and renders within its bounds, or is refused by a ConfigError; nothing else."""
    try:
        text = template(user).render(VALUES).user
    except ConfigError as error:
        assert str(error).startswith("mine.md:")  # noqa: PT017  either outcome is right
    else:
        assert len(text) <= MOST_OUTPUT
        assert "object at 0x" not in text
        assert "<class" not in text


def test_every_problem_is_reported_in_order() -> None:
    """All faults of a file are found at once, each with its line."""
    compiled, problems = compile_prompt("{% block user %}\n{{ a }}\n{{ b() }}\n{% endblock %}")
    assert compiled is None
    assert [problem.line for problem in problems] == [1, 2, 3]
