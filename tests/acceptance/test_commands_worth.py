"""``python -m llm_integration worth`` from files alone: what it prints, writes, and refuses in one line."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_integration.commands import main
from llm_integration.commands.line import load_command
from llm_integration.worth.sections import RatedSignal
from tests.unit.worth_parts import EURUSD, HEADER, signal_file, signal_row, signals

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]


def leave(*arguments: object) -> int:
    try:
        return main(["worth", *map(str, arguments)])
    except SystemExit as left:
        return int(left.code or 0)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(capsys: Captured, *arguments: object) -> dict[str, Any]:
    """What --json prints."""
    assert leave(*arguments, "--json") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    found: dict[str, Any] = json.loads(captured.out)
    return found


def refused(capsys: Captured, *arguments: object) -> str:
    """The one line on stderr of a command that ends with 2 and prints nothing."""
    assert leave(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err[:-1].isprintable()
    return captured.err


def test_the_json_has_the_promised_names(tmp_path: Path, capsys: Captured) -> None:
    """Accounting, outcomes, ratings, the primary test, policy and verdict; it adds up."""
    given = [*signals(90), replace(signals(91, seed=5)[0], rating=None, status="unrated")]
    report = told(capsys, "--signals", signal_file(tmp_path, given), "--bars", EURUSD)
    counts = report["accounting"]
    assert {"signals", "rated", "unrated", "failed", "expired", "resolved", "open", "unresolvable",
            "ambiguous"} <= set(counts)  # fmt: skip
    assert counts["signals"] == 91 == counts["rated"] + counts["unrated"]
    assert counts["unrated"] == 1
    assert len(report["outcomes"]) == 91
    for one in report["outcomes"]:
        assert {"signal_id", "exit", "r_gross", "r_net", "r_optimistic", "bars_held", "ambiguous"} <= set(one)
        assert one["exit"] in ("stop", "target", "time", "open", "unresolvable")
        assert one["ambiguous"] or one["r_optimistic"] == one["r_gross"]
    assert [row["rating"] for row in report["by_rating"]] == [1, 2, 3, 4, 5]
    assert set(report["rank_ic"]) >= {"value", "low", "high", "p", "effective_n", "minimum_detectable"}
    assert [row["min_rating"] for row in report["policy"]] == [1, 2, 3, 4, 5]
    assert report["verdict"]["level"] in ("no_evidence", "evidence_for", "evidence_against", "too_few")
    assert "spread 0" in report["rules"]


def test_a_terminal_gets_the_verdict_and_every_section(tmp_path: Path, capsys: Captured) -> None:
    """The accounting first, the sentence second, the rules and costs at the end."""
    path = signal_file(tmp_path, signals(100))
    assert leave("--signals", path, "--bars", EURUSD, "--cutoff", "2017-06-01") == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert lines[0] == "100 signals = 100 rated + 0 unrated + 0 failed + 0 expired"
    assert lines[3].startswith("No evidence yet. ")
    for part in ("R net by rating", "Jonckheere", "policy: keep", "beside all of these", "calibration",
                 "the rater", "choppiness now", "choppiness ahead", "money: spent unknown",
                 "training cutoff", "by regime", "nothing is taken off", "no --ledger"):  # fmt: skip
        assert part in shown, part


def test_the_page_and_the_outcomes_are_written(tmp_path: Path, capsys: Captured) -> None:
    """One file each, in one step, named in the output; the outcomes are those of the JSON."""
    path = signal_file(tmp_path, signals(60))
    html, table = tmp_path / "worth.html", tmp_path / "llm_outcomes.csv"
    options = ("--signals", path, "--bars", EURUSD, "--html", html, "--outcomes", table)
    report = told(capsys, *options)
    assert html.read_text().startswith("<!doctype html>")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["signal_id"] for row in rows] == [one["signal_id"] for one in report["outcomes"]]
    for row, one in zip(rows, report["outcomes"], strict=True):
        assert (float(row["r_net"]) if row["r_net"] else None) == one["r_net"]
        assert (row["source"], row["resolver_version"]) == ("bars", "1")
    first = html.read_bytes(), table.read_bytes()
    told(capsys, *options)
    assert (html.read_bytes(), table.read_bytes()) == first
    assert not list(tmp_path.glob(".*"))
    assert leave(*options[:4], "--html", tmp_path / "no" / "worth.html") == 1
    assert "cannot be written" in capsys.readouterr().err


def test_settings_of_the_resolver_are_flags(tmp_path: Path, capsys: Captured) -> None:
    """A shorter horizon ends trades by time, costs come off, the entry moves; the rules say so."""
    files = ("--signals", signal_file(tmp_path, signals(60)), "--bars", EURUSD)
    plain = told(capsys, *files)
    short = told(capsys, *files, "--horizon-bars", 1)
    assert max(one["bars_held"] for one in short["outcomes"]) == 1
    assert "1 bars at most" in short["rules"]
    costly = told(capsys, *files, "--spread", 0.0001, "--commission", 0.0001, "--slippage", 0.0002)
    for one, other in zip(plain["outcomes"], costly["outcomes"], strict=True):
        if one["exit"] in ("stop", "target", "time"):
            assert one["r_gross"] == other["r_gross"]
            assert other["r_net"] < one["r_net"]
    close = told(capsys, *files, "--entry", "close")
    assert any(
        a["entry_price"] != b["entry_price"]
        for a, b in zip(plain["outcomes"], close["outcomes"], strict=True)
    )
    unlimited = told(capsys, *files, "--horizon-bars", "none")
    assert not any(one["exit"] == "time" for one in unlimited["outcomes"])
    session = told(capsys, *files, "--session-end", "22:00", "--timezone", "UTC")
    assert max(one["bars_held"] for one in session["outcomes"]) <= 24


def test_looks_are_written_down_once_and_count(tmp_path: Path, capsys: Captured) -> None:
    """A repeated look adds none; another horizon, subset or model is one more, and raises p by Holm."""
    given = [replace(one, model=f"m/{at % 2}") for at, one in enumerate(signals(120, seed=3))]
    files = (
        "--signals",
        signal_file(tmp_path, given),
        "--bars",
        EURUSD,
        "--ledger",
        tmp_path / "looks.jsonl",
    )
    first = told(capsys, *files)
    assert first["rank_ic"]["looks"] == 1
    assert told(capsys, *files)["rank_ic"] == first["rank_ic"]
    assert told(capsys, *files, "--horizon-bars", 30)["rank_ic"]["looks"] == 2
    assert told(capsys, *files, "--model", "m/1")["rank_ic"]["looks"] == 3
    assert told(capsys, *files, "--since", "2017-05-01")["rank_ic"]["looks"] == 4
    again = told(capsys, *files)["rank_ic"]
    assert (again["looks"], again["p"]) == (4, first["rank_ic"]["p"])
    assert again["p_holm"] >= again["p"]
    assert len((tmp_path / "looks.jsonl").read_text().splitlines()) == 4
    (tmp_path / "looks.jsonl").write_text("{}\n")
    assert "looks.jsonl:1: no entry of a ledger" in refused(capsys, *files)


def test_signals_without_bars_are_left_out_with_a_word(tmp_path: Path, capsys: Captured) -> None:
    """Which and how many; the report of the others is what it would be without them."""
    given = signals(60)
    files = ("--bars", EURUSD, "--signals")
    alone = told(capsys, *files, signal_file(tmp_path, given))
    lost = [replace(one, trade=replace(one.trade, signal_id=f"lost{at}", at=(one.trade.at or 0) - 3 * 10**14))
            for at, one in enumerate(signals(7, seed=2))]  # fmt: skip
    found = told(capsys, *files, signal_file(tmp_path, [*given, *lost], "more.csv"))
    assert any("do not cover 7 signals" in note and "lost0" in note for note in found["notes"])
    assert found["rank_ic"] == alone["rank_ic"]
    assert found["accounting"]["reasons"]["no_bars"] == 7


def test_the_simulators_ratings_are_never_mixed_with_real_ones(tmp_path: Path, capsys: Captured) -> None:
    """Alone they are shown with a word; beside real ones they are left out unless asked for."""
    given = [replace(one, model="simulated/x") for one in signals(40)]
    real = [
        replace(one, trade=replace(one.trade, signal_id=f"r{one.signal_id}")) for one in signals(9, seed=2)
    ]
    files = ("--bars", EURUSD, "--signals")
    alone = told(capsys, *files, signal_file(tmp_path, given))
    assert any("say nothing about any model" in note for note in alone["notes"])
    both = signal_file(tmp_path, [*given, *real], "both.csv")
    assert told(capsys, *files, both)["accounting"]["signals"] == 9
    assert told(capsys, *files, both, "--simulated")["accounting"]["signals"] == 40


def test_a_signal_without_a_time_is_unresolvable_and_the_others_go_on(
    tmp_path: Path, capsys: Captured
) -> None:
    """An empty time is no fault of the file: the host never named one."""
    path = tmp_path / "llm_signals.csv"
    path.write_text("\n".join(rows_with({"timestamp": ""})) + "\n")
    found = told(capsys, "--signals", path, "--bars", EURUSD)
    assert found["accounting"]["reasons"]["no_time"] == 1


def test_the_documentation_names_options_that_exist() -> None:
    """Every option in docs/worth.md is one of the command."""
    known = {option for action in load_command("worth")[1]._actions for option in action.option_strings}
    named = set(re.findall(r"`(--[a-z-]+)", (ROOT / "docs" / "worth.md").read_text("utf-8")))
    assert named <= known | {"--repetitions"}
    assert {"--horizon-bars", "--entry", "--spread", "--ledger", "--outcomes"} <= named


def rows_with(change: dict[str, str], line: int = 3) -> list[str]:
    """Good rows of a file, one of them changed."""
    names = HEADER.split(",")
    rows = [signal_row(one).split(",") for one in signals(40)]
    for name, value in change.items():
        rows[line - 2][names.index(name)] = value
    return [HEADER, *(",".join(row) for row in rows)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"llm_rating": "6"}, ":3: the rating '6' is not a whole number from 1 to 5"),
        ({"llm_rating": "0"}, "'0'"),
        ({"llm_rating": "-1"}, "'-1'"),
        ({"llm_rating": "4.5"}, "'4.5'"),
        ({"llm_rating": "nan"}, "'nan'"),
        ({"llm_rating": "great"}, "'great'"),
        ({"llm_rating": "1e400"}, "'1e400'"),
        ({"signal_id": ""}, ":3: a signal without an id"),
        ({"stop_loss": "cheap"}, ":3: stop_loss 'cheap' is not a number"),
        ({"target_price": "1;5"}, "target_price '1;5'"),
        ({"entry_price": "x\x1b[2J"}, "entry_price 'x'"),
        ({"timestamp": "yesterday"}, "'timestamp'"),
        ({"timestamp": "1066-10-14T09:00:00Z"}, "before 1980"),
    ],
)
def test_a_bad_cell_is_one_line_that_names_it(
    change: dict[str, str], says: str, tmp_path: Path, capsys: Captured
) -> None:
    """File, line, and what stands there; exit 2."""
    path = tmp_path / "llm_signals.csv"
    path.write_text("\n".join(rows_with(change)) + "\n")
    assert says in refused(capsys, "--signals", path, "--bars", EURUSD)


def test_two_signals_with_one_id_are_one_line(tmp_path: Path, capsys: Captured) -> None:
    """Both lines are named."""
    path = signal_file(tmp_path, [*signals(40), signals(40)[0]])
    error = refused(capsys, "--signals", path, "--bars", EURUSD)
    assert "two signals with the id 's" in error
    assert ":42:" in error
    assert "line 2" in error


def moved(given: list[RatedSignal], microseconds: int) -> list[RatedSignal]:
    return [replace(one, trade=replace(one.trade, at=(one.trade.at or 0) + microseconds)) for one in given]


def dearer(given: list[RatedSignal], times: float) -> list[RatedSignal]:
    return [
        replace(one, trade=replace(one.trade, entry_price=(one.trade.entry_price or math.nan) * times))
        for one in given
    ]


def test_files_of_different_sessions_are_one_line(tmp_path: Path, capsys: Captured) -> None:
    """Other years, other prices: nothing is resolved that would look like a result."""
    years = 3 * 365 * 86_400_000_000
    error = refused(capsys, "--signals", signal_file(tmp_path, moved(signals(40), years)), "--bars", EURUSD)
    assert "no signal lies within the bars (bars from 2017-01-01" in error
    for times in (5_000.0, 0.01, 1.5):
        path = signal_file(tmp_path, dearer(signals(40), times))
        assert "belong to different sessions" in refused(capsys, "--signals", path, "--bars", EURUSD)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("a,b,c\n1,2,3\n", "no column timestamp, signal_id"),
        (HEADER + "\n", "no signal in it"),
        ("\udcff\udcfe\udcfd", "not a CSV file"),
    ],
)
def test_a_file_that_is_no_file_of_signals_is_one_line(
    text: str, says: str, tmp_path: Path, capsys: Captured
) -> None:
    """Empty, of something else, without a row, or no text."""
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert says in refused(capsys, "--signals", path, "--bars", EURUSD)


def test_without_bars_or_with_broken_ones_there_is_no_report(tmp_path: Path, capsys: Captured) -> None:
    """No bars at all, a file that is not there, one without a bar, one that is broken."""
    path = signal_file(tmp_path, signals(40))
    assert "no bars" in refused(capsys, "--signals", path)
    assert "nowhere.csv" in refused(capsys, "--signals", path, "--bars", tmp_path / "nowhere.csv")
    assert "nowhere.csv" in refused(capsys, "--signals", tmp_path / "nowhere.csv", "--bars", EURUSD)
    broken = tmp_path / "bars.csv"
    for text in ("", "timestamp,open,high,low,close,volume\n",
                 "timestamp,open,high,low,close,volume\n2017-01-01T00:00:00Z,1,0.5,2,1,1\n"):  # fmt: skip
        broken.write_text(text)
        assert "bars.csv" in refused(capsys, "--signals", path, "--bars", broken)


def test_bars_of_several_symbols_are_told_apart(tmp_path: Path, capsys: Captured) -> None:
    """By name, or by a column; a file that does not say whose bars it has is refused."""
    one, other = (
        signals(40),
        [
            replace(s, symbol="ES", trade=replace(s.trade, signal_id=f"e{s.signal_id}"))
            for s in signals(40, seed=2)
        ],
    )
    path = signal_file(tmp_path, [*one, *other])
    assert "whose bars are these?" in refused(capsys, "--signals", path, "--bars", EURUSD)
    both = told(capsys, "--signals", path, "--bars", f"ES={EURUSD}", "--bars", f"EURUSD={EURUSD}")
    assert both["accounting"]["signals"] == 80
    assert "no_bars" not in both["accounting"]["reasons"]
    header, *lines = EURUSD.read_text().splitlines()
    mixed = tmp_path / "mixed.csv"
    rows = [f"{name},{line}" for line in lines for name in ("ES", "EURUSD")]
    mixed.write_text("\n".join([f"symbol,{header}", *rows]) + "\n")
    found = told(capsys, "--signals", path, "--bars", mixed)
    assert found["outcomes"] == both["outcomes"]
    mixed.write_text("\n".join([f"symbol,{header}", *(row for row in rows if "ES" in row)]) + "\n")
    half = told(capsys, "--signals", path, "--bars", mixed)
    assert half["accounting"]["reasons"]["no_bars"] == 40
    assert "no signal of 'NQ', only of ES, EURUSD" in refused(
        capsys, "--signals", path, "--bars", f"NQ={EURUSD}"
    )
    alone = told(capsys, "--signals", path, "--bars", EURUSD, "--symbol", "ES")
    assert alone["accounting"]["signals"] == 40


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--spread", "-1"], "--spread"),
        (["--slippage", "inf"], "--slippage"),
        (["--commission", "much"], "--commission"),
        (["--horizon-bars", "0"], "--horizon-bars"),
        (["--entry", "best"], "--entry"),
        (["--session-end", "25:00"], "25:00"),
        (["--timezone", "Atlantis"], "no time zone"),
        (["--session", "x"], "need PostgreSQL"),
        (["--prompt", "x"], "need PostgreSQL"),
        (["--model", "nobody"], "no signal in it that you ask for"),
        (["--self-test", "luck"], "--self-test"),
    ],
)
def test_wrong_options_are_one_line(options: list[str], says: str, tmp_path: Path, capsys: Captured) -> None:
    """Exit 2, and the option is named."""
    path = signal_file(tmp_path, signals(40))
    assert says in refused(capsys, "--signals", path, "--bars", EURUSD, *options)


def test_without_numpy_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """The extra is named; nothing else of the library needs it."""
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert "tradent-llm-sidecar[worth]" in refused(capsys, "--signals", tmp_path / "x.csv", "--bars", EURUSD)
    code = "import sys, llm_integration, llm_integration.commands.worth; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("kind", ["noise", "together", "planted"])
def test_the_self_test_runs_from_the_command_line(kind: str, tmp_path: Path, capsys: Captured) -> None:
    """On the bundled bars, in a line, with 0 when it is as it should be."""
    assert leave("--self-test", kind, "--repetitions", 60) == 0
    assert "as it should be" in capsys.readouterr().out
    found = told(capsys, "--self-test", kind, "--repetitions", 60)
    assert found["passed"] is True
    few = tmp_path / "few.csv"
    few.write_text("\n".join(EURUSD.read_text().splitlines()[:100]) + "\n")
    assert "too few" in refused(capsys, "--self-test", kind, "--bars", few)
