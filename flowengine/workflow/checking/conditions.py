"""Reads a field that holds a condition: one whole expression."""

from __future__ import annotations

from flowengine.jsonvalue import pointer_to
from flowengine.template import TemplateError, analyse, is_template
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.checking.problem_report import Report


def read_condition(owner: JsonObject, field: str, said: str, pointer: str, report: Report) -> str | None:
    """The condition in a field of the object at `pointer`; None where there is none, or a wrong one, which is
    reported. `said` is what messages call it."""
    condition = owner.get(field)
    place = pointer_to(pointer, field)
    if condition is None:
        return None
    if isinstance(condition, bool):
        report.add(
            "wrong_type",
            place,
            f"'{said}' is an expression: write '{{{{ {str(condition).lower()} }}}}' in quotes",
        )
    elif not isinstance(condition, str):
        report.add(
            "wrong_type", place, f"'{said}' is a text with one expression, this is {type_name(condition)}"
        )
    elif not _is_sole(condition):
        report.add(
            "when_not_expression",
            place,
            f"'{said}' is one whole expression that gives true or false, as in \"{{{{ a.result > 3 }}}}\": "
            "text around it would make it a text",
        )
    else:
        return condition
    return None


def _is_sole(text: str) -> bool:
    """Whether a text is one whole expression. Wrong templates are reported elsewhere."""
    if not is_template(text):
        return False
    try:
        return analyse(text).is_sole
    except TemplateError:
        return True
