"""The configuration reference of the README, generated from LLMConfig.

python -m llm_integration.reference
"""

from __future__ import annotations

import json
import sys
import types
import typing

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from llm_integration.config import LLMConfig

__all__ = ["settings_table"]


def settings_table(model: type[BaseModel]) -> str:
    """A Markdown table of ``model``'s fields: name, default, what is allowed, meaning."""
    rows = ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        rows.append(f"| `{name}` | {_default(field)} | {_allowed(field)} | {field.description} |")
    return "\n".join(rows)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    return f"`{json.dumps(value)}`"


def _allowed(field: FieldInfo) -> str:
    if typing.get_origin(field.annotation) in (typing.Literal, typing.Union, types.UnionType):
        return ", ".join(f"`{json.dumps(value)}`" for value in _choices(field.annotation)) or "text"
    return _bounds(field) or {bool: "`true`, `false`", str: "text"}.get(
        _plain(field.annotation), "list of text"
    )


def _plain(annotation: object) -> type:
    return annotation if isinstance(annotation, type) else list


def _choices(annotation: object) -> list[object]:
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    found: list[object] = []
    for part in typing.get_args(annotation):
        found += [None] if part is type(None) else _choices(part)
    return found


def _bounds(field: FieldInfo) -> str:
    if field.annotation not in (int, float):
        return ""
    limits = {}
    for rule in field.metadata:
        for name in ("gt", "ge", "le"):
            if getattr(rule, name, None) is not None:
                limits[name] = getattr(rule, name)
    low = f"above {limits['gt']:,}" if "gt" in limits else f"{limits.get('ge', '')}"
    return f"{low} to {limits['le']:,}" if "le" in limits else f"{low} and more"


if __name__ == "__main__":
    sys.stdout.write(settings_table(LLMConfig) + "\n")
