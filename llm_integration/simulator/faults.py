"""The table of everything that the simulator can do wrong, and how a script names one of them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from llm_integration.simulator.batches import BATCHES
from llm_integration.simulator.completion_faults import COMPLETIONS
from llm_integration.simulator.content_faults import CONTENTS
from llm_integration.simulator.error_faults import ERRORS
from llm_integration.simulator.kinds import FaultInfo
from llm_integration.simulator.streaming import STREAM_FAULTS
from llm_integration.simulator.wire_faults import WIRES

__all__ = ["BATCH_FAULTS", "FAULTS", "OK", "Fault"]

TEXTS = frozenset({"location"})
OK = "ok"
"""The name under which a script asks for an ordinary answer."""

FAULTS: Mapping[str, FaultInfo] = MappingProxyType(
    {
        name: info
        for table in (ERRORS, COMPLETIONS, CONTENTS, WIRES)
        for name, (info, _) in sorted(table.items())
    }
)
"""Every fault by name. ``fails``, ``rated`` and ``kind`` say what a client must make of it."""

BATCH_FAULTS: Mapping[str, FaultInfo] = MappingProxyType({name: info for name, (info, _) in BATCHES.items()})
"""Every fault of a reply about several signals. ``kind`` is about the signals that it touches; the others
stay as they are. On a prompt about one signal the reply is an ordinary one."""


@dataclass(frozen=True, slots=True, init=False)
class Fault:
    """One step of a script: a name of ``FAULTS`` or ``BATCH_FAULTS``, or ``ok``, and parameters that differ.

    ``Fault("pad_then_json", pads=5)``. Raises ValueError for a name or a parameter that does not exist.
    """

    name: str
    params: Mapping[str, Any]

    def __init__(self, name: str, **params: Any) -> None:
        info = (
            FAULTS.get(name)
            or BATCH_FAULTS.get(name)
            or (STREAM_FAULTS[name][0] if name in STREAM_FAULTS else None)
        )
        if info is None and name != OK:
            near = difflib.get_close_matches(
                name, [*FAULTS, *BATCH_FAULTS, *STREAM_FAULTS, OK], n=1, cutoff=0.4
            )
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"no fault is called {name[:60]!r}{hint}")
        defaults: Mapping[str, Any] = info.defaults if info else {}
        for key, value in params.items():
            if key not in defaults:
                allowed = ", ".join(defaults) or "none"
                raise ValueError(f"fault {name!r} has no parameter {key[:60]!r} (it has: {allowed})")
            _check(name, key, value, defaults[key])
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "params", MappingProxyType({**defaults, **params}))

    @classmethod
    def parse(cls, text: str) -> Fault:
        """The step written as ``name`` or ``name:key=value,key=value``."""
        name, _, rest = text.strip().partition(":")
        params: dict[str, Any] = {}
        for part in filter(None, (piece.strip() for piece in rest.split(","))):
            key, equals, value = part.partition("=")
            if not equals:
                raise ValueError(f"fault {name!r}: {part[:60]!r} is not key=value")
            params[key.strip()] = _value(value.strip())
        return cls(name.strip(), **params)


def _check(name: str, key: str, value: Any, default: Any) -> None:
    """Numbers stay finite numbers from 0 up; text may be anything."""
    if isinstance(default, str) or key in TEXTS:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and value >= 0):
        raise ValueError(f"fault {name!r}: {key} must be a number from 0 up, not {str(value)[:60]!r}")


def _value(text: str) -> float | int | str:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text
