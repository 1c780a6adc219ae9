"""The bodies of the endpoints beside chat: key, credits, models, endpoints, generation. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from llm_integration.simulator.catalogue import Catalogue, Model
from llm_integration.simulator.ledger import Account

__all__ = ["credits_body", "endpoints_body", "generation_body", "key_body", "models_body"]

DEPRECATED = "This field is deprecated and safe to ignore."


def key_body(key: str, account: Account, now: float, credit: Decimal) -> dict[str, Any]:
    """``GET /key``: what the key is called, has used and may still use."""
    used = float(account.spent)
    free_used = account.free_used(now)
    periods = ("usage", "usage_daily", "usage_weekly", "usage_monthly")
    return {
        "data": {
            "label": f"{key[:12]}...{key[-3:]}" if len(key) > 20 else "simulated",
            "limit": float(credit),
            "limit_remaining": float(credit - account.spent),
            "limit_reset": None,
            "include_byok_in_limit": False,
            **dict.fromkeys(periods, used),
            **{f"byok_{name}": 0 for name in periods},
            "is_free_tier": False,
            "is_management_key": False,
            "is_provisioning_key": False,
            "expires_at": None,
            "creator_user_id": "user_simulated",
            "free_model_daily_requests": {
                "limit": account.free_per_day,
                "remaining": max(0, account.free_per_day - free_used),
                "used": free_used,
            },
            "allowed_data_regions": ["global"],
            "budgets": [],
            "effective_budget": None,
            "organization_id": None,
            "workspace_id": None,
            "rate_limit": {"requests": -1, "interval": "10s", "note": DEPRECATED},
        }
    }


def credits_body(account: Account, credit: Decimal) -> dict[str, Any]:
    """``GET /credits``: bought and used, in USD."""
    return {"data": {"total_credits": float(credit), "total_usage": float(account.spent)}}


def models_body(catalogue: Catalogue, offset: int = 0, limit: int = 500) -> dict[str, Any]:
    """``GET /models``: the catalogue, or a page of it."""
    models = catalogue.models
    page = [model.listing() for model in models[offset : offset + limit]]
    return {"data": page, "total_count": len(models), "links": {"next": None}}


def endpoints_body(model: Model, provider: str) -> dict[str, Any]:
    """``GET /models/{author}/{slug}/endpoints``: who serves a model."""
    listing = model.listing()
    endpoint = {
        "name": f"{provider} | {model.id}",
        "provider_name": provider,
        "context_length": model.context_length,
        "pricing": listing["pricing"],
        "max_completion_tokens": model.max_completion_tokens,
        "supported_parameters": listing["supported_parameters"],
        "status": 0,
    }
    names = ("id", "name", "created", "architecture")
    return {"data": {**{name: listing[name] for name in names}, "endpoints": [endpoint]}}


def generation_body(completion: dict[str, Any]) -> dict[str, Any]:
    """``GET /generation``: the record of one finished completion."""
    choice, usage = completion["choices"][0], completion["usage"]
    created = datetime.fromtimestamp(completion["created"], UTC)
    tokens_in, tokens_out = usage["prompt_tokens"], usage["completion_tokens"]
    return {
        "data": {
            "id": completion["id"],
            "model": completion["model"],
            "provider_name": completion["provider"],
            "created_at": created.isoformat(),
            "finish_reason": choice["finish_reason"],
            "native_finish_reason": choice["native_finish_reason"],
            "tokens_prompt": tokens_in,
            "tokens_completion": tokens_out,
            "native_tokens_prompt": tokens_in,
            "native_tokens_completion": tokens_out,
            "native_tokens_reasoning": usage["completion_tokens_details"]["reasoning_tokens"],
            "native_tokens_cached": 0,
            "total_cost": usage["cost"],
            "usage": usage["cost"],
            "latency": 0,
            "generation_time": 0,
            "streamed": False,
            "cancelled": False,
            "is_byok": False,
            "upstream_id": None,
            "provider_responses": [],
        }
    }
