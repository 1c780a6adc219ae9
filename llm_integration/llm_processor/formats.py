"""In which form a model is asked to reply: by a JSON schema, as any JSON object, or as text. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

import orjson

from llm_integration.routing import CallPlan

__all__ = [
    "Capabilities",
    "Form",
    "Listings",
    "choose_form",
    "choose_format",
    "response_format",
]

FORMATS = ("json_schema", "json_object", "text")
"""From the strictest to the one that every server takes."""
_ORDER = {"auto": FORMATS, "json_schema": FORMATS, "json_object": FORMATS[1:], "text": FORMATS[2:]}


class Capabilities(Protocol):
    """What a catalogue of models says about one: the parameters it takes, None when that is not listed."""

    @property
    def supported_parameters(self) -> Collection[str] | None: ...


class Listings(Protocol):
    """A catalogue of models; ``ModelCatalogue`` is one."""

    def find(self, model: str) -> Capabilities | None:
        """What is listed about ``model``; None when it is not listed."""
        ...

    def successor(self, model: str) -> str | None:
        """A served model to name to somebody whose ``model`` is gone; None when none is known."""
        ...


def choose_format(setting: str, plan: CallPlan, listed: Capabilities | None, refused: Collection[str]) -> str:
    """One of FORMATS for this request.

    ``setting`` is the strictest that is wanted. ``auto`` takes a schema only where the model is listed with
    it; ``json_schema`` also where nobody knows. What the listing lacks or the model refused before
    (``refused``) is not asked for again.
    """
    parameters = None if listed is None else listed.supported_parameters
    for name in _ORDER[setting]:
        if name == "json_schema" and plan.response_schema is None:
            continue
        if name not in refused and _takes(name, parameters, setting):
            return name
    return "text"


def _takes(name: str, parameters: Collection[str] | None, setting: str) -> bool:
    """Whether a model with these parameters, None for unknown, takes the format."""
    if parameters is None:
        return name != "json_schema" or setting != "auto"
    if name == "json_schema":
        return "structured_outputs" in parameters
    if name == setting:  # asked for by name; a server ignores what it does not know
        return True
    return name == "text" or not {"response_format", "structured_outputs"}.isdisjoint(parameters)


class Form(NamedTuple):
    """A response format that was chosen, as the bytes of a request, and what it was chosen by."""

    name: str
    field: orjson.Fragment
    listed: Capabilities | None
    refused: int
    schema: Mapping[str, Any] | None
    schema_name: str

    def still_fits(self, plan: CallPlan, listed: Capabilities | None, refused: Collection[str]) -> bool:
        """Whether choosing again would give the same. The setting stays, refusals only become more."""
        return (
            self.schema is plan.response_schema
            and self.listed is listed
            and self.refused == len(refused)
            and self.schema_name == plan.schema_name
        )


def choose_form(setting: str, plan: CallPlan, listed: Capabilities | None, refused: Collection[str]) -> Form:
    """What ``choose_format`` chooses, ready to be sent."""
    name = choose_format(setting, plan, listed, refused)
    field = orjson.Fragment(orjson.dumps(response_format(name, plan)))
    return Form(name, field, listed, len(refused), plan.response_schema, plan.schema_name)


def response_format(name: str, plan: CallPlan) -> dict[str, Any]:
    """The field ``response_format`` of a request."""
    if name != "json_schema":
        return {"type": name}
    schema = {"name": plan.schema_name, "strict": True, "schema": plan.response_schema}
    return {"type": "json_schema", "json_schema": schema}
