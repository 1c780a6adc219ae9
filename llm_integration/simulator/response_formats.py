"""What OpenRouter and the providers behind it refuse in ``response_format``. Pure.

OpenRouter checks the form; OpenAI's strict mode wants closed objects with every key required; Gemini takes no
numeric bounds, no array bounds and no references. A model that does not list ``structured_outputs`` is not
given the schema at all, so nothing is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llm_integration.simulator.catalogue import Model

__all__ = ["format_fault", "schema_fault"]

TYPES = ("text", "json_object", "json_schema", "grammar", "python")
MAX_DEPTH = 20
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NOT_FOR_GEMINI = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems", "$ref", "const",
)  # fmt: skip


def format_fault(value: object) -> str | None:
    """What is wrong with the form of ``response_format``, in OpenRouter's words; None if nothing is."""
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("type") not in TYPES:
        return f"response_format.type must be one of {', '.join(TYPES)}"
    if value["type"] != "json_schema":
        return None
    wanted = value.get("json_schema")
    if not isinstance(wanted, dict):
        return "response_format.json_schema must be an object"
    return next((text for text, holds in _demands(wanted) if not holds), None)


def _demands(wanted: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    field, name = "response_format.json_schema", wanted.get("name")
    named = isinstance(name, str) and _NAME.fullmatch(name) is not None
    yield f"{field}.name must be 1 to 64 of a-z, A-Z, 0-9, _ and -", named
    yield f"{field}.schema must be an object", isinstance(wanted.get("schema"), dict)
    yield f"{field}.strict must be a boolean", isinstance(wanted.get("strict", False), bool | None)


def schema_fault(value: object, model: Model) -> str | None:
    """What the provider of ``model`` answers to a well-formed schema it does not take; None if it does."""
    if not isinstance(value, dict) or value.get("type") != "json_schema":
        return None
    if "structured_outputs" not in model.supported_parameters:
        return None
    wanted = value["json_schema"]
    if model.provider == "Google":
        return _gemini_fault(wanted["schema"])
    return _openai_fault(wanted["name"], wanted["schema"]) if wanted.get("strict") is True else None


def _gemini_fault(schema: Mapping[str, Any]) -> str | None:
    for node in _nodes(schema):
        for key in _NOT_FOR_GEMINI:
            if key in node:
                message = f'Invalid JSON payload received. Unknown name "{key}" at response_schema.'
                return json.dumps({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}})
    return None


def _openai_fault(name: str, schema: Mapping[str, Any]) -> str | None:
    for node in _nodes(schema):
        if node.get("type") != "object":
            continue
        missing = None
        if node.get("additionalProperties") is not False:
            missing = "'additionalProperties' is required to be supplied and to be false."
        elif set(node.get("required") or ()) != set(node.get("properties") or ()):
            missing = "'required' is required to be supplied and to name every key in properties."
        if missing is not None:
            return json.dumps(
                {"error": {"message": f"Invalid schema for response_format '{name}': {missing}"}}
            )
    return None


def _nodes(schema: object, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Every schema in ``schema``, itself first."""
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return
    yield schema
    properties = schema.get("properties")
    for inner in [*(properties.values() if isinstance(properties, dict) else ()), schema.get("items")]:
        yield from _nodes(inner, depth + 1)
