"""Bounds on spending: what a request may cost, which budgets it counts in, and whether it may be sent.

``decide`` is the policy, pure. ``MemoryLedger`` applies it in a process without a database; with PostgreSQL
the ledger of the ``database`` package does, over all processes that share a key.
"""

from __future__ import annotations

from llm_integration.budget.decision import Allowed, Decision, Downgrade, Refuse, decide
from llm_integration.budget.fingerprint import key_fingerprint, plain_address
from llm_integration.budget.memory import MemoryLedger, NoPrices, known_cost, known_tokens
from llm_integration.budget.prices import Cost, Price, PriceList, highest_cost
from llm_integration.budget.rules import Rule, Spend, like_pattern, rules_of
from llm_integration.budget.watch import BudgetState, Watch
from llm_integration.budget.windows import Window
from llm_integration.config.budgets import Budget
from llm_integration.errors import BudgetExceededError
from llm_integration.llm_processor.guard import Grant, SpendRequest

__all__ = [
    "Allowed",
    "Budget",
    "BudgetExceededError",
    "BudgetState",
    "Cost",
    "Decision",
    "Downgrade",
    "Grant",
    "MemoryLedger",
    "NoPrices",
    "Price",
    "PriceList",
    "Refuse",
    "Rule",
    "Spend",
    "SpendRequest",
    "Watch",
    "Window",
    "decide",
    "highest_cost",
    "key_fingerprint",
    "known_cost",
    "known_tokens",
    "like_pattern",
    "plain_address",
    "rules_of",
]
