"""Jinja2, locked up: how a checked prompt file is compiled, and the bounds within which it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from types import CodeType
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.environment import Template
from jinja2.filters import FILTERS as ALL_FILTERS
from jinja2.runtime import Context, LoopContext, TemplateReference
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as ALL_TESTS

from llm_integration.prompts.checks import BOUNDED, Checker, weight
from llm_integration.prompts.expressions import FILTERS, LOOP, TESTS, Problem

__all__ = ["MOST_OUTPUT", "MOST_STEPS", "WORK", "Compiled", "OverBudgetError", "Work", "compile_prompt"]

MOST_OUTPUT: Final = 400_000
"""Characters that one section may come to."""
MOST_STEPS: Final = 20_000
"""Steps that all loops of one section may take together."""
PIECES: Final = 64
"""How many pieces of a text are joined before its length is looked at."""
WORK: Final = "_work"
"""Where a render keeps its count; no prompt file can name it."""


class OverBudgetError(Exception):
    """A section took more work, or grew longer, than is allowed."""


class Work:
    """What is left of one render's steps."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MOST_STEPS


class _Locked(ImmutableSandboxedEnvironment):
    """Parts of a value are its keys and positions only, never a Python attribute."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        if isinstance(obj, LoopContext) and attribute in LOOP:
            return getattr(obj, attribute)
        if isinstance(obj, TemplateReference):  # a shared section
            return obj[attribute]
        if isinstance(obj, Undefined):
            str(obj)  # raises, and says what was missing in the first place
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if type(obj) is dict and isinstance(argument, str):
            return self.getattr(obj, argument)
        if type(obj) is list and type(argument) is int and -len(obj) <= argument < len(obj):
            return obj[argument]
        return self.undefined(obj=obj, name=argument)


@pass_context
def _bounded(context: Context, items: Iterable[object], steps: int) -> Iterator[object]:
    """``items``, each paid for with ``steps``."""
    work: Work = context.parent[WORK]
    for item in items:
        work.left -= steps
        if work.left < 0:
            raise OverBudgetError(f"its loops take more than {MOST_STEPS} steps")
        yield item


def _environment() -> _Locked:
    made = _Locked(
        undefined=StrictUndefined,
        autoescape=False,  # values are cleaned before they come here, and the model reads no HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        cache_size=0,
    )
    made.globals.clear()
    made.filters = {name: ALL_FILTERS[name] for name in FILTERS} | {BOUNDED: _bounded}
    made.tests = {name: ALL_TESTS[name] for name in TESTS}
    return made


_ENVIRONMENT: Final = _environment()


class Compiled:
    """A prompt file's text, compiled: its sections can be rendered, its names are known."""

    __slots__ = ("_template", "used")

    def __init__(self, code: CodeType, used: dict[str, frozenset[str]]) -> None:
        """``used`` holds the names that occur in each section."""
        self._template = Template.from_code(_ENVIRONMENT, code, {})
        self.used = used

    def render(self, section: str, values: dict[str, Any]) -> str:
        """``section`` with ``values``, which must hold a ``Work`` under ``WORK``.

        Raises OverBudgetError, and jinja2's UndefinedError for a name without a value.
        """
        stream = iter(self._template.blocks[section](self._template.new_context(values)))
        text = ""
        while pieces := list(islice(stream, PIECES)):
            text += "".join(pieces)
            if len(text) > MOST_OUTPUT:
                raise OverBudgetError(f"it grows longer than {MOST_OUTPUT} characters")
        return text.strip("\n")

    def line_of(self, error: BaseException) -> int | None:
        """The line of the prompt file at which ``error`` arose in a render."""
        found, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._template.filename:
                found = self._template.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        return found


def compile_prompt(source: str) -> tuple[Compiled | None, list[Problem]]:
    """``source`` ready to be rendered, or None with every fault found in it. Runs nothing of it."""
    checker = Checker()
    try:
        tree = _ENVIRONMENT.parse(source)
        checker.check(tree)
        if checker.problems:
            return None, sorted(set(checker.problems), key=lambda problem: (problem.line, problem.message))
        for loop in tree.find_all(nodes.For):
            _bound(loop)
        code = _ENVIRONMENT.compile(tree, name="prompt", filename="<prompt>")
        return Compiled(code, {name: frozenset(used) for name, used in checker.used_in.items()}), []
    except TemplateSyntaxError as error:
        return None, [Problem(error.lineno, _one_line(error.message or "not valid Jinja2"))]
    except (RecursionError, MemoryError):
        return None, [Problem(1, "the prompt is nested too deep")]
    except (SyntaxError, ValueError, OverflowError) as error:
        return None, [Problem(1, _one_line(f"cannot be compiled: {error}"))]


def _bound(loop: nodes.For) -> None:
    steps = nodes.Const(1 + weight(loop.body), lineno=loop.lineno)
    loop.iter = nodes.Filter(loop.iter, BOUNDED, [steps], [], None, None, lineno=loop.lineno)
    loop.iter.set_environment(_ENVIRONMENT)


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:200]
