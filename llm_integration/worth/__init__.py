"""Is a rating worth its price? What became of rated signals, and statistics that a sceptic accepts.

``resolve`` and ``resolve_many`` tell from bars how a signal ended, ``build_report`` says what follows for the
ratings, ``report_json`` and ``page`` show it. Everything here is pure: files and PostgreSQL are read by
``python -m llm_integration worth``. Needs numpy, the extra ``[worth]``; ``import llm_integration`` does not
load it, and ``rules``, ``outcome``, ``following`` and ``live``, by which outcomes are followed as bars come
in, do without it: the names of this page are imported when they are asked for.
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llm_integration.worth.html_page import page
    from llm_integration.worth.outcome import Exit, Outcome, Reason, Trade
    from llm_integration.worth.report import build_report, report_json
    from llm_integration.worth.resolver import resolve
    from llm_integration.worth.resolver_many import OutcomeColumns, resolve_many
    from llm_integration.worth.rules import RESOLVER_VERSION, ResolverRules
    from llm_integration.worth.sections import RatedSignal, Reading, Report, ReportSettings
    from llm_integration.worth.selftest import SelfTest, self_test
    from llm_integration.worth.trades import BarColumns, TradeColumns

__all__ = [
    "RESOLVER_VERSION",
    "BarColumns",
    "Exit",
    "Outcome",
    "OutcomeColumns",
    "RatedSignal",
    "Reading",
    "Reason",
    "Report",
    "ReportSettings",
    "ResolverRules",
    "SelfTest",
    "Trade",
    "TradeColumns",
    "build_report",
    "page",
    "report_json",
    "resolve",
    "resolve_many",
    "self_test",
]

_MODULES: Final = {
    "outcome": (
        "Exit",
        "Outcome",
        "Reason",
        "Trade",
    ),
    "html_page": ("page",),
    "report": (
        "build_report",
        "report_json",
    ),
    "resolver": ("resolve",),
    "resolver_many": (
        "OutcomeColumns",
        "resolve_many",
    ),
    "rules": (
        "RESOLVER_VERSION",
        "ResolverRules",
    ),
    "sections": (
        "RatedSignal",
        "Reading",
        "Report",
        "ReportSettings",
    ),
    "selftest": (
        "SelfTest",
        "self_test",
    ),
    "trades": (
        "BarColumns",
        "TradeColumns",
    ),
}
_WHERE: Final = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _WHERE:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
