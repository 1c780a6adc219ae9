"""Which model is asked about a signal, and how: routing rules, first match wins. Pure.

``Router.choose`` answers for one signal; ``Router.explain`` says for every rule why it matched or not.
"""

from llm_integration.routing.conditions import Condition
from llm_integration.routing.plan import CallPlan
from llm_integration.routing.router import RouteChoice, RouteDefault, Router, RuleReport, router_for

__all__ = ["CallPlan", "Condition", "RouteChoice", "RouteDefault", "Router", "RuleReport", "router_for"]
