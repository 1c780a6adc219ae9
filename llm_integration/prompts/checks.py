"""What a prompt file may contain: a small language within Jinja2's, checked before anything is run.

Allowed are the sections (``{% block %}``), the names of ``names.py``, ``if``, ``for`` over the lists there,
comparison for equality, a few filters, and ``{{ self.section() }}`` to repeat a shared section. Nothing else
can be called, nothing computed, and nothing set, so that no text can grow by itself and every work is
counted beforehand or, in a loop, while it goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from jinja2 import nodes

from llm_integration.prompts.expressions import LOOP, MOST_DEPTH, Expressions, Scope, called
from llm_integration.prompts.names import SECTIONS, SYSTEM, TEXT

__all__ = ["BOUNDED", "MOST_NODES", "Checker", "weight"]

BOUNDED: Final = "bounded"
"""The filter that is put around whatever a loop runs over."""
MOST_NODES: Final = 3_000
MOST_CALLS: Final = 20
MOST_FILTERS: Final = 100
_FILTER_WEIGHT: Final = 50
"""A filter may go over a text of some ten thousand characters; a name costs a fraction of a microsecond."""


def weight(body: Iterable[nodes.Node]) -> int:
    """The work of going through ``body`` once, loops inside it not counted; in steps."""
    total = 0
    for node in body:
        total += _FILTER_WEIGHT if isinstance(node, (nodes.Filter, nodes.Call, nodes.Compare)) else 1
        if isinstance(node, nodes.For):
            total += weight([node.iter])
        else:
            total += weight(node.iter_child_nodes())
    return total


@dataclass(slots=True)
class Checker(Expressions):
    """Goes through a parsed template once; collects every problem, and the names that each section uses."""

    used_in: dict[str, set[str]] = field(default_factory=dict)

    def check(self, tree: nodes.Template) -> None:
        """Fill ``problems`` and ``used_in``."""
        self.sections = {block.name: block for block in tree.find_all(nodes.Block)}
        if sum(1 for _ in tree.find_all(nodes.Node)) > MOST_NODES:
            self.say(tree, f"the prompt has more than {MOST_NODES} parts")
            return
        for kind, most, what in (
            (nodes.Call, MOST_CALLS, "repeated sections"),
            (nodes.Filter, MOST_FILTERS, "filters"),
        ):
            if sum(1 for _ in tree.find_all(kind)) > most:
                self.say(tree, f"more than {most} {what}")
        for node in tree.body:
            self._outer(node)
        for name in ("system", "user"):
            if name not in self.sections:
                self.say(tree, f"the section {name} is missing: {{% block {name} %}} ... {{% endblock %}}")

    def _outer(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.Block):
            self._block(node)
        elif not (isinstance(node, nodes.Output) and _blank(node)):
            self.say(node, "only sections may stand here: {% block name %} ... {% endblock %}")

    def _block(self, node: nodes.Block) -> None:
        if node.name.startswith("_") or node.scoped or node.required:
            self.say(node, f"a section is written {{% block {node.name.lstrip('_')} %}}")
        if node.name not in SECTIONS:
            self._body(node.body, SYSTEM)
            return
        self.used = self.used_in[node.name] = set()
        self._body(node.body, {**SECTIONS[node.name], "self": None})

    def _body(self, body: Iterable[nodes.Node], scope: Scope) -> None:
        self.depth += 1
        for node in body:
            if self.depth > MOST_DEPTH:
                self.say(node, f"more than {MOST_DEPTH} levels")
                break
            self._statement(node, scope)
        self.depth -= 1

    def _statement(self, node: nodes.Node, scope: Scope) -> None:
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                self._shown(part, scope)
        elif isinstance(node, nodes.If):
            self.shape(node.test, scope)
            self._body(node.body, scope)
            self._body(node.elif_, scope)
            self._body(node.else_, scope)
        elif isinstance(node, nodes.For):
            self._for(node, scope)
        elif isinstance(node, nodes.Block):
            if node.name in SECTIONS:
                self.say(node, f"the section {node.name} cannot stand inside another")
            self._block(node)
        else:
            self.say(node, f"{called(node)} is not allowed here")

    def _for(self, node: nodes.For, scope: Scope) -> None:
        if node.recursive or node.test is not None or not isinstance(node.target, nodes.Name):
            self.say(node, "a loop is written {% for item in list %}, without if or recursive")
            return
        items = self.shape(node.iter, scope)
        if items is not None and not isinstance(items, list):
            self.say(node, "a loop runs over a list")
            items = None
        if node.target.name in scope or node.target.name in ("loop", "self"):
            self.say(node, f"{node.target.name!r} is taken already; give the loop's item another name")
        if node.target.name.startswith("_"):
            self.say(node, f"a name does not begin with '_': {node.target.name!r}")
        inner = {**scope, node.target.name: items[0] if items else None, "loop": LOOP}
        inner.pop("self", None)  # a shared section in a loop would be work that nobody counts
        self._body(node.body, inner)
        self._body(node.else_, scope)

    def _shown(self, node: nodes.Node, scope: Scope) -> None:
        if isinstance(node, nodes.TemplateData):
            return
        shape = self.shape(node, scope)
        if shape is not None and shape != TEXT:
            self.say(
                node, "this is not a text and cannot be shown as it is; name a part of it, or loop over it"
            )


def _blank(node: nodes.Output) -> bool:
    return all(isinstance(part, nodes.TemplateData) and not part.data.strip() for part in node.nodes)
