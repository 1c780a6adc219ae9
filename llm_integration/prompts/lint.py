"""What is wrong, or likely to go wrong, with a prompt file. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from llm_integration.config import LLMConfig
from llm_integration.domain import Bar, Signal, parse_time
from llm_integration.errors import ConfigError
from llm_integration.prompts.engine import compile_prompt
from llm_integration.prompts.front_matter import normalised, read_front_matter
from llm_integration.prompts.parts import estimated_tokens
from llm_integration.prompts.template import PromptTemplate
from llm_integration.signal_formatter import SignalFormatter

__all__ = ["Finding", "lint", "lint_text"]

HEADER: Final = "TRADING SIGNAL ANALYSIS REQUEST"
LONG_SYSTEM: Final = 700
"""Tokens; a system message beyond this is paid for with every request."""
LONG_INSTRUCTIONS: Final = 1_500
LATER_BAR: Final = "shows a bar from after the signal's time"

Severity = Literal["error", "warning"]

_TIME: Final = re.compile(r"\b(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?))?")
_BAR: Final = re.compile(r"\W{0,4}\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d\S{0,12})?[,;|\t ]+[\d.]+[,;|\t ]")
_DISARMED: Final = re.compile(r"\b(?:never|not|no|nothing)\b[^.]{0,80}\binstruction", re.IGNORECASE)
_SCALE: Final = re.compile(r"\b1\b.{0,60}?(?:-|–|to|over|through).{0,60}?\b5\b", re.DOTALL)
_MARK: Final = "Zqxj"
"""Marks the free text of the probe; no prompt says this word by itself."""
_FUTURE: Final = 98_765.4321
"""The price of the probe's later bars."""
_NOW: Final = datetime(2001, 2, 3, 4, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of a prompt: an ``error`` makes ratings wrong or impossible, a ``warning`` may."""

    severity: Severity
    line: int
    message: str


def lint_text(
    text: str, signals: Sequence[Signal] = (), *, where: str = "prompt", config: LLMConfig | None = None
) -> list[Finding]:
    """Every finding about the prompt file with this text; what ``lint`` says once it can be read."""
    try:
        _, body = read_front_matter(normalised(text), where)
    except ConfigError as error:
        return [_from_error(error, where)]
    _, problems = compile_prompt(body)
    if problems:
        return [Finding("error", problem.line, problem.message) for problem in problems]
    try:
        return lint(PromptTemplate.from_text(text, where), signals, config=config)
    except ConfigError as error:
        return [_from_error(error, where)]


def lint(
    template: PromptTemplate, signals: Sequence[Signal] = (), *, config: LLMConfig | None = None
) -> list[Finding]:
    """Findings about a prompt that loads, by line; it is tried on ``signals`` and on a probe of our own.

    The probe is a signal whose later bars and whose texts can be told apart wherever they turn up.
    """
    try:
        formatter = SignalFormatter(config, template)
    except ConfigError as error:
        return [_from_error(error, template.where)]
    found = [*_of_system(template), *_of_section(template, "user", _single(formatter))]
    if template.can_batch:
        found += _of_section(template, "batch", _batch(formatter))
    else:
        found.append(Finding("warning", 1, "no section batch: every signal is asked about alone"))
    found += _of_signals(formatter, signals)
    return sorted(set(found), key=lambda finding: (finding.line, finding.severity, finding.message))


def _from_error(error: ConfigError, where: str) -> Finding:
    rest = str(error).removeprefix(f"{where}:")
    line, _, message = rest.partition(": ")
    return Finding("error", int(line), message) if line.isdigit() else Finding("error", 1, rest.strip())


def _of_system(template: PromptTemplate) -> Iterator[Finding]:
    line, tokens = _line(template, "block system"), estimated_tokens(template.system)
    if tokens > LONG_SYSTEM:
        yield Finding("warning", line, f"the section system is long: about {tokens} tokens in every request")
    if _english(template) and not _DISARMED.search(template.system):
        yield Finding("warning", line, "the section system does not say that <data> holds no instructions")


def _of_section(
    template: PromptTemplate, section: str, write: Callable[[Sequence[Signal]], str]
) -> Iterator[Finding]:
    line = _line(template, f"block {section}")
    text = write([_probe()] if section == "user" else [_probe(), _probe("second")])
    for missing in _missing(text, section):
        yield Finding("error", line, f"the section {section} {missing}")
    yield from _of_data(template, section, text, line)
    if str(int(_FUTURE)) in text:
        yield Finding("error", line, f"the section {section} {LATER_BAR}")
    yield from _of_times(template, section, text, _NOW)
    tokens = estimated_tokens(_outside(text))
    if tokens > LONG_INSTRUCTIONS:
        yield Finding("warning", line, f"the section {section} is long: {tokens} tokens beside the data")


def _missing(text: str, section: str) -> Iterator[str]:
    """What a section leaves unsaid that the reply depends on."""
    around = _outside(text)
    if HEADER not in text.splitlines():
        yield f"lacks the line {HEADER}"
    if not _SCALE.search(around):
        yield "does not name the scale, from 1 (avoid) to 5 (excellent)"
    if "json" not in around.lower():
        yield "does not ask for JSON"
    keys = ["rating", "choppiness", "analysis", "recommendations"]
    for key in [*keys, "signals", "id", "symbol"] if section == "batch" else keys:
        if f'"{key}"' not in around:
            yield f'does not name the key "{key}" of the reply'


def _of_data(template: PromptTemplate, section: str, text: str, line: int) -> Iterator[Finding]:
    opened, closed = text.count("\n<data>\n"), text.count("\n</data>")
    if (opened, closed) != (1, 1) or text.index("\n<data>\n") > text.index("\n</data>"):
        yield Finding(
            "error", line, f"the section {section} needs one block between lines <data> and </data>"
        )
    elif _MARK in _outside(text):
        yield Finding("error", line, f"the section {section} shows a signal's text outside of <data>")
    if _english(template) and not _DISARMED.search(_outside(text) + template.system):
        yield Finding("error", line, "nowhere is it said that the data block holds no instructions")
    if _MARK not in text:
        yield Finding("warning", line, f"the section {section} does not name the signal's symbol")


def _of_signals(formatter: SignalFormatter, signals: Sequence[Signal]) -> Iterator[Finding]:
    """What only shows with signals that were stored."""
    sections = {"user": _single(formatter), "batch": _batch(formatter)}
    if not formatter.template.can_batch:
        del sections["batch"]
    for signal in signals:
        for section, write in sections.items():
            yield from _of_signal(formatter.template, signal, section, write)


def _of_signal(
    template: PromptTemplate, signal: Signal, section: str, write: Callable[[Sequence[Signal]], str]
) -> Iterator[Finding]:
    try:
        write([signal])
        # The host's own words may speak of any time, and a contract is often named by its day of expiry.
        text = write([replace(signal, symbol="X", strategy=None, notes=None)])
    except ConfigError as error:
        yield _from_error(error, template.where)
        return
    if signal.timestamp is not None:
        yield from _of_times(template, section, text, signal.timestamp)


def _of_times(template: PromptTemplate, section: str, text: str, moment: datetime) -> Iterator[Finding]:
    """Times in ``text`` that lie after ``moment``: a bar's is an error, another may be harmless."""
    later = [line for line in text.splitlines() if _later(line, moment)]
    if not later:
        return
    lines = enumerate(template.source.split("\n"), 1)
    at = next((number for number, line in lines if _later(line, moment)), _line(template, f"block {section}"))
    if any(_BAR.match(line) for line in later):
        yield Finding("error", at, f"the section {section} {LATER_BAR}")
    else:
        yield Finding("warning", at, f"the section {section} names a time; earlier signals are told of it")


def _single(formatter: SignalFormatter) -> Callable[[Sequence[Signal]], str]:
    return lambda signals: formatter.prompt(signals[0]).user


def _batch(formatter: SignalFormatter) -> Callable[[Sequence[Signal]], str]:
    return lambda signals: formatter.batch_prompt(signals).text


def _probe(signal_id: str = "probe") -> Signal:
    """A signal with bars on both sides of its time."""
    bars = [
        Bar(_NOW + timedelta(hours=hour), *((_FUTURE,) * 4 if hour > 0 else (1.5, 1.75, 1.25, 1.5)), 7.0)
        for hour in range(-40, 40)
    ]
    return Signal(
        signal_id, _NOW, f"{_MARK}USD", "BUY", 1.5, 1.25, 2.0, bars=bars, strategy=_MARK, notes=_MARK
    )


def _outside(text: str) -> str:
    """The text around the data block."""
    before, _, rest = text.partition("\n<data>\n")
    return before + "\n" + rest.partition("\n</data>")[2] if rest else text


def _later(text: str, moment: datetime) -> bool:
    """Whether ``text`` names a time, or a day, that lies wholly after ``moment``."""
    for day, hour in _TIME.findall(text):
        named = parse_time(f"{day} {hour}".strip())
        if named is not None and named > moment:
            return True
    return False


def _english(template: PromptTemplate) -> bool:
    """Whether the words that are looked for are those of the file's language."""
    return template.facts.language.lower().partition("-")[0] in ("en", "eng")


def _line(template: PromptTemplate, wanted: str) -> int:
    lines = template.source.split("\n")
    return next((number for number, line in enumerate(lines, 1) if re.search(rf"{wanted}\b", line)), 1)
