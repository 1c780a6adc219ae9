"""Tables of settings for the reference (``docs/reference/settings.md``), made from their models.

python -m llm_integration.reference
"""

from __future__ import annotations

import json
import sys
import types
import typing
from decimal import Decimal

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from llm_integration.config import LLMConfig

__all__ = ["settings_table"]


def settings_table(model: type[BaseModel]) -> str:
    """A Markdown table of ``model``'s fields: name, default, what is allowed, meaning."""
    rows = ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        rows.append(
            f"| `{field.alias or name}` | {_default(field)} | {_allowed(field)} | {field.description} |"
        )
    return "\n".join(rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, BaseModel):
        value = {}
    return f"`{json.dumps(value)}`"


def _allowed(field: FieldInfo) -> str:
    kinds = _kinds(field.annotation)
    told = [_numbers(field)] if any(kind in (int, float, Decimal) for kind in kinds) else []
    told += [words for kind, words in _WORDS.items() if kind in kinds]
    told += [f"`{json.dumps(kind)}`" for kind in kinds if kind is None or isinstance(kind, str)]
    told += [_collection(kind) for kind in kinds if typing.get_origin(kind) in (list, dict)]
    told += [f"block `{kind.__name__}`" for kind in kinds if _is_block(kind)]
    return ", ".join(told)


_WORDS = {bool: "`true`, `false`", str: "text", SecretStr: "text"}


def _kinds(annotation: object) -> list[typing.Any]:
    """What a value may be: types, the words of a Literal, None."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _kinds(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return list(typing.get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        return [kind for part in typing.get_args(annotation) for kind in _kinds(part)]
    return [None if annotation is type(None) else annotation]


def _collection(kind: object) -> str:
    (inner,) = _kinds(typing.get_args(kind)[-1])
    what = f"`{inner.__name__}` blocks" if _is_block(inner) else "text"
    return f"list of {what}" if typing.get_origin(kind) is list else f"names with {what}"


def _is_block(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _numbers(field: FieldInfo) -> str:
    limits = {}
    for rule in field.metadata:
        for name in ("gt", "ge", "le"):
            if getattr(rule, name, None) is not None:
                limits[name] = getattr(rule, name)
    if not limits:
        return "number"
    low = f"above {limits['gt']:,}" if "gt" in limits else f"{limits.get('ge', '')}"
    return f"{low} to {limits['le']:,}" if "le" in limits else f"{low} and more"


if __name__ == "__main__":
    sys.stdout.write(settings_table(LLMConfig) + "\n")
