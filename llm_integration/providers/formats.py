"""In which form a model is asked to reply: by a JSON schema, as any JSON object, or as text. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from llm_integration.calls import ModelInfo

__all__ = ["choose_format", "response_format"]

FORMATS = ("json_schema", "json_object", "text")
"""From the strictest to the one that every server takes."""
_ORDER = {"auto": FORMATS, "json_schema": FORMATS, "json_object": FORMATS[1:], "text": FORMATS[2:]}


def choose_format(wanted: str, listed: ModelInfo | None, refused: Collection[str], *, schema: bool) -> str:
    """One of FORMATS for a request, which has a ``schema`` or none.

    ``wanted`` is the strictest of them, or ``auto``, which takes a schema only where the model is listed with
    it; ``json_schema`` takes it also where nobody knows. What the listing lacks or the model refused before
    (``refused``) is not asked for again.
    """
    parameters = None if listed is None else listed.supported_parameters
    for name in _ORDER[wanted]:
        if name == "json_schema" and not schema:
            continue
        if name not in refused and _takes(name, parameters, wanted):
            return name
    return "text"


def _takes(name: str, parameters: Collection[str] | None, wanted: str) -> bool:
    """Whether a model with these parameters, None for unknown, takes the format."""
    if parameters is None:
        return name != "json_schema" or wanted != "auto"
    if name == "json_schema":
        return "structured_outputs" in parameters
    if name == wanted:  # asked for by name; a server ignores what it does not know
        return True
    return name == "text" or not {"response_format", "structured_outputs"}.isdisjoint(parameters)


def response_format(name: str, schema: Mapping[str, Any] | None, schema_name: str) -> dict[str, Any]:
    """The field ``response_format`` of a request."""
    if name != "json_schema":
        return {"type": name}
    return {"type": "json_schema", "json_schema": {"name": schema_name, "strict": True, "schema": schema}}
