"""The expressions that a prompt file may use, and what each of them stands for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from jinja2 import nodes

from llm_integration.prompts.names import OPEN, SECTIONS, TEXT, Shape

__all__ = ["FILTERS", "LOOP", "MOST_DEPTH", "TESTS", "Expressions", "Problem", "Scope", "called"]

FILTERS: Final = frozenset(("count", "d", "default", "first", "last", "length", "lower", "trim", "upper"))
TESTS: Final = frozenset(("defined", "undefined"))
LOOP: Final[Mapping[str, Shape]] = dict.fromkeys(("index", "index0", "first", "last", "length"), TEXT)

MOST_DEPTH: Final = 40
LONGEST_CONST: Final = 200

Scope = Mapping[str, Shape | None]
"""What each name stands for; None when that is not known, or was complained about already."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of a prompt file, at a line of it."""

    line: int
    message: str


@dataclass(slots=True)
class Expressions:
    """Finds out what expressions stand for, and collects every problem and every name on the way."""

    problems: list[Problem] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    sections: dict[str, nodes.Block] = field(default_factory=dict)
    depth: int = 0

    def say(self, node: nodes.Node, message: str) -> None:
        """Complain about ``node``."""
        self.problems.append(Problem(getattr(node, "lineno", None) or 1, message))

    def shape(self, node: nodes.Node, scope: Scope) -> Shape | None:
        """What ``node`` stands for; None when that is unknown or was complained about."""
        self.depth += 1
        try:
            if self.depth > MOST_DEPTH:
                self.say(node, f"more than {MOST_DEPTH} levels")
                return None
            return self._kind(node, scope)
        finally:
            self.depth -= 1

    def _kind(self, node: nodes.Node, scope: Scope) -> Shape | None:  # noqa: PLR0911  one return for each kind
        match node:
            case nodes.Const():
                return self._const(node)
            case nodes.Name():
                return self._variable(node, scope)
            case nodes.Getattr() | nodes.Getitem():
                return self._attribute(node, scope)
            case nodes.Not() | nodes.And() | nodes.Or():
                return self._condition(node, scope)
            case nodes.Compare():
                return self._compare(node, scope)
            case nodes.CondExpr():
                return self._either(node, scope)
            case nodes.Filter():
                return self._filter(node, scope)
            case nodes.Test():
                return self._test(node, scope)
            case nodes.Call():
                return self._call(node, scope)
        self.say(node, f"{called(node)} is not allowed in an expression")
        return None

    def _const(self, node: nodes.Const) -> Shape | None:
        value = node.value
        if isinstance(value, (str, bytes)) and len(value) > LONGEST_CONST:
            self.say(node, f"a text in an expression has at most {LONGEST_CONST} characters")
        if isinstance(value, (int, float)) and not -1_000_000 <= value <= 1_000_000:
            self.say(node, "a number in an expression lies within a million")
        return TEXT

    def _variable(self, node: nodes.Name, scope: Scope) -> Shape | None:
        self.used.add(node.name)
        if node.ctx != "load" or node.name == "self" or node.name not in scope:
            self.say(node, f"unknown name {node.name!r}{_hint(node.name, scope)}")
            return None
        return scope[node.name]

    def _attribute(self, node: nodes.Getattr | nodes.Getitem, scope: Scope) -> Shape | None:
        shape = self.shape(node.node, scope)
        if isinstance(node, nodes.Getattr):
            return self._part(node, shape, node.attr)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self._part(node, shape, node.arg.value)
        return self._item(node, shape)

    def _part(self, node: nodes.Node, shape: Shape | None, name: str) -> Shape | None:
        self.used.add(name)
        if name.startswith("_"):
            self.say(node, f"unknown name {name!r}")
            return None
        if shape is None or shape == OPEN:
            return None if shape is None else TEXT
        if isinstance(shape, Mapping) and name in shape:
            return shape[name]
        known = shape if isinstance(shape, Mapping) else {}
        self.say(node, f"unknown name {name!r}{_hint(name, known)}")
        return None

    def _item(self, node: nodes.Getitem, shape: Shape | None) -> Shape | None:
        """A position or a slice of a list."""
        ends = node.arg.iter_child_nodes() if isinstance(node.arg, nodes.Slice) else [node.arg]
        whole = all(_whole(_unsigned(end)) for end in ends)
        if not whole or not (shape is None or isinstance(shape, list)):
            self.say(node, "only a list has positions, and they are given as whole numbers")
            return None
        return shape if isinstance(node.arg, nodes.Slice) or shape is None else shape[0]

    def _condition(self, node: nodes.Node, scope: Scope) -> Shape | None:
        for child in node.iter_child_nodes():
            self.shape(child, scope)
        return TEXT

    def _compare(self, node: nodes.Compare, scope: Scope) -> Shape | None:
        self.shape(node.expr, scope)
        for operand in node.ops:
            if operand.op not in ("eq", "ne"):
                self.say(node, "texts can be compared with == and != only")
            self.shape(operand.expr, scope)
        return TEXT

    def _either(self, node: nodes.CondExpr, scope: Scope) -> Shape | None:
        self.shape(node.test, scope)
        shapes = [self.shape(part, scope) for part in (node.expr1, node.expr2) if part is not None]
        if len(shapes) < 2:
            self.say(node, "an if in an expression needs its else")
        return shapes[0]

    def _filter(self, node: nodes.Filter, scope: Scope) -> Shape | None:
        if node.name not in FILTERS or node.node is None:
            self.say(node, f"unknown filter {node.name!r} (known: {', '.join(sorted(FILTERS))})")
            return None
        if (
            node.kwargs
            or node.dyn_args
            or node.dyn_kwargs
            or (node.args and node.name not in ("d", "default"))
        ):
            self.say(node, f"the filter {node.name} takes no such arguments")
            return None
        shape = self.shape(node.node, scope)
        for argument in node.args:
            if self.shape(argument, scope) not in (TEXT, None):
                self.say(node, f"the filter {node.name} takes a text")
        if isinstance(shape, list) and node.name in ("first", "last"):
            return shape[0]
        if isinstance(shape, (list, Mapping)) and node.name not in ("count", "length", "d", "default"):
            self.say(node, f"the filter {node.name} needs a text")
            return None
        return shape if node.name in ("d", "default") else TEXT

    def _test(self, node: nodes.Test, scope: Scope) -> Shape | None:
        if node.name not in TESTS or node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
            self.say(node, f"unknown test {node.name!r} (known: {', '.join(sorted(TESTS))})")
        self.shape(node.node, scope)
        return TEXT

    def _call(self, node: nodes.Call, scope: Scope) -> Shape | None:
        target = node.node
        plain = not (node.args or node.kwargs or node.dyn_args or node.dyn_kwargs)
        if not (plain and isinstance(target, nodes.Getattr) and _is_self(target.node) and "self" in scope):
            self.say(node, "nothing can be called here; {{ self.section() }} repeats a shared section")
        elif target.attr not in self.sections or target.attr in SECTIONS:
            self.say(node, f"there is no shared section {target.attr!r}")
        return TEXT


def called(node: nodes.Node) -> str:
    """What users call ``node``."""
    kind = type(node).__name__
    names = {"Assign": "set", "AssignBlock": "set", "FromImport": "import", "Concat": "~"}
    return names.get(kind, kind.lower())


def _is_self(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "self"


def _unsigned(node: nodes.Node) -> nodes.Node:
    return node.node if isinstance(node, nodes.Neg) else node


def _whole(node: nodes.Node) -> bool:
    value = node.value if isinstance(node, nodes.Const) else ""
    return value is None or (type(value) is int and 0 <= value <= 1_000)


def _hint(name: str, known: Iterable[str]) -> str:
    names = sorted(key for key in known if key != "self")
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f" (did you mean {near[0]!r}?)"
    return f" (known: {', '.join(names)})" if names else ""
