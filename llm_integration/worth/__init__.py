"""Is a rating worth its price? What became of rated signals, and statistics that a sceptic accepts.

``resolve`` and ``resolve_many`` tell from bars how a signal ended, ``build_report`` says what follows for the
ratings, ``report_json`` and ``page`` show it. Everything here is pure: files and PostgreSQL are read by
``python -m llm_integration worth``. Needs numpy, the extra ``[worth]``; ``import llm_integration`` does not
load it.
"""

from llm_integration.worth.page import page
from llm_integration.worth.report import build_report, report_json
from llm_integration.worth.resolver import resolve
from llm_integration.worth.resolver_many import OutcomeColumns, resolve_many
from llm_integration.worth.rules import RESOLVER_VERSION, ResolverRules
from llm_integration.worth.sections import RatedSignal, Reading, Report, ReportSettings
from llm_integration.worth.selftest import SelfTest, self_test
from llm_integration.worth.trades import BarColumns, Exit, Outcome, Reason, Trade, TradeColumns

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
