"""Names in settings: the nearest known one, model ids, lists as text, and blocks of named settings."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

__all__ = ["Block", "ModelId", "Names", "is_file_name", "names_of", "normalise_model_id", "suggestion"]


def normalise_model_id(model: str) -> str:
    """The id OpenRouter knows: a leading ``openrouter/`` goes if the rest still contains ``/``.

    ``openrouter/google/gemini-3.5-flash-lite`` becomes ``google/gemini-3.5-flash-lite``; ``openrouter/auto``
    is an id of OpenRouter's own and stays.
    """
    model = model.strip()
    rest = model.removeprefix("openrouter/")
    return rest if rest != model and "/" in rest else model


def is_file_name(prompt: str) -> bool:
    """True when ``prompt`` names a file, not one of the prompts that a library knows by name."""
    return "/" in prompt or prompt.endswith(".md")


def suggestion(key: str, names: Iterable[str]) -> str:
    """What to append to "unknown key": the nearest known name, or all of them."""
    known = list(names)
    near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(known)})"


def names_of(value: object) -> object:
    """Lists come from the environment as comma-separated text or JSON."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return value
    return [part.strip() for part in text.split(",") if part.strip()]


def _model_id(value: str) -> str:
    if not value.strip():
        raise ValueError("should be a model id such as google/gemini-3.5-flash-lite")
    return normalise_model_id(value)


ModelId = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_model_id)]
Names = Annotated[list[str], BeforeValidator(names_of)]


class Block(BaseModel):
    """A block of settings whose unknown keys are errors that name the nearest known one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, protected_namespaces=(), allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    raise ValueError(f"unknown key {key!r}{suggestion(str(key), cls.model_fields)}")
        return values
