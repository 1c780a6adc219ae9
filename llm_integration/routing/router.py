"""Router: the first rule that a signal meets decides which model is asked, and how. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from llm_integration.config import LLMConfig
from llm_integration.config.routes import Route
from llm_integration.domain import Signal
from llm_integration.reply_schema import SINGLE_SCHEMA
from llm_integration.routing.conditions import Case, Condition, Test, tests_of
from llm_integration.routing.plan import CallPlan

__all__ = ["RouteChoice", "RouteDefault", "Router", "RuleReport", "router_for"]


@dataclass(frozen=True, slots=True)
class RouteDefault:
    """What holds where no rule says otherwise. ``prompt`` None is the built-in one."""

    plan: CallPlan
    prompt: str | None = None
    ensemble: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule held against one signal. ``chosen`` is the first that matched."""

    rule: str
    matched: bool
    chosen: bool
    conditions: tuple[Condition, ...]

    def line(self) -> str:
        """The report in one line."""
        verdict = "chosen" if self.chosen else "matches, but an earlier rule does too"
        if not self.matched:
            verdict = "no"
        reasons = "; ".join(each.text for each in self.conditions if each.holds == self.matched)
        return f"{self.rule}: {verdict} ({reasons or 'no conditions'})"


@dataclass(frozen=True, slots=True)
class RouteChoice:
    """Where one signal goes. ``rule_name`` is None for the default."""

    rule_name: str | None
    plan: CallPlan
    prompt: str | None
    ensemble: tuple[str, ...] = ()
    _explain: Callable[[], tuple[str, ...]] = field(default=tuple, repr=False, compare=False)

    @property
    def explanation(self) -> tuple[str, ...]:
        """A line for each rule that was looked at, and one for the default if none matched.

        Made when asked for: nearly nobody does, and every signal is routed.
        """
        return self._explain()


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    tests: tuple[Test, ...]
    route: RouteDefault

    def matches(self, case: Case) -> bool:
        """Whether every condition holds."""
        return all(test.holds(case) for test in self.tests)


class Router:
    """Chooses by ``rules`` in their order, else ``default``."""

    def __init__(self, rules: Sequence[Route], default: RouteDefault) -> None:
        self._default = default
        self._rules = [
            _Rule(rule.name or f"route {number}", tests_of(rule.when), _merged(rule, default))
            for number, rule in enumerate(rules, start=1)
        ]
        self._usual = _choice(None, default, lambda: ("default: there are no rules",))

    def choose(self, signal: Signal, *, backlog: int = 0, now: datetime | None = None) -> RouteChoice:
        """The first rule that ``signal`` meets. ``backlog`` is the number of signals waiting.

        Conditions on the time look at ``now``, else at the signal's own time.
        """
        if not self._rules:
            return self._usual
        case = Case(signal, backlog, now)
        for count, rule in enumerate(self._rules, start=1):
            if rule.matches(case):
                return _choice(rule.name, rule.route, partial(_lines, self._rules[:count], case))
        last = "default: no rule matches"
        return _choice(None, self._default, lambda: (*_lines(self._rules, case), last))

    def explain(
        self, signal: Signal, *, backlog: int = 0, now: datetime | None = None
    ) -> tuple[RuleReport, ...]:
        """Every rule held against ``signal``, also those behind the one that is chosen."""
        case = Case(signal, backlog, now)
        reports: list[RuleReport] = []
        for rule in self._rules:
            reports.append(_report(rule, case, first=not any(each.matched for each in reports)))
        return tuple(reports)

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that may be asked, the default's first, each once."""
        routes = [self._default, *(rule.route for rule in self._rules)]
        named = [model for route in routes for model in (*route.plan.models, *route.ensemble)]
        return tuple(dict.fromkeys(named))

    @property
    def ladders(self) -> tuple[tuple[str, ...], ...]:
        """Whom a request may go to: a model with its fallbacks, or one of an ensemble; the default first."""
        routes = [self._default, *(rule.route for rule in self._rules)]
        found = [route.plan.models for route in routes]
        found += [(model,) for route in routes for model in route.ensemble]
        return tuple(dict.fromkeys(found))

    @property
    def prompts(self) -> tuple[str, ...]:
        """Every prompt that rules or default name, each once."""
        routes = [self._default, *(rule.route for rule in self._rules)]
        return tuple(dict.fromkeys(route.prompt for route in routes if route.prompt is not None))


def router_for(config: LLMConfig) -> Router:
    """The router that the settings describe; its plans ask for replies about one signal."""
    plan = CallPlan(config.model, tuple(config.fallback_models), response_schema=SINGLE_SCHEMA)
    return Router(config.routes, RouteDefault(plan, config.prompt, tuple(dict.fromkeys(config.ensemble))))


def _choice(name: str | None, route: RouteDefault, explain: Callable[[], tuple[str, ...]]) -> RouteChoice:
    return RouteChoice(name, route.plan, route.prompt, route.ensemble, explain)


def _lines(rules: Sequence[_Rule], case: Case) -> tuple[str, ...]:
    return tuple(_report(rule, case, first=True).line() for rule in rules)


def _report(rule: _Rule, case: Case, *, first: bool) -> RuleReport:
    conditions = tuple(test.told(case) for test in rule.tests)
    matched = all(condition.holds for condition in conditions)
    return RuleReport(rule.name, matched, matched and first, conditions)


def _merged(rule: Route, default: RouteDefault) -> RouteDefault:
    """The rule's own values over the default's."""
    base = default.plan
    plan = CallPlan(
        model=rule.model or base.model,
        fallbacks=base.fallbacks if rule.fallbacks is None else tuple(rule.fallbacks),
        max_tokens=rule.max_tokens or base.max_tokens,
        temperature=base.temperature if rule.temperature is None else rule.temperature,
        response_schema=base.response_schema,
        schema_name=base.schema_name,
    )
    ensemble = default.ensemble if rule.ensemble is None else tuple(dict.fromkeys(rule.ensemble))
    return RouteDefault(plan, rule.prompt or default.prompt, ensemble)
