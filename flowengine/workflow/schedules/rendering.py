"""Renders the inputs that a document gives to executions which start by themselves. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template import TemplateError, render
from flowengine.template.budget import Budget
from flowengine.template.reference import EXECUTION
from flowengine.workflow.inputs.beginning import MAX_CHARS
from flowengine.workflow.inputs.values import POINTER, InputsInvalidError, Occasion, scope_of
from flowengine.workflow.problems import Problem

NOTHING_MORE: Final[Mapping[str, JsonValue]] = MappingProxyType({})


def rendered_inputs(
    given: Mapping[str, JsonValue], occasion: Occasion, more: Mapping[str, JsonValue] = NOTHING_MORE
) -> dict[str, JsonValue]:
    """The inputs of one execution. `more`: what templates may read beside `execution`. Raises
    InputsInvalidError, with all that cannot be rendered."""
    scope = scope_of(occasion, {EXECUTION: dict(occasion.execution), **more})
    budget = Budget(MAX_CHARS)
    found: dict[str, JsonValue] = {}
    problems = []
    for name, value in given.items():
        place = pointer_to(POINTER, name)
        try:
            found[name] = render(value, scope, budget=budget, pointer=place)
        except TemplateError as error:
            message = f"the input {name!r} cannot be rendered: {error.message}"
            problems.append(Problem(code="invalid_input", pointer=place, message=message))
    if problems:
        raise InputsInvalidError(tuple(problems))
    return found
