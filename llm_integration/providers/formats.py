"""In which form a model is asked to reply: by a JSON schema, as any JSON object, or as text. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import orjson

from llm_integration.calls import ChatRequest, ModelInfo

__all__ = ["Form", "choose_form", "choose_format", "response_format"]

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


class Form(NamedTuple):
    """A response format that was chosen, as the bytes of a request, and what it was chosen by."""

    name: str
    field: orjson.Fragment
    wanted: str
    listed: ModelInfo | None
    refused: int
    schema: Mapping[str, Any] | None
    schema_name: str

    def still_fits(self, request: ChatRequest, refused: Collection[str]) -> bool:
        """Whether choosing again would give the same. Refusals of a model only become more."""
        return (
            self.schema is request.schema
            and self.listed is request.listed
            and self.refused == len(refused)
            and self.wanted == request.response_format
            and self.schema_name == request.schema_name
        )


def choose_form(request: ChatRequest, refused: Collection[str]) -> Form:
    """What ``choose_format`` chooses, ready to be sent."""
    wanted, listed, schema = request.response_format, request.listed, request.schema
    name = choose_format(wanted, listed, refused, schema=schema is not None)
    field = orjson.Fragment(orjson.dumps(response_format(name, schema, request.schema_name)))
    return Form(name, field, wanted, listed, len(refused), schema, request.schema_name)


def response_format(name: str, schema: Mapping[str, Any] | None, schema_name: str) -> dict[str, Any]:
    """The field ``response_format`` of a request."""
    if name != "json_schema":
        return {"type": name}
    return {"type": "json_schema", "json_schema": {"name": schema_name, "strict": True, "schema": schema}}
