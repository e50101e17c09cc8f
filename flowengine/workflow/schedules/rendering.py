"""Renders the inputs that a document gives to executions which start by themselves. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template import TemplateError, render
from flowengine.template.budget import Budget
from flowengine.workflow.inputs.beginning import MAX_CHARS
from flowengine.workflow.inputs.values import POINTER, InputsInvalidError, Occasion, scope_of
from flowengine.workflow.problems import Problem


def rendered_inputs(given: Mapping[str, JsonValue], occasion: Occasion) -> dict[str, JsonValue]:
    """The inputs of one execution. Raises InputsInvalidError, with all that cannot be rendered."""
    scope = scope_of(occasion, occasion.given)
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
