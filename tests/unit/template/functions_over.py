"""What the tests of functions in templates stand on: values to work on, and how to ask for an expression."""

from __future__ import annotations

import pytest

from flowengine.jsonvalue import JsonValue
from flowengine.template import Scope, TemplateError, render

MOMENT = 1_772_355_723_004  # 2026-03-01T09:02:03.004Z
OUTPUTS: dict[str, JsonValue] = {
    "n": [3, 1, 2, 1],
    "t": "one 22 three 4",
    "o": {"b": 1, "a": {"x": 1, "y": [1]}},
    "e": [],
    "eo": {},
    "users": [
        {"name": "Ada", "age": 36, "tags": ["x", "y"], "home": {"city": "London"}},
        {"name": "Bo", "age": 20, "tags": [], "home": {"city": "Oslo"}},
        {"name": "Cy", "age": 36, "tags": ["x"], "home": {}},
    ],
}


def value(expression: str, seed: str = "execution-1-node") -> JsonValue:
    """The value of one expression."""
    scope = Scope(outputs=OUTPUTS, primaries={}, secrets=str, moment=MOMENT, seed=seed)
    return render(f"{{{{ {expression} }}}}", scope, max_chars=100_000)


def failure(expression: str) -> TemplateError:
    """The error that one expression ends in."""
    with pytest.raises(TemplateError) as caught:
        value(expression)
    return caught.value
