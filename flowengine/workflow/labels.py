"""Labels: names with values by which people find executions (LANGUAGE section 1).

A document has some, and a caller who starts an execution may add others. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template import is_template
from flowengine.template.json_values import type_name
from flowengine.workflow.checking.object_fields import JsonObject, advice_to_quote
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.problems import Problem, quoted

FIELD: Final = "labels"
MAX_LABELS: Final = 32
MAX_CHARS: Final = 63
NOT_IN_NAMES: Final = ":="
"""What parts a name from its value where both are one text: `label=NAME:VALUE`, `--label NAME=VALUE`."""

Labels: TypeAlias = Mapping[str, str]

_NO_LABEL: Final = "invalid_label"


def read_labels(owner: JsonObject, report: Report) -> dict[str, str]:
    """The labels of a document, or of what a caller sends. Whatever is wrong is reported."""
    given = owner.get(FIELD)
    pointer = pointer_to("", FIELD)
    if given is None:
        return {}
    if not isinstance(given, dict):
        report.add("wrong_type", pointer, f"'labels' must be an object, it is {type_name(given)}")
        return {}
    if len(given) > MAX_LABELS:
        report.add("out_of_range", pointer, too_many(len(given)))
        return {}
    found = {name: _value(name, value, pointer, report) for name, value in given.items()}
    return {name: value for name, value in found.items() if value is not None}


def too_many(count: int) -> str:
    """What is said of more labels than an execution may have."""
    return f"an execution has at most {MAX_LABELS} labels, these are {count}"


def _value(name: str, value: JsonValue, pointer: str, report: Report) -> str | None:
    """The value of a label; None where it or its name is wrong."""
    place = pointer_to(pointer, name[: MAX_CHARS + 1])
    wrong_name = _wrong_with_name(name)
    if wrong_name:
        report.add(_NO_LABEL, place, f"{quoted(name)} is no name of a label: {wrong_name}")
        return None
    if not isinstance(value, str):
        message = f"the label {quoted(name)} must be text, it is {type_name(value)}{advice_to_quote(value)}"
        report.add("wrong_type", place, message)
        return None
    wrong = _wrong_with_value(value)
    if wrong:
        report.add(_NO_LABEL, place, f"the label {quoted(name)} cannot be {quoted(value)}: {wrong}")
    return None if wrong else value


def _wrong_with_name(name: str) -> str:
    if not name or len(name) > MAX_CHARS:
        return f"one has 1 to {MAX_CHARS} characters"
    if not name.isprintable() or name != name.strip() or any(sign in name for sign in NOT_IN_NAMES):
        return "one is printable, without ':' and '=', and does not begin or end with a space"
    return ""


def _wrong_with_value(value: str) -> str:
    if len(value) > MAX_CHARS:
        return f"it has at most {MAX_CHARS} characters, this one {len(value)}"
    if not value.isprintable():
        return "it is one line of printable characters"
    if is_template(value):
        return "labels hold no templates"
    return ""


def merged(labels: Labels, given: Labels) -> dict[str, str]:
    """The labels of an execution for which a caller gives some: they take the place of others, name by name.

    Raises InputsInvalidError: there are too many together.
    """
    found = {**labels, **given}
    if len(found) > MAX_LABELS:
        # Imported where something is wrong: what checks inputs takes long to import.
        from flowengine.workflow.inputs.values import InputsInvalidError

        message = f"{too_many(len(found))} with those that it has already"
        problem = Problem(code="out_of_range", pointer=pointer_to("", FIELD), message=message)
        raise InputsInvalidError((problem,))
    return found
