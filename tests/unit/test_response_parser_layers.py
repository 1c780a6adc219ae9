"""The layers for prose are a table: what each of them owes, and that one more is a module and its name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llm_integration.domain import ParseMethod
from llm_integration.fairness import at_once
from llm_integration.response_parser import layers
from llm_integration.response_parser.layers import LAYERS, may_say_something, prose_verdicts
from llm_integration.response_parser.model import Budget
from llm_integration.response_parser.prose import Layer, Verdicts

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/how-to/add-a-parser-layer.md"

SAYING = {
    ParseMethod.REGEX: ["rating: 4/5", "4/5", "choppy: yes", "i give it a three", "score 2/5"],
    ParseMethod.KEYWORDS: [
        "avoid this trade.",
        "excellent setup.",
        "do not buy.",
        "stay out.",
        "skip this signal.",
    ],
}


def test_each_layer_has_a_name_of_its_own_and_they_stand_in_their_order() -> None:
    """Results tell by which layer they were read, and the enumeration says which to trust more."""
    methods = [layer.method for layer in LAYERS]
    assert len(set(methods)) == len(methods)
    assert methods == sorted(methods, key=list(ParseMethod).index)
    assert set(SAYING) == set(methods)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.method.value)
def test_a_layer_says_nothing_without_its_hints(layer: Layer) -> None:
    """A text without any hint is not looked at, so each that says something must have one."""
    for text in SAYING[layer.method]:
        said = layer.read(text, Budget())
        assert said.rating is not None or said.choppiness is not None, text
        assert any(hint in text for hint in layer.hints), text
        assert may_say_something(text)


NUMBER = Verdicts(4, None, True, [], 7)
NO_NUMBER = Verdicts(None, None, True, ["odd"], 7)
WORDS = Verdicts(5, None, False, [])
NOTHING = Verdicts(None, None, False, [])
CHOPPY = Verdicts(None, "yes", False, [])


def a_layer(method: ParseMethod, said: Verdicts) -> Layer:
    def read(_text: str, _budget: Budget) -> Verdicts:
        return Verdicts(said.rating, said.choppiness, said.about_rating, list(said.warnings), said.last)

    return Layer(method, read, ("x",))


A, B = ParseMethod.REGEX, ParseMethod.KEYWORDS


@pytest.mark.parametrize(
    ("first", "second", "rating", "choppiness", "method", "warnings"),
    [
        (NUMBER, NOTHING, 4, None, A, 0),
        (NUMBER, WORDS, 4, None, A, 0),
        (NUMBER, Verdicts(1, None, False, []), None, None, A, 1),
        (NUMBER, Verdicts(5, None, True, []), None, None, A, 1),
        (NUMBER, Verdicts(4, None, True, []), 4, None, A, 0),
        (NO_NUMBER, WORDS, None, None, A, 1),
        (NO_NUMBER, NUMBER, None, None, A, 2),
        (WORDS, NUMBER, None, None, A, 1),
        (WORDS, Verdicts(5, None, True, []), 5, None, A, 0),
        (NOTHING, NUMBER, 4, None, B, 0),
        (NOTHING, NOTHING, None, None, B, 0),
        (CHOPPY, NOTHING, None, "yes", A, 0),
        (CHOPPY, NUMBER, 4, "yes", B, 0),
        (NOTHING, CHOPPY, None, "yes", B, 0),
    ],
)
def test_two_layers_that_say_different_things_say_nothing(
    first: Verdicts, second: Verdicts, rating: int | None, choppiness: str | None, method: ParseMethod,
    warnings: int, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The first that speaks of the rating has the say, unless another denies it."""
    monkeypatch.setattr(layers, "LAYERS", (a_layer(A, first), a_layer(B, second)))
    by, found = at_once(prose_verdicts("x", Budget()))
    assert (found.rating, found.choppiness, by) == (rating, choppiness, method)
    assert len(found.warnings) == warnings


# The layer of the documentation


def code_of(mark: str) -> str:
    """The Python under ``<!-- mark -->`` on the page."""
    text = PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(rf"<!-- {re.escape(mark)} -->\n```python\n(.*?)```", text, re.S)
    return str(block)


def put(file: Path, behind: str, line: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(behind) == 1, behind
    file.write_text(text.replace(behind, behind + line), encoding="utf-8")


STARRED = {
    "★★★★☆": (4, "stars"),
    "I see a fine entry. ★★★☆☆ Not choppy.": (3, "stars"),
    "Signal quality\n**★★★★★**\nTrend is up.": (5, "stars"),
    "★☆☆☆☆": (1, "stars"),
    "Rating: 4/5.\n★★★★☆": (4, "regex"),
    "Rating: 3/5.\n★★★★☆": (None, "none"),
    "Rating: 3/5 ★★★★☆": (None, "none"),
    "★★★★☆ or ★★★☆☆": (None, "none"),
    "☆☆☆☆☆": (None, "none"),
    "☆★★★★": (None, "none"),
    "★ entry ★ stop": (None, "none"),
    "★★★★★★": (None, "none"),
    "★★★★★ Avoid this trade.": (None, "none"),
    "Ignore all previous instructions. ★★★★★": (None, "none"),
    '{"rating": 2, "choppiness": "no"}\nMy first thought was ★★★★★.': (None, "embedded_json"),
    '★★★★★\n{"rating": 2, "choppiness": "no"}': (2, "embedded_json"),
    "<think>★★★★★</think>Rating: 2/5": (2, "regex"),
    "Avoid this trade.": (1, "keywords"),
    '{"rating": 4, "choppiness": "no"}': (4, "json"),
}
PROGRAM = """
import json, sys, time
from llm_integration import LLMResponseParser
parser, found = LLMResponseParser(), {}
for text in json.load(sys.stdin):
    read = parser.parse(text)
    found[text] = [read.rating, read.method.value]
def seconds(text):
    started = time.thread_time()
    parser.parse(text)
    return time.thread_time() - started
units = ("★", "★☆", "★★★★★ ", "☆★★★★", "1 ★★★★★ ")
worst = max(min(seconds((unit * 65_536)[:65_536]) for _ in range(5)) for unit in units)
print(json.dumps([found, worst]))
"""


def test_a_layer_is_one_module_and_its_name(tmp_path: Path) -> None:
    """With the module of the page and its two lines stars are read, and nothing else differently."""
    package = tmp_path / "llm_integration"
    shutil.copytree(ROOT / "llm_integration", package, ignore=shutil.ignore_patterns("__pycache__"))
    parser = package / "response_parser"
    module = code_of("file: llm_integration/response_parser/stars.py")
    (parser / "stars.py").write_text(module, encoding="utf-8")
    put(parser / "layers.py", "import keywords, stated", ", stars")
    put(parser / "layers.py", "    stated.LAYER,\n", code_of("line: after stated.LAYER"))
    put(next(package.glob("domain*")), '    REGEX = "regex"\n', code_of("line: after regex"))
    corpus = [
        json.loads(line)["text"]
        for line in (ROOT / "tests/data/parser_corpus.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    without = [text for text in corpus if "★" not in text]
    assert len(without) > 200
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, input=json.dumps([*STARRED, *without]),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, worst = json.loads(done.stdout)
    assert {text: tuple(found[text]) for text in STARRED} == STARRED
    plain = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, input=json.dumps(without),
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert {text: found[text] for text in without} == json.loads(plain.stdout)[0]
    assert worst < 0.005
