"""The form of a reply as a JSON schema, for models that take one.

Gemini takes flat schemas without numeric bounds; OpenAI's strict mode wants every key required and no
others. The schemas here are what both take. A rating outside the scale is the parser's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["BATCH_SCHEMA", "SINGLE_SCHEMA"]

_READING: Mapping[str, Any] = {
    "rating": {"type": "integer", "description": "1 (avoid) to 5 (excellent)"},
    "choppiness": {"type": "string", "enum": ["yes", "no"]},
    "analysis": {"type": "string"},
    "recommendations": {"type": "string"},
}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


SINGLE_SCHEMA: Final[Mapping[str, Any]] = _object(_READING)
"""The reply about one signal."""
BATCH_SCHEMA: Final[Mapping[str, Any]] = _object(
    {
        "signals": {
            "type": "array",
            "items": _object({"id": {"type": "string"}, "symbol": {"type": "string"}, **_READING}),
        }
    }
)
"""The reply about several: one entry for each signal, found by its id."""
